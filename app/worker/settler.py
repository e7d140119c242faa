"""Settler: gathers outcomes and progress, and stores them in batches that are kept until they are stored."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from app.domain.errors import QueueError
from app.domain.identifiers import TaskId
from app.domain.tasks.failures import Failure
from app.domain.tasks.outcomes import Completed, Failed, RetryIn, Snoozed
from app.domain.tasks.repository import Settlement
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.settle import ReportedProgress, ReportProgress, SettleInDoubt, SettleTasks
from app.usecases.transaction import UnitOfWork
from app.worker.pauses import Pauses, bounded, until_done, waited

_log = logging.getLogger("app.worker")

BATCH = 500
"""Outcomes per statement; larger batches gain 5 to 15 % and hold their locks longer."""
PROGRESS_INTERVAL = 1.0
"""Seconds from one stored report of an attempt to its next; its last one is stored with its end."""


_Lease = tuple[TaskId, int]


def _lease(task: WorkerTask) -> _Lease:
    return task.id, task.lease_seq


class Settler:
    """Whatever ended while a flush was under way goes into the next one: no delay when idle, batches under load.

    Of what an attempt reports, the first is stored at once, then the latest each second, and the last with its end.
    """

    def __init__(self, unit_of_work: UnitOfWork, *, on_put_back: Callable[[float], None]) -> None:
        """*on_put_back* is told in how many seconds a task that was put back falls due."""
        self._unit_of_work = unit_of_work
        self._on_put_back = on_put_back
        self._ended: list[Settlement] = []
        self._in_doubt: dict[asyncio.Task[None], TaskId] = {}
        self._reports: dict[_Lease, ReportedProgress] = {}
        self._reported_at: dict[_Lease, float] = {}
        """When a report was last stored, of attempts that run; by the loop's clock."""
        self._ended_meanwhile: set[_Lease] = set()
        """Attempts stored elsewhere since the last flush began: their reports have nowhere to go."""
        self._changed = asyncio.Event()
        self._settled = asyncio.Event()
        self._settled.set()
        self._pauses = Pauses("Settling")
        self._again = False

    def add(self, ended: Settlement) -> None:
        self._ended.append(ended)
        if ended.checkpoint is not None:
            self._save_once(ended.task)
        if len(self._ended) == 1:
            self._settled.clear()
            self._changed.set()

    def add_stored(self, task: WorkerTask) -> None:
        """An attempt of *task* has ended, and its outcome is stored already: with what its handler did."""
        self._reports.pop(_lease(task), None)
        if self._reported_at.pop(_lease(task), None) is not None:
            self._ended_meanwhile.add(_lease(task))

    def add_in_doubt(self, ended: Settlement, completed: Completed | None) -> None:
        """See SettleInDoubt. In a task of its own, because it may have to wait for a lock, and the others must not."""
        self._settled.clear()
        settling = asyncio.get_running_loop().create_task(self._settle_in_doubt(ended, completed), name="in doubt")
        self._in_doubt[settling] = ended.task.id
        settling.add_done_callback(self._settled_in_doubt)

    def report(self, progress: ReportedProgress) -> None:
        """Keep the latest report of each attempt until it is time for it."""
        lease = _lease(progress.task)
        before = self._reports.get(lease)
        self._reports[lease] = progress.after(before)
        if before is None:
            self._changed.set()

    def _save_once(self, task: WorkerTask) -> None:
        """What is stored with the end of an attempt of *task* need not be stored with its progress, too."""
        if (report := self._reports.pop(_lease(task), None)) is not None and report.percent is not None:
            self._reports[_lease(task)] = replace(report, checkpoint=None)

    @property
    def is_behind(self) -> bool:
        """Whether flushes are failing, so that claiming more would only add to what cannot be stored."""
        return self._again and len(self._ended) > 0

    def task_ids(self) -> set[TaskId]:
        """The tasks whose outcomes are not stored yet."""
        return {one.task.id for one in self._ended} | set(self._in_doubt.values())

    async def run(self) -> None:
        """Flush until cancelled."""
        try:
            await self._run()
        finally:
            for settling in tuple(self._in_doubt):
                settling.cancel()

    async def _run(self) -> None:
        while True:
            pause = self._until_report()
            await (self._changed.wait() if pause is None else waited(self._changed, pause))
            self._changed.clear()
            while self._ended or self._until_report() == 0:
                try:
                    await self._flush()
                except Exception as error:  # a settler that ends would leave a worker behind that stores nothing
                    # What was sent may have been stored all the same: ask, the next time something is refused.
                    self._again = True
                    await asyncio.sleep(self._pauses.failed(error))
                else:
                    self._pauses.succeeded()
                    self._again = False
            self._all_settled()

    async def wait_until_settled(self, timeout: float) -> bool:
        return await waited(self._settled, timeout)

    async def _flush(self) -> None:
        batch = self._ended[:BATCH]
        self._ended_meanwhile.clear()
        reports = self._due_reports(batch) if self._reports else []
        try:
            await self._store(batch, reports)
        except QueueError:
            for report in reports:
                if _lease(report.task) in self._ended_meanwhile:
                    continue
                later = self._reports.get(_lease(report.task))
                self._reports[_lease(report.task)] = report if later is None else later.after(report)
            raise
        except Exception:
            # Some of it may be stored: what needs another statement may have been refused after that.
            self._again = True
            _log.exception("A batch of %d outcomes could not be stored; trying them one by one", len(batch))
            for one in batch:
                await self._store_alone(one)
                self._stored(1)
        else:
            self._stored(len(batch))

    async def _settle_in_doubt(self, ended: Settlement, completed: Completed | None) -> None:
        async def kept(one: Settlement, despite: type[Exception]) -> bool | None:
            call = partial(self._unit_of_work.arun, SettleInDoubt(), one, completed)
            return await until_done("Settling", call, asyncio.Event(), despite=despite)

        try:
            accepted = await kept(ended, QueueError)
        except Exception as error:
            ended = _not_storable(ended, error)
            accepted = await kept(ended, Exception)
        if not accepted:
            self.refused(ended.task.id)
        if isinstance(ended.outcome, RetryIn | Snoozed):
            self._on_put_back(ended.outcome.delay)

    def _settled_in_doubt(self, settling: "asyncio.Task[None]") -> None:
        del self._in_doubt[settling]
        self._all_settled()

    def _all_settled(self) -> None:
        if not self._ended and not self._in_doubt:
            self._settled.set()

    def _stored(self, count: int) -> None:
        for one in self._ended[:count]:
            if isinstance(one.outcome, RetryIn | Snoozed):
                self._on_put_back(one.outcome.delay)
            if self._reported_at:
                self._reported_at.pop(_lease(one.task), None)
        del self._ended[:count]

    def _until_report(self) -> float | None:
        """Seconds until the next report is to be stored; None when there is none."""
        if not self._reports:
            return None
        due_at = min(self._reported_at.get(lease, float("-inf")) for lease in self._reports) + PROGRESS_INTERVAL
        return max(0.0, due_at - asyncio.get_running_loop().time())

    def _due_reports(self, batch: Sequence[Settlement]) -> list[ReportedProgress]:
        """Take the reports whose time has come, or whose attempts end in this *batch*."""
        now = asyncio.get_running_loop().time()
        ending = {_lease(one.task) for one in batch}
        due = [
            lease
            for lease in self._reports
            if lease in ending or now >= self._reported_at.get(lease, float("-inf")) + PROGRESS_INTERVAL
        ]
        for lease in due:
            self._reported_at[lease] = now
        return [self._reports.pop(lease) for lease in due]

    async def _store(self, batch: Sequence[Settlement], reports: Sequence[ReportedProgress]) -> None:
        if reports:
            await bounded(self._unit_of_work.arun(ReportProgress(), reports))
        if not batch:
            return
        for refused in await bounded(self._unit_of_work.arun(SettleTasks(), batch, again=self._again)):
            self.refused(refused)

    def refused(self, task_id: TaskId) -> None:
        """The outcome of this task was not accepted."""
        _log.warning("Task %s is no longer this worker's: its lease was lost, its outcome is dropped", task_id)

    async def _store_alone(self, one: Settlement) -> None:
        """One outcome that the database will not hold must not keep the others from being stored."""
        try:
            await self._store([one], [])
        except QueueError:
            raise
        except Exception as error:
            await self._store([_not_storable(one, error)], [])


def _not_storable(one: Settlement, error: Exception) -> Settlement:
    """What is stored instead of *one*, which the database refuses with *error*."""
    _log.error("The outcome of task %s cannot be stored; it is stored as failed", one.task.id, exc_info=error)
    failure = Failure("OutcomeNotStorable", f"the database refused the outcome: {type(error).__name__}")
    return Settlement(one.task, Failed(failure))
