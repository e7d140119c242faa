"""ScheduleLoop: fires schedules when their ticks come, from a thread, whatever the event loop is doing."""

import threading
import time
from collections.abc import Generator
from typing import Any, TypeVar

from app.usecases.schedules.reconcile import Definitions
from app.usecases.transaction import UnitOfWork
from app.worker.pauses import Pauses
from app.worker.schedule_rounds import ScheduleRounds, Step

R = TypeVar("R")

LOOK = 15.0
"""Seconds between looks at what nobody told us of."""


class ScheduleLoop:
    """Every worker does it, without a leader: the row of a tick decides who fires it.

    ``heart`` is a unit of work with a connection pool of its own. ``succeeded_at`` is when a look last went through, by
    ``time.monotonic()``; None before the first one.
    """

    def __init__(self, heart: UnitOfWork, definitions: Definitions) -> None:
        self._unit_of_work = heart
        self._rounds = ScheduleRounds(definitions)
        self._changed = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self.succeeded_at: float | None = None

    def check(self) -> None:
        """Look at what the code says, without the database. Raises InvalidSchedule, DuplicateSchedule."""
        self._rounds.check()

    def start(self) -> None:
        """The first look of the thread comes at once."""
        if self._thread is None or not self._thread.is_alive():
            self._thread = threading.Thread(target=self._run, name="app-schedules", daemon=True)
            self._thread.start()

    def stop(self) -> None:
        """Waits a second at most: a transaction under way ends by itself, or with the process."""
        self._stopping.set()
        self._changed.set()
        if self._thread is not None:
            self._thread.join(timeout=1)

    def wake(self) -> None:
        """Schedules have changed: look again. From any thread."""
        self._changed.set()

    def look(self) -> float:
        """Before ``start``: tell the database what the code says, fire what is due. Raises what the database does."""
        self._stopping.clear()
        return self._look()

    def _look(self) -> float:
        """Returns in how many seconds to look again."""
        wait = self._taken(self._rounds.in_full(self._stopping.is_set))
        self.succeeded_at = time.monotonic()
        return LOOK if wait is None else min(wait, LOOK)

    async def alook(self, unit_of_work: UnitOfWork) -> None:
        """The same for a tick, which comes and goes, by the unit of work that it has."""
        steps = self._rounds.in_passing()
        answer, error = None, None
        while True:
            try:
                use_case, *args = steps.send(answer) if error is None else steps.throw(error)
            except StopIteration:
                return
            answer, error = None, None
            try:
                answer = await unit_of_work.arun(use_case, *args)
            except Exception as raised:
                error = raised

    def _taken(self, steps: Generator[Step, Any, R]) -> R:
        answer, error = None, None
        while True:
            try:
                use_case, *args = steps.send(answer) if error is None else steps.throw(error)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # what the generator returns
            answer, error = None, None
            try:
                answer = self._unit_of_work.run(use_case, *args)
            except Exception as raised:
                error = raised

    def _run(self) -> None:
        pauses = Pauses("Schedules")
        while not self._stopping.is_set():
            self._changed.clear()
            try:
                pause = self._look()
                pauses.succeeded()
            except Exception as error:  # a loop that ends would leave schedules that never tick
                pause = pauses.failed(error)
            self._changed.wait(pause)
