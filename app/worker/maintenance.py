"""Maintenance: takes back the tasks of dead workers, ends what has expired, and says what nobody knows how to do."""

import asyncio
import logging

from app.domain.health import WaitingType
from app.domain.jobs.catalog import JobCatalog
from app.usecases.check import FindUnknown
from app.usecases.tasks.expire import ExpireTasks
from app.usecases.tasks.recover import RecoverTasks
from app.usecases.transaction import UnitOfWork
from app.worker.heartbeat import Heartbeat
from app.worker.pauses import Pauses, bounded

_log = logging.getLogger("app.worker")

SETTLING = 5.0
"""Seconds to let pass after trouble with the database: every lease ran out during a long outage, and the living must
have had the time to renew theirs. Their pause between tries is two seconds at most."""
_CHECKS_PER_LOOK = 4
_CHECKS_PER_SEARCH = 20


class Maintenance:
    """Every worker does it; the statements skip what another one holds."""

    def __init__(
        self,
        unit_of_work: UnitOfWork,
        jobs: JobCatalog,
        heartbeat: Heartbeat,
        recover: RecoverTasks,
        *,
        interval: float,
        lease: float,
    ) -> None:
        self._unit_of_work = unit_of_work
        self._jobs = jobs
        self._heartbeat = heartbeat
        self._interval = interval
        self._settling = min(SETTLING, lease)
        self._recover_tasks = recover
        self._warned: set[tuple[str, int]] = set()

    async def run(self) -> None:
        """Check until cancelled."""
        recovery, expiry = Pauses("Recovery"), Pauses("Expiry")
        checks = 0
        while True:
            pause = self._interval
            try:
                if (wait := self._settling - self._heartbeat.steady_for()) > 0:
                    pause = min(wait, pause)
                else:
                    await self._recover(thorough=checks % _CHECKS_PER_SEARCH == 0)
                if checks % _CHECKS_PER_LOOK == 0:
                    await self._look_at_types()
                checks += 1
                recovery.succeeded()
            except Exception as error:  # a maintenance that ends would leave orphans behind
                pause = recovery.failed(error)
            try:
                await self._expire()
                expiry.succeeded()
            except Exception as error:  # neither of the two is in the other's way
                pause = min(pause, expiry.failed(error))
            await asyncio.sleep(pause)

    async def _recover(self, *, thorough: bool) -> None:
        while True:
            recovered = await bounded(self._unit_of_work.arun(self._recover_tasks, thorough=thorough))
            if recovered:
                _log.warning("Took %d task(s) back from workers that fell silent", recovered)
            if recovered < self._recover_tasks.batch:
                return
            thorough = True

    async def _expire(self) -> None:
        expire = ExpireTasks(self._jobs)
        while (expired := await bounded(self._unit_of_work.arun(expire))) > 0:
            _log.info("Cancelled %d task(s) that were not started in time", expired)
            if expired < expire.batch:
                return

    async def _look_at_types(self) -> None:
        unknown = await bounded(self._unit_of_work.arun(FindUnknown(self._jobs)))
        for waiting in unknown.types:
            self._warn_once(waiting, 0, "that type")
        for waiting in unknown.versions:
            self._warn_once(waiting, waiting.version, f"version {waiting.version} of it")

    def _warn_once(self, waiting: WaitingType, version: int, what: str) -> None:
        if (waiting.type, version) not in self._warned:
            self._warned.add((waiting.type, version))
            _log.warning(
                "%d due task(s) of type %r wait for a worker that knows %s; none is alive",
                waiting.count,
                waiting.type,
                what,
            )
