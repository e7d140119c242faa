"""Sessions of attempts: opened for handlers who ask, and ended as their attempts end."""

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from app.domain.jobs.batch import BatchJob
from app.domain.jobs.job import Job
from app.domain.jobs.sessions import First, NoSessions, NoSessionsForItems, OpenSession, Sessions
from app.domain.tasks.outcomes import Completed, Outcome, Released
from app.domain.tasks.repository import Settlement
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.settle import SettleTasks
from app.usecases.transaction import UnitOfWork


class InDoubt(Exception):
    """The commit of a session that held the *completed* of its task broke off by *error*: it may be through or not."""

    def __init__(self, error: BaseException, completed: Completed | None) -> None:
        self.error = error
        self.completed = completed


class JobSessions:
    """The sessions of one job's attempts."""

    def __init__(
        self, sessions: Sessions, unit_of_work: UnitOfWork | None, *, asynchronous: bool, transactional: bool
    ) -> None:
        self.open = partial(sessions.open, asynchronous=asynchronous, guarded=transactional)
        self.transactional = transactional and unit_of_work is not None
        self._unit_of_work: Any = unit_of_work

    @staticmethod
    def of(job: Job[Any, Any], sessions: Sessions, unit_of_work: UnitOfWork | None) -> "JobSessions":
        if isinstance(job, BatchJob):
            sessions = NoSessionsForItems()
        return JobSessions(sessions, unit_of_work, asynchronous=job.is_asynchronous, transactional=job.transactional)

    def end(self, opened: OpenSession, task: WorkerTask, completed: Completed) -> Outcome | None:
        """Commit, in the thread that runs this; with the completion of *task* where the job is transactional.

        Returns how the attempt is still to be settled, None when it is. Raises InDoubt, or of the session of a job that
        is not transactional what its commit raises.
        """
        if not self.transactional:
            opened.commit()
            return completed
        try:
            return _settled(opened.commit(self._settling(task, completed)))
        except BaseException as error:
            raise InDoubt(error, completed) from error

    async def aend(self, opened: OpenSession, task: WorkerTask, completed: Completed) -> Outcome | None:
        """The same on the event loop."""
        if not self.transactional:
            await opened.commit()
            return completed
        try:
            return _settled(await opened.commit(self._settling(task, completed)))
        except BaseException as error:
            raise InDoubt(error, completed) from error

    def _settling(self, task: WorkerTask, completed: Completed) -> First:
        def settle(session: Any) -> bool:
            return not self._unit_of_work.join(session, SettleTasks(or_cancelled=False), [Settlement(task, completed)])

        return settle


def _settled(committed: bool) -> Outcome | None:
    # Refused, the lease is lost, or the task was cancelled. This will then be refused too, or end it cancelled, and
    # that is how everybody hears of it.
    return None if committed else Released()


NO_SESSIONS = JobSessions(NoSessions(), None, asynchronous=False, transactional=False)
"""For calls that belong to no container."""


def cause_of(error: BaseException) -> BaseException:
    """*error*, or what it is that leaves us in doubt."""
    return error.error if isinstance(error, InDoubt) else error


async def roll_back(opened: OpenSession, offload: Callable[[Callable[[], Any]], Awaitable[Any]]) -> None:
    """End a session on the event loop, in a thread where it is one for a thread."""
    await (opened.roll_back() if opened.is_asynchronous else offload(opened.roll_back))
