"""Claimer: keeps the slots filled; looks when woken, when a slot is freed, when something falls due, at intervals."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace

from app.domain.errors import DatabaseUnavailable, SchemaMismatch
from app.domain.tasks.repository import ClaimRequest
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.claim import AdoptLostClaims, ClaimTasks, NextDue, TimeFront
from app.usecases.transaction import UnitOfWork
from app.worker.bookmarks import Bookmarks
from app.worker.pauses import Pauses, bounded, waited
from app.worker.settler import Settler
from app.worker.slots import Slots

_log = logging.getLogger("app.worker")

ADOPTIONS = 4
"""How often to look for claims that got lost after one has failed; the search reads the whole table of tasks."""
PROMOTE_INTERVAL = 1.0
"""Seconds at most, for a worker that is never idle, until a scheduled task that fell due stands in line."""
_QUIET = 0.05
"""Seconds after a claim until the worker asks what falls due next; while tasks keep coming, every claim would ask."""
FEW = 5
"""In so many queues at most a claim looks alone when they were named; for more, a look into all costs less."""
BREATH = 0.05
"""Seconds between looks at tasks that are due and cannot be had, because somebody has them locked."""


class Claimer:
    """One claim at a time, for as many tasks as there are free slots.

    ``request`` says for whom and what; ``hears`` whether notifications arrive; ``is_stopping`` whether nothing more is
    to be claimed, which is true a moment before ``close`` is called. A claim that filled every free slot
    suggests that there is more: the next freed slot is refilled at once. One that did not has emptied the queue: then
    only a notification, a due time or the poll interval is reason to look again; and when notifications named a queue,
    it is looked into alone, which the database does in half the time. No claim takes more than the half of many slots,
    so that the database hands out one half while the other is run.
    """

    def __init__(
        self,
        unit_of_work: UnitOfWork,
        slots: Slots,
        settler: Settler,
        *,
        request: Callable[[int], ClaimRequest],
        hears: Callable[[], bool | None],
        is_stopping: Callable[[], bool],
        poll_interval: float,
        adopt_interval: float,
    ) -> None:
        self._unit_of_work = unit_of_work
        self._slots = slots
        self._settler = settler
        self._request = request
        self._hears = hears
        self._is_stopping = is_stopping
        self._poll_interval = poll_interval
        self._adopt_interval = adopt_interval
        self._pauses = Pauses("Claiming")
        self._bookmarks = Bookmarks()
        self._changed = asyncio.Event()
        self._look = True
        self._told: set[str] = set()
        self._only_polling = False
        self._due_at: float | None = None
        self._ask_at: float | None = None
        self._promote_at = 0.0
        self._adopt_at = 0.0
        self._adoptions = 0
        self._closing = False

    def wake(self, queue: str = "") -> None:
        """There may be something to claim, in *queue* if one is named."""
        if queue:
            self._told.add(queue)
        else:
            self._look = True
        self._changed.set()

    def slot_freed(self) -> None:
        if self._hears() is not True:
            self._look = True  # nobody would tell us that there is more
        self._changed.set()

    def due_in(self, seconds: float) -> None:
        """A task of ours was put back and falls due then; said here, because the notification of it may be lost."""
        at = asyncio.get_running_loop().time() + seconds
        if self._due_at is None or at < self._due_at:
            self._due_at = at
            self._changed.set()

    def close(self) -> None:
        self._closing = True
        self._changed.set()

    async def run(self) -> None:
        """Claim until closed."""
        while await self._reason_to_look():
            try:
                await self._claim()
            except (DatabaseUnavailable, SchemaMismatch) as error:
                await self._failed(error)
            except Exception as error:  # a loop that ends would leave a deaf worker behind
                await self._failed(error)

    async def run_dry(self) -> None:
        """Claim until nothing is due and everything that was has been settled."""
        while not (self._closing or self._is_stopping()):
            # Before the look, so that a slot freed during it counts for the next.
            self._changed.clear()
            try:
                if self._slots.running == 0 and self._slots.free <= 0:
                    _log.error("Handlers that outlived their attempts take up every slot: the rest is left undone")
                    return
                if await self._claim() == 0 and self._slots.running == 0:
                    if await self._settler.wait_until_settled(self._poll_interval) and await self._next_due() != 0:
                        return
                    await asyncio.sleep(BREATH)
                elif self._slots.running and not self._look:
                    await self._next_due()
            except (DatabaseUnavailable, SchemaMismatch) as error:
                await self._failed(error)
            if self._look and self._slots.free > 0:
                continue  # a claim takes half of the slots at most
            if self._slots.running:
                due_in = self._poll_interval
                if self._due_at is not None and self._slots.free > 0:
                    due_in = min(due_in, max(0.0, self._due_at - asyncio.get_running_loop().time()))
                await waited(self._changed, due_in)

    async def _failed(self, error: Exception) -> None:
        # The claim may have been committed and only its answer lost.
        self._adopt_at = 0.0
        self._adoptions = ADOPTIONS
        self._look = True
        await asyncio.sleep(self._pauses.failed(error))

    async def _reason_to_look(self) -> bool:
        """Wait for one; False when closed."""
        loop = asyncio.get_running_loop()
        polled_at = loop.time() + self._poll_interval
        while not (self._closing or self._is_stopping()):
            now = loop.time()
            if self._due_at is not None and now >= self._due_at:
                self._look = True
                self._due_at = None
                self._promote_at = 0.0
            elif now >= min(polled_at, self._ask_at or polled_at) and not self._look:
                self._look = self._only_polling = True
            has_room = self._slots.free > 0 and not self._settler.is_behind
            if (self._look or self._told) and has_room:
                return True
            # Without room only a change helps: a freed slot, or the end of a trouble that is looked at again each poll.
            until = min(polled_at, self._due_at or polled_at, self._ask_at or polled_at)
            self._changed.clear()
            await waited(self._changed, max(0.0, until - now) if has_room else min(1.0, self._poll_interval))
        return False

    async def _claim(self) -> int:
        room = min(self._slots.free, self._slots.batch)
        if room <= 0:
            return 0
        request = self._request(room)
        # What is in the others, or falls due, is asked for a moment later: see _QUIET.
        named = () if self._look or len(self._told) > FEW else tuple(self._told)
        if named:
            request = replace(request, queues=named)
        # Before the claim, so that a notification during it counts for the next.
        self._look = False
        self._told.clear()
        lost = await self._adopt(request)
        if lost:
            room = max(0, room - len(lost))
        claimed: list[WorkerTask] = []
        searched: float | None = None
        polled, self._only_polling = self._only_polling, False
        after = self._bookmarks.after(asyncio.get_running_loop().time())
        # A look locks nothing; when there is no better reason than the time, it may spare the claim.
        spared = polled and await self._next_due() != 0
        looks = bool(room and request.types and not spared and after is not None)
        if looks:
            promote = not named and self._time_to_promote()
            asked = replace(request, limit=room, promote=promote, after=after or ())
            claimed, searched = await bounded(self._unit_of_work.arun(ClaimTasks(), asked))
        self._pauses.succeeded()
        self._slots.start([*lost, *claimed], request.worker_id)
        if len(claimed) < room:
            # They begin before we ask for more. When there is more, the database hands it out while they begin.
            await asyncio.sleep(0)
        if looks and not after:
            await self._time_the_front(request, searched)
        self._bookmarks.claimed(claimed)
        if len(claimed) >= room:
            self._look = True
        elif not spared and after != ():
            self._look_at_the_front_later()
        elif polled and not spared and not claimed:
            # Due, and not to be had: somebody has it locked, or we were buried and do not know it yet.
            self._due_at = asyncio.get_running_loop().time() + BREATH
        elif not spared and self._ask_at is None:
            self._ask_at = asyncio.get_running_loop().time() + _QUIET
        return len(lost) + len(claimed)

    async def _time_the_front(self, request: ClaimRequest, searched: float | None) -> None:
        """By the database's clock; our own would count whatever else this process does meanwhile."""
        now = asyncio.get_running_loop().time()
        if searched is None and now >= self._bookmarks.front_at:
            # Nothing was there to tell the time by.
            searched = await bounded(self._unit_of_work.arun(TimeFront(), replace(request, limit=1)))
        if searched is not None:
            self._bookmarks.timed(searched, now)

    def _look_at_the_front_later(self) -> None:
        """A claim onwards that brought less than there was room for does not mean that there is no more."""
        now = asyncio.get_running_loop().time()
        if self._due_at is None or not now < self._due_at < self._bookmarks.front_at:
            self._due_at = self._bookmarks.front_at

    async def _next_due(self) -> float | None:
        """Ask when something falls due, and be awake then."""
        self._ask_at = None
        request = self._request(1)
        due = await bounded(self._unit_of_work.arun(NextDue(), request)) if request.types else None
        self._due_at = None if due is None else asyncio.get_running_loop().time() + due
        if due == 0:
            self._promote_at = 0.0
        return due

    def _time_to_promote(self) -> bool:
        """Whether scheduled tasks may have fallen due since the last claim that looked for them."""
        now = asyncio.get_running_loop().time()
        if now < self._promote_at:
            return False
        self._promote_at = now + min(PROMOTE_INTERVAL, self._poll_interval)
        return True

    async def _adopt(self, request: ClaimRequest) -> list[WorkerTask]:
        """After a failure, and some more times: tasks claimed for us of which we know nothing.

        More than once, because the server may still be at work on a claim whose connection we have given up.
        """
        now = asyncio.get_running_loop().time()
        if not self._adoptions or now < self._adopt_at:
            return []
        known = self._slots.task_ids() | self._settler.task_ids()
        lost = await bounded(self._unit_of_work.arun(AdoptLostClaims(), request.worker_id, known))
        self._adopt_at = now + self._adopt_interval
        self._adoptions -= 1
        for task in lost:
            _log.warning("Task %s was claimed for this worker, and the answer got lost: running it now", task.id)
        return lost
