"""Worker: starts its services in order, and stops them in reverse without losing anything."""

import asyncio
import logging
from collections.abc import Callable, Coroutine
from datetime import timedelta
from typing import Any

from app.domain.jobs.catalog import JobCatalog
from app.domain.notifications import Notifications
from app.domain.tasks.repository import ClaimRequest
from app.domain.upkeep import Vacuum
from app.usecases.tasks.recover import RecoverTasks
from app.usecases.tasks.release import ReleaseHeld
from app.usecases.transaction import UnitOfWork
from app.usecases.workers import RegisterWorker, RemoveWorker
from app.worker.calls import Calls, Isolate
from app.worker.claimer import Claimer
from app.worker.greeting import say_what_runs
from app.worker.hearing import Hearing
from app.worker.heartbeat import Heartbeat
from app.worker.interruption import CANCEL_GRACE, Interruption
from app.worker.layers import Offload
from app.worker.maintenance import Maintenance
from app.worker.options import WorkerOptions
from app.worker.pauses import bounded, until_done
from app.worker.receivers import EventReceivers
from app.worker.schedules import ScheduleLoop
from app.worker.settler import Settler
from app.worker.slots import Slots
from app.worker.stint import LEAST, Stint, new_life
from app.worker.stopping import Stopping, signals_to
from app.worker.tick import Ticks
from app.worker.upkeep import UpkeepLoop

_log = logging.getLogger("app.worker")

FLUSH_TIMEOUT = 10.0
"""Seconds a stopping worker tries to store its last outcomes; what it cannot is recovered by others."""
CLAIM_GRACE = 5.0
"""Seconds a claim under way has at least to bring its answer."""


class Worker:
    """One worker process: claims due tasks, runs their handlers, settles how they ended.

    ``heart`` is a unit of work with a connection pool of its own, so that beating never waits for a connection.
    ``verify`` raises SchemaMismatch when the database is not the one this version works with.
    """

    def __init__(
        self,
        unit_of_work: UnitOfWork,
        heart: UnitOfWork,
        jobs: JobCatalog,
        calls: Callable[[Offload, Isolate], Calls],
        options: WorkerOptions,
        *,
        notifications: Notifications,
        vacuum: Vacuum,
        receivers: EventReceivers,
        verify: Callable[[], None],
        max_result: int,
        stint: Callable[..., Stint],
        schedules: ScheduleLoop,
    ) -> None:
        schedules.check()
        self.schedules = schedules
        self.options = options
        self.stopping = Stopping()
        self._unit_of_work = unit_of_work
        self._heart = heart
        self._jobs = jobs
        self._types = jobs.types(options.types)
        self._versions = jobs.versions(self._types)
        self._notifications = notifications
        self._receivers = receivers
        self._verify = verify
        self._node = new_life(self.options, self._types, self._versions)
        recover = RecoverTasks(jobs, poison_after=options.poison_after)
        self._ticks = Ticks(stint, unit_of_work, options, self._request(1), recover, schedules=schedules, verify=verify)
        self._settler = Settler(unit_of_work, on_put_back=self._put_back)
        self._slots = Slots(
            options,
            jobs,
            calls,
            self._settler,
            max_result=max_result,
            shutting_down=lambda: self.stopping.requested,
            on_free=self._slot_freed,
        )
        self._slots.prepare_all()
        self._claimer = Claimer(
            unit_of_work,
            self._slots,
            self._settler,
            request=self._request,
            hears=lambda: notifications.hears,
            is_stopping=lambda: self.stopping.requested,
            poll_interval=options.poll_interval,
            adopt_interval=options.stale_check_interval,
        )
        self._hearing = Hearing(wake=self._wake, cancel=self._slots.cancel, lost=self._begin_again)
        self._coming_back: asyncio.Task[None] | None = None
        self._heartbeat = Heartbeat(
            heart,
            options.lease,
            hears=lambda: notifications.hears,
            on_lost=self._hearing.lost,
            on_cancel=self._hearing.cancel,
        )
        self._maintenance = Maintenance(
            heart, jobs, self._heartbeat, recover, interval=options.stale_check_interval, lease=options.lease
        )

        self.upkeep = UpkeepLoop(heart, vacuum, jobs, options.retention, dead_letter_ttl=options.dead_letter_ttl)

    @property
    def id(self) -> str:
        """The id of the present life."""
        return self._node.id

    @property
    def left_behind(self) -> int:
        """Handlers that outlived their attempts and still run: threads, and coroutines that swallow cancellation."""
        return self._slots.left_behind

    @property
    def finished(self) -> int:
        """Attempts that have ended so far."""
        return self._slots.finished

    @property
    def is_stopping(self) -> bool:
        return self.stopping.requested

    def stop(self, by: str = "") -> None:
        """Ask the worker to stop; asked again *by* the same, it does not wait for what runs. From any thread."""
        self.stopping.request(by)
        self._ticks.stop()

    async def run(self) -> None:
        """Work until stopped by SIGTERM, SIGINT or stop().

        Then: nothing more is claimed, running attempts have ``shutdown_grace`` seconds, the rest are cancelled and
        given back with no attempt spent. Raises SchemaMismatch at the start; an absent database is waited for.
        """
        await self._serve(self._claimer.run)

    async def tick(self, budget: float | timedelta = 20, max_tasks: int = 100) -> int:
        """Run what is due within *budget* seconds, *max_tasks* attempts at most; returns the number of attempts run.

        For platforms that call a program by the clock. Nothing is left behind: no lease, no registered worker, no
        thread, no listening connection. Nothing is claimed that, going by the longest attempt so far, would not end in
        time; what still runs shortly before the end is interrupted and given back, with no attempt spent and not
        counted. A process that is killed in between leaves its tasks to recovery, as any worker.

        An empty queue costs three statements that only read. May be called again and again, on any event loop, and by
        several processes at once. SIGTERM, SIGINT and stop() end it in good order, after which it does nothing more.
        Raises InvalidInput, DatabaseUnavailable, SchemaMismatch: an absent database is not waited for.
        """
        if self.stopping.requested:
            return 0
        with signals_to(self.stop):
            ran = await self._ticks.run(budget, max_tasks)
        await self._receivers.aclose(LEAST)
        return ran

    async def drain(self) -> int:
        """Work until nothing is due any more, or stopped; returns the number of attempts run."""
        await self._serve(self._claimer.run_dry)
        return self.finished

    def give_back_everything(self) -> None:
        """Release all tasks of this worker without the help of the event loop: the last resort of a stuck process."""
        self._heart.run(ReleaseHeld(), self._node.id)

    async def _serve(self, claim: Callable[[], Coroutine[Any, Any, None]]) -> None:
        self._hearing.attach()
        self.stopping.attach()
        self._slots.attach()
        with signals_to(self.stop):
            stop = self.stopping.event
            await until_done("Schema", lambda: asyncio.to_thread(self._verify), stop)
            await until_done("Schedules", lambda: asyncio.to_thread(self.schedules.look), stop)
            await until_done("Registering", self._register, stop)
            if stop.is_set():
                return
            self._heartbeat.start(self._node.id)
            self.upkeep.start()
            self.schedules.start()
            self._notifications.start(self._hearing.wake, self._hearing.cancel, self.schedules.wake)
            settling = asyncio.create_task(self._settler.run(), name="settler")
            maintaining = asyncio.create_task(self._maintenance.run(), name="maintenance")
            claiming = asyncio.create_task(claim(), name="claimer")
            say_what_runs(self._node, self._jobs, self.options.types)
            services = (settling, maintaining, claiming)
            cancelled = await self._until_stopped(claiming)
            try:
                await self._end_attempts(claiming)
                if not await self._settler.wait_until_settled(FLUSH_TIMEOUT):
                    _log.error("The last outcomes could not be stored; their tasks are recovered by others")
                await self._leave()
            finally:
                for service in services:
                    service.cancel()
                self._notifications.stop()
                self._heartbeat.stop()
                self.upkeep.stop()
                self.schedules.stop()
                await self._slots.aclose()
            await self._receivers.aclose()
            _log.info("Worker %s has stopped after %d attempt(s)", self._node.id, self._slots.finished)
            if cancelled:
                raise asyncio.CancelledError
            if claiming.done() and not claiming.cancelled():
                claiming.result()  # what ended the claiming ends the run

    async def _until_stopped(self, claiming: "asyncio.Task[None]") -> bool:
        """Wait for the end of the work; whether it came by cancelling this coroutine, which asks for a hurried one."""
        stopped = asyncio.ensure_future(self.stopping.event.wait())
        try:
            await asyncio.wait({stopped, claiming}, return_when=asyncio.FIRST_COMPLETED)
            return False
        except asyncio.CancelledError:
            self.stop()
            self.stop()
            return True
        finally:
            stopped.cancel()

    async def _end_attempts(self, claiming: "asyncio.Task[None]") -> None:
        grace = asyncio.get_running_loop().time() + self.options.shutdown_grace
        self._claimer.close()
        self._slots.tell_stopping()
        # Not cancelled at once: the answer of a claim under way names tasks that are ours now.
        await asyncio.wait({claiming}, timeout=max(CLAIM_GRACE, self.options.shutdown_grace))
        claiming.cancel()
        emptied = asyncio.ensure_future(self._slots.wait_until_empty())
        hurried = asyncio.ensure_future(self.stopping.hurry.wait())
        await asyncio.wait(
            {emptied, hurried},
            timeout=max(0.0, grace - asyncio.get_running_loop().time()),
            return_when=asyncio.FIRST_COMPLETED,
        )
        hurried.cancel()
        if not emptied.done():
            _log.info("Giving back %d running task(s)", self._slots.running)
            self._slots.interrupt_all(Interruption.SHUTDOWN)
            await asyncio.wait({emptied}, timeout=2 * CANCEL_GRACE)
        emptied.cancel()

    async def _leave(self) -> None:
        try:
            await bounded(self._unit_of_work.arun(RemoveWorker(), self._node.id))
        except Exception as error:  # the lease will run out by itself
            _log.warning("Could not sign off, the lease runs out by itself: %s", error)

    async def _register(self) -> None:
        await self._unit_of_work.arun(RegisterWorker(), self._node)

    def _request(self, limit: int) -> ClaimRequest:
        return ClaimRequest(
            worker_id=self._node.id,
            types=self._types,
            versions=self._versions,
            queues=self.options.queues,
            limit=limit,
        )

    def _put_back(self, delay: float) -> None:
        self._claimer.due_in(delay)

    def _slot_freed(self) -> None:
        self._claimer.slot_freed()

    def _wake(self, queue: str) -> None:
        if not queue or not self.options.queues or queue in self.options.queues:
            self._claimer.wake(queue)

    def _begin_again(self, worker_id: str) -> None:
        if worker_id != self._node.id or self.stopping.requested:
            return
        _log.error(
            "Worker %s fell silent for longer than its lease and was taken for dead: its attempts are cancelled, and it"
            " comes back under a new id",
            worker_id,
        )
        self._slots.interrupt_all(Interruption.LEASE_LOST)
        self._node = new_life(self.options, self._types, self._versions)
        self._coming_back = asyncio.get_running_loop().create_task(self._come_back())

    async def _come_back(self) -> None:
        # Whatever the trouble is: a worker that stays away is a deaf one.
        await until_done("Registering", self._register, self.stopping.event, despite=Exception)
        self._heartbeat.start(self._node.id)
        self._claimer.wake()
