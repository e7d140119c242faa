"""Tick: what is due, worked off within a budget of seconds, for platforms that call by the clock and freeze or kill
what runs on."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TypeVar

from app.domain.moments import checked_seconds
from app.domain.numbers import checked_whole_number
from app.domain.tasks.repository import ClaimRequest
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.claim import ClaimTasks, NextDue
from app.usecases.tasks.expire import ExpireTasks
from app.usecases.tasks.recover import RecoverTasks
from app.usecases.transaction import UnitOfWork
from app.usecases.workers import AnythingOverdue, RegisterWorker
from app.worker.claimer import BREATH, PROMOTE_INTERVAL
from app.worker.maintenance import SETTLING
from app.worker.options import WorkerOptions
from app.worker.pauses import waited
from app.worker.schedules import ScheduleLoop
from app.worker.stint import LEAST, Stint, to_its_end, within
from app.worker.stopping import Stopping

R = TypeVar("R")

_SHARE_OF_THE_END = 0.1
_LONGEST_END = 2.0
"""Seconds of the budget at most, and the share of a small one, that are kept for interrupting, settling, leaving."""


class Ticks:
    """The ticks of one worker, which may overlap."""

    def __init__(
        self,
        stint: Callable[..., Stint],
        unit_of_work: UnitOfWork,
        options: WorkerOptions,
        request: ClaimRequest,
        recover: RecoverTasks,
        *,
        schedules: ScheduleLoop,
        verify: Callable[[], None],
    ) -> None:
        fire = partial(schedules.alook, unit_of_work)
        self._new = partial(Tick, stint, unit_of_work, options, request, recover, fire=fire, verify=self._verified)
        self._verify = verify
        self._is_verified = False
        self._under_way: list[Tick] = []

    async def run(self, budget: float | timedelta, max_tasks: int) -> int:
        """The number of attempts run. Raises InvalidInput."""
        seconds = checked_seconds("budget", budget, positive=True)
        tick = self._new(budget=seconds, max_tasks=checked_whole_number("max_tasks", max_tasks, low=1))
        self._under_way.append(tick)
        try:
            return await tick.run()
        finally:
            self._under_way.remove(tick)

    def stop(self) -> None:
        """As in Tick, for those that are under way."""
        for tick in tuple(self._under_way):
            tick.stop()

    async def _verified(self) -> None:
        # Once for all of them, and in a thread that does not stay.
        if self._is_verified:
            return
        thread = ThreadPoolExecutor(1, thread_name_prefix="app-verify")
        try:
            await asyncio.get_running_loop().run_in_executor(thread, self._verify)
        finally:
            thread.shutdown(wait=False)
        self._is_verified = True


class Tick:
    """One call: looks, and only when something is due registers a worker, runs it, settles it and signs off.

    An empty queue costs three statements, and none writes: does a schedule tick, is a worker silent or has a task
    expired, is anything due. Workers that fell
    silent are buried once, at the end, and not before those who live had the time to renew their leases after an outage
    of the database (see maintenance.SETTLING); what is taken back from them is run with the rest of the budget.
    """

    def __init__(
        self,
        stint: Callable[..., Stint],
        unit_of_work: UnitOfWork,
        options: WorkerOptions,
        request: ClaimRequest,
        recover: RecoverTasks,
        *,
        fire: Callable[[], Awaitable[None]],
        verify: Callable[[], Awaitable[None]],
        budget: float,
        max_tasks: int,
    ) -> None:
        self._new_stint = stint
        self._unit_of_work = unit_of_work
        self._options = options
        self._request = request
        self._recover_tasks = recover
        self._expire_tasks = ExpireTasks(recover.jobs)
        self._fire = fire
        self._verify = verify
        self._budget = budget
        self._max_tasks = max_tasks
        self._stopping = Stopping()
        self._changed = asyncio.Event()
        self._ran = 0
        self._started = 0
        self._promote_at = 0.0

    async def run(self) -> int:
        """The number of attempts run. Raises what the database does, once everything is in order that can be."""
        return await to_its_end(self._work(), hurry=self._hurry)

    def stop(self) -> None:
        """Claim nothing more; said again, do not wait for what runs. From any thread, and from signal handlers."""
        self._stopping.request()
        loop = getattr(self, "_loop", None)
        if loop is not None:
            with suppress(RuntimeError):  # it has ended already
                loop.call_soon_threadsafe(self._changed.set)

    def _hurry(self) -> None:
        self.stop()
        self.stop()

    async def _work(self) -> int:
        self._loop = asyncio.get_running_loop()
        self._stopping.attach()
        began = self._loop.time()
        self._end_at = began + self._budget
        self._interrupt_at = self._end_at - min(_LONGEST_END, self._budget * _SHARE_OF_THE_END)
        await self._ask(self._fire())
        overdue = await self._ask(self._unit_of_work.arun(AnythingOverdue()))
        due = await self._is_due()
        if not any(overdue) and not due:
            return 0
        await self._ask(self._verify())
        if overdue.tasks:
            await self._until_done(self._expire_tasks)
        if due:
            await self._stay()
        if overdue.workers and not self._stopping.requested:
            settling = min(SETTLING, self._options.lease, self._budget / 2)
            await waited(self._stopping.event, max(0.0, began + settling - self._loop.time()))
            if await self._until_done(self._recover_tasks) and await self._is_due():
                await self._stay()
        return self._ran

    async def _stay(self) -> None:
        """Run what is due."""
        if self._stopping.requested or not self._may_claim(0.0):
            return
        stint = self._new_stint(is_stopping=lambda: self._stopping.requested, on_change=self._changed.set)
        await self._ask(self._unit_of_work.arun(RegisterWorker(), stint.node))
        stint.open()
        try:
            await self._fill(stint)
        except BaseException:
            # The claim may have been committed and only its answer lost.
            stint.in_doubt = True
            raise
        finally:
            await self._wait_for_the_rest(stint)
            await stint.close(self._end_at - self._loop.time())
            self._ran += stint.ran

    async def _fill(self, stint: Stint) -> None:
        """Claim and run, until nothing is due, or the budget or the number of tasks is spent, or we are stopped."""
        more = True
        while not self._stopping.requested and not stint.is_lost:
            self._changed.clear()
            room = self._room(stint)
            if more and room > 0:
                claimed = await self._claim(stint, room)
                stint.start(claimed)
                more = len(claimed) == room
                if not claimed:
                    await asyncio.sleep(BREATH if stint.slots.running == 0 else 0)
            elif stint.slots.running == 0:
                # What was put back, or enqueued by a handler, is seen when all is settled.
                left = self._end_at - self._loop.time()
                if room <= 0 or not await stint.settler.wait_until_settled(left) or not await self._is_due():
                    return
                more = True
            else:
                left = self._interrupt_at - self._loop.time()
                if left <= 0:
                    return
                woken = await waited(self._changed, min(left, self._options.poll_interval))
                if not woken and self._room(stint) > 0:
                    more = await self._is_due()

    async def _wait_for_the_rest(self, stint: Stint) -> None:
        """Let what runs end by itself, until the budget is spent or, when stopped, the grace of a stop."""
        left = self._interrupt_at - self._loop.time()
        if self._stopping.requested:
            left = min(left, self._options.shutdown_grace)
            stint.slots.tell_stopping()
        if stint.slots.running == 0 or left <= 0:
            return
        ended = asyncio.ensure_future(stint.slots.wait_until_empty())
        hurried = asyncio.ensure_future(self._stopping.hurry.wait())
        await asyncio.wait({ended, hurried}, timeout=left, return_when=asyncio.FIRST_COMPLETED)
        ended.cancel()
        hurried.cancel()

    async def _claim(self, stint: Stint, room: int) -> list[WorkerTask]:
        now = self._loop.time()
        promote = now >= self._promote_at
        if promote:
            self._promote_at = now + PROMOTE_INTERVAL
        asked = replace(self._request, worker_id=stint.node.id, limit=room, promote=promote)
        claimed = (await self._ask(self._unit_of_work.arun(ClaimTasks(), asked))).tasks
        self._started += len(claimed)
        return claimed

    def _room(self, stint: Stint) -> int:
        if stint.settler.is_behind or not self._may_claim(stint.longest):
            return 0
        return min(stint.slots.free, stint.slots.batch, self._max_tasks - self._started)

    def _may_claim(self, longest: float) -> bool:
        """Whether an attempt that takes as long as the *longest* of this tick could still end by itself."""
        return self._loop.time() + longest < self._interrupt_at and self._started < self._max_tasks

    async def _is_due(self) -> bool:
        if not self._request.types:
            return False
        due = await self._ask(self._unit_of_work.arun(NextDue(), self._request)) == 0
        if due:
            self._promote_at = 0.0
        return due

    async def _until_done(self, some: RecoverTasks | ExpireTasks) -> int:
        """Batch by batch; how many there were."""
        number = 0
        while (count := await self._ask(self._unit_of_work.arun(some))) == some.batch:
            number += count
        return number + count

    async def _ask(self, call: Awaitable[R]) -> R:
        return await within(max(LEAST, self._end_at - self._loop.time()), call)
