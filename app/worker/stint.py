"""Stint: a worker that comes for a few attempts and goes, leaving no lease, no registration and no thread behind."""

import asyncio
import logging
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import Any, TypeVar

from app.domain.errors import DatabaseUnavailable
from app.domain.identifiers import TaskId
from app.domain.jobs.catalog import JobCatalog
from app.domain.tasks.outcomes import Completed, Outcome, Released
from app.domain.tasks.repository import Settlement
from app.domain.tasks.task import WorkerTask
from app.domain.workers import WorkerNode
from app.usecases.tasks.release import ReleaseHeld
from app.usecases.transaction import UnitOfWork
from app.usecases.workers import RemoveWorker
from app.worker.calls import Calls, Isolate
from app.worker.hearing import Hearing
from app.worker.heartbeat import Heartbeat
from app.worker.interruption import CANCEL_GRACE, Interruption
from app.worker.layers import Offload
from app.worker.options import WorkerOptions
from app.worker.settler import Settler
from app.worker.slots import Slots

_log = logging.getLogger("app.worker")

R = TypeVar("R")

LEAST = 1.0
"""Seconds that storing the last outcomes, and signing off, may take each, however late it is."""


def new_life(options: WorkerOptions, types: tuple[str, ...], versions: tuple[int, ...]) -> WorkerNode:
    """A worker that nobody has seen before."""
    return WorkerNode(
        id=f"{options.name}/{uuid.uuid4().hex[:12]}",
        name=options.name,
        lease=options.lease,
        concurrency=options.concurrency,
        types=types,
        versions=versions,
        queues=options.queues,
    )


async def to_its_end(work: Coroutine[Any, Any, R], *, hurry: Callable[[], None]) -> R:
    """The answer of *work*, which is never cancelled: when we are, it is told to *hurry*, and waited for."""
    task = asyncio.get_running_loop().create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        if not task.done():
            hurry()
            await asyncio.wait({task})
            if not task.cancelled():
                task.exception()  # looked at, so that nobody complains that it was not
        raise


class Stint:
    """Somebody else claims for ``node``, which they have registered: then ``open``, ``start`` the tasks, ``close``.

    *is_stopping* is what handlers ask for, *on_change* is called when an attempt has ended. With *apart* all goes by
    the connections of the heartbeat, which belong to no event loop.
    """

    def __init__(
        self,
        unit_of_work: UnitOfWork,
        heart: UnitOfWork,
        jobs: JobCatalog,
        calls: Callable[[Offload, Isolate], Calls],
        options: WorkerOptions,
        *,
        max_result: int,
        is_stopping: Callable[[], bool] = lambda: False,
        on_change: Callable[[], None] = lambda: None,
        watched_by: Callable[[Calls], Calls] = lambda calls: calls,
        apart: bool = False,
    ) -> None:
        self.unit_of_work = heart if apart else unit_of_work
        types = jobs.types(options.types)
        self.node = new_life(options, types, jobs.versions(types))
        self.settler = StintSettler(self.unit_of_work, self._ended)
        self.slots = Slots(
            options,
            jobs,
            lambda offload, isolate: watched_by(calls(offload, isolate)),
            self.settler,
            max_result=max_result,
            shutting_down=is_stopping,
            on_free=on_change,
        )
        self.is_lost = False
        """Whether this worker was taken for dead."""
        self.in_doubt = False
        """Whether something may run under this worker that it knows nothing of."""
        self.longest = 0.0
        """Seconds that the longest attempt has taken."""
        self._began: dict[TaskId, float] = {}
        self._on_change = on_change
        self._hearing = Hearing(cancel=self.slots.cancel, lost=self._lost)
        self._heartbeat = Heartbeat(
            heart, options.lease, hears=lambda: None, on_lost=self._hearing.lost, on_cancel=self._hearing.cancel
        )

    @property
    def ran(self) -> int:
        """Attempts that have ended by themselves, or by their timeout; what was given back has not been run."""
        return self.slots.finished - self.settler.given_back

    def open(self) -> None:
        """The worker is registered: keep it alive, and store how its attempts end."""
        self._loop = asyncio.get_running_loop()
        self.slots.attach()
        self._hearing.attach()
        self._settling = self._loop.create_task(self.settler.run(), name="settler")
        # A thread, whatever the lease: a handler that blocks the event loop must not cost it. Its first beat, and with
        # that its connection, comes after a quarter of the lease; most stints are over by then.
        self._heartbeat.start(self.node.id)

    def start(self, tasks: Sequence[WorkerTask]) -> None:
        """Run *tasks*, which were claimed for us."""
        now = self._loop.time()
        self._began.update((task.id, now) for task in tasks)
        self.slots.start(tasks, self.node.id)

    def give_back(self, task: WorkerTask) -> None:
        """Do not run *task*, which was claimed for us."""
        self.settler.add(Settlement(task, Released()))

    def interrupt(self) -> None:
        """Give back what still runs."""
        if self.slots.running:
            _log.info("Giving back %d running task(s)", self.slots.running)
        self.slots.tell_stopping()
        self.slots.interrupt_all(Interruption.SHUTDOWN)

    async def close(self, within: float) -> bool:
        """Interrupt what still runs, store how all has ended, and sign off; whether it could be stored.

        Storing has *within* seconds. What cannot be stored is given back, or recovered when the lease runs out.
        """
        try:
            if self.slots.running:
                self.interrupt()
                ending = asyncio.ensure_future(self.slots.wait_until_empty())
                await asyncio.wait({ending}, timeout=2 * CANCEL_GRACE)
                ending.cancel()
            stored = await self.settler.wait_until_settled(max(within, LEAST))
            self._settling.cancel()
            if not stored:
                _log.error("The last outcomes could not be stored; their tasks will be run again")
            await self.leave(in_doubt=self.in_doubt or not stored)
            return stored
        finally:
            self._settling.cancel()
            self._heartbeat.stop()
            self.slots.close()
            await self.slots.aclose()

    async def leave(self, *, in_doubt: bool = False) -> None:
        """Sign off. *In_doubt*, what runs under us is given back, and what comes after that left to recovery."""
        try:
            async with asyncio.timeout(LEAST):
                if in_doubt:
                    await self.unit_of_work.arun(ReleaseHeld(), self.node.id, sign_off=False)
                else:
                    await self.unit_of_work.arun(RemoveWorker(), self.node.id)
        except Exception as error:  # the lease will run out by itself
            _log.warning("Could not sign off, the lease runs out by itself: %s", error)

    def _ended(self, task_id: TaskId) -> None:
        began = self._began.pop(task_id, None)
        if began is not None:
            self.longest = max(self.longest, self._loop.time() - began)

    def _lost(self, worker_id: str) -> None:
        _log.error("Worker %s fell silent for longer than its lease: its attempts are cancelled", worker_id)
        self.is_lost = True
        self.slots.interrupt_all(Interruption.LEASE_LOST)
        self._on_change()


class StintSettler(Settler):
    """A settler that remembers what became of the attempts."""

    def __init__(self, unit_of_work: UnitOfWork, on_ended: Callable[[TaskId], None]) -> None:
        super().__init__(unit_of_work, on_put_back=lambda delay: None)
        self._on_ended = on_ended
        self.given_back = 0
        self.last: Outcome | None = None
        self.not_accepted: set[TaskId] = set()

    def add(self, ended: Settlement) -> None:
        self._remember(ended.outcome)
        self._on_ended(ended.task.id)
        super().add(ended)

    def add_in_doubt(self, ended: Settlement, completed: Completed | None) -> None:
        self._remember(ended.outcome)
        super().add_in_doubt(ended, completed)

    def add_stored(self, task: WorkerTask) -> None:
        self._on_ended(task.id)
        super().add_stored(task)

    def _remember(self, outcome: Outcome) -> None:
        self.last = outcome
        if isinstance(outcome, Released):
            self.given_back += 1

    def refused(self, task_id: TaskId) -> None:
        self.not_accepted.add(task_id)
        super().refused(task_id)


async def within(seconds: float, call: Awaitable[R]) -> R:
    """The answer of a database call. Raises DatabaseUnavailable when there is none in time."""
    try:
        async with asyncio.timeout(seconds):
            return await call
    except TimeoutError as error:
        raise DatabaseUnavailable(f"no answer within {seconds:g} s", outcome_unknown=True) from error
