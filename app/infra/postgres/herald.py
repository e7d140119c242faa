"""Herald: tells workers, and those who wait for results, once a commit is through, that there is something to see."""

import asyncio
import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any
from weakref import WeakSet

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from app.infra.postgres.direct import DirectConnections
from app.infra.postgres.hints import NOTIFY, Hints
from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import SCHEMA

_log = logging.getLogger("app.notifications")

REST = 0.005
"""Seconds between two NOTIFYs of a process: what comes meanwhile goes into the next."""
AUTOCOMMIT = "AUTOCOMMIT"
_IDLE = 10.0
"""Seconds the thread is kept with nothing to tell."""
_LAST_WORDS = 1.0
"""Seconds that the end of a process, or of its queue, waits for what is still to be told."""

WAITED_FOR = 60.0
"""Seconds that ends of tasks are announced for, after somebody has said so."""


class Herald:
    """One NOTIFY at a time for whatever was enqueued since the last one: on the event loop of an asynchronous caller
    where there is an asynchronous engine, from a thread otherwise.

    PostgreSQL takes one lock for the whole database while a transaction that notifies commits: with the NOTIFY inside,
    enqueues would wait for each other's disks. A process that dies in between leaves workers to find out by polling.
    """

    def __init__(
        self, engine: Callable[[], Engine], async_engine: Callable[[], AsyncEngine | None], schema: str = SCHEMA
    ) -> None:
        """The engines are asked for when there is something to tell."""
        self._thread = _Thread(engine, schema)
        self._tasks = _Tasks(async_engine, schema)
        self._waited_for_until = float("-inf")

    def tell(self, hints: Hints) -> None:
        """Have *hints* said soon; returns at once, from any thread."""
        if not self._tasks.tell(hints):
            self._thread.tell(hints)

    def somebody_waits(self) -> None:
        """From now on, and for a minute, ends of tasks are worth telling."""
        self._waited_for_until = time.monotonic() + WAITED_FOR

    def is_waited_for(self) -> bool:
        """Whether anybody may be waiting for results."""
        return time.monotonic() < self._waited_for_until

    def flush(self) -> None:
        """Wait until all is told, a second at most."""
        self._thread.flush()

    async def aflush(self) -> None:
        """The same, for what was told on the running loop too."""
        await self._tasks.flush()
        await asyncio.to_thread(self._thread.flush)


class _Tasks:
    def __init__(self, engine: Callable[[], AsyncEngine | None], schema: str) -> None:
        self._engine = engine
        self._schema = schema
        self._untold = Hints()
        self._telling: asyncio.Task[None] | None = None

    def tell(self, hints: Hints) -> bool:
        """Whether that can be done here: on a running loop, with an engine for it."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        engine = self._engine()
        if engine is None:
            return False
        self._untold.add(hints)
        if self._telling is None or self._telling.done() or self._telling.get_loop() is not loop:
            self._telling = loop.create_task(self._run(engine), name="app-herald")
        return True

    async def flush(self) -> None:
        if self._telling is not None and self._telling.get_loop() is asyncio.get_running_loop():
            await asyncio.wait({self._telling}, timeout=_LAST_WORDS)

    async def _run(self, engine: AsyncEngine) -> None:
        direct = DirectConnections.of(engine)
        engine = engine.execution_options(isolation_level=AUTOCOMMIT)
        while self._untold:
            told, self._untold = self._untold.for_all(self._schema), Hints()
            try:
                if direct is not None:
                    await direct.run(partial(_notify, told=told), self._schema)
                else:
                    async with engine.connect() as connection:
                        for given in told:
                            await connection.execute(NOTIFY, given)
            except Exception as error:
                _not_told(error)
            await asyncio.sleep(REST)


class _Thread:
    def __init__(self, engine: Callable[[], Engine], schema: str) -> None:
        self._engine = engine
        self._schema = schema
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._untold = Hints()
        self._telling = False

    def tell(self, hints: Hints) -> None:
        if self._process != os.getpid():  # forked: the thread stayed behind, and may have held the lock
            self._begin()
        with self._changed:
            self._untold.add(hints)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="app-herald", daemon=True)
                self._thread.start()
                _threads.add(self)
            self._changed.notify_all()

    def flush(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._thread is None or not (self._untold or self._telling), _LAST_WORDS)

    def _run(self) -> None:
        while True:
            with self._changed:
                self._telling = False
                self._changed.notify_all()
                if not self._changed.wait_for(lambda: bool(self._untold), _IDLE):
                    self._thread = None
                    return
                told, self._untold = self._untold.for_all(self._schema), Hints()
                self._telling = True
            try:
                with self._engine().execution_options(isolation_level=AUTOCOMMIT).connect() as connection:
                    for given in told:
                        connection.execute(NOTIFY, given)
            except Exception as error:
                _not_told(error)
            time.sleep(REST)


def _notify(statements: Statements, *, told: Sequence[dict[str, Any]]) -> None:
    for given in told:
        statements.run(NOTIFY, given)


def _not_told(error: Exception) -> None:
    # A hint: what it was about is stored, and polling finds it.
    _log.debug("Others could not be told of new or ended tasks, and will find them: %s", error)


_threads: WeakSet[_Thread] = WeakSet()


@atexit.register
def flush_all() -> None:
    """Wait for every thread's last words: a script that enqueues and ends would often end before its NOTIFY."""
    for thread in list(_threads):
        thread.flush()
