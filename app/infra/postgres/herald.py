"""Herald: tells workers, once a commit is through, that there is something to look at."""

import asyncio
import atexit
import logging
import os
import threading
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any
from weakref import WeakSet

from sqlalchemy import ARRAY, Engine, Text, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.sql import column

from app.infra.postgres.direct import DirectConnections
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

_queues = func.unnest(bindparam("queues", type_=ARRAY(Text))).table_valued(column("queue", Text)).render_derived()
NOTIFY = select(func.pg_notify(bindparam("channel", type_=Text), _queues.c.queue))


def channel_of(schema: str) -> str:
    """The notification channel of the queue in *schema*."""
    return f"{schema}_tasks"


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
        self._thread = _Thread(engine, channel_of(schema))
        self._tasks = _Tasks(async_engine, schema)

    def tell(self, queues: Iterable[str]) -> None:
        """Have the workers of *queues* woken soon; returns at once, from any thread."""
        if not self._tasks.tell(queues):
            self._thread.tell(queues)

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
        self._untold: set[str] = set()
        self._telling: asyncio.Task[None] | None = None

    def tell(self, queues: Iterable[str]) -> bool:
        """Whether that can be done here: on a running loop, with an engine for it."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        engine = self._engine()
        if engine is None:
            return False
        self._untold.update(queues)
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
            given = {"channel": channel_of(self._schema), "queues": sorted(self._untold)}
            self._untold = set()
            try:
                if direct is not None:
                    await direct.run(partial(_notify, given=given), self._schema)
                else:
                    async with engine.connect() as connection:
                        await connection.execute(NOTIFY, given)
            except Exception as error:
                _not_told(error)
            await asyncio.sleep(REST)


class _Thread:
    def __init__(self, engine: Callable[[], Engine], channel: str) -> None:
        self._engine = engine
        self._channel = channel
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._untold: set[str] = set()
        self._telling = False

    def tell(self, queues: Iterable[str]) -> None:
        if self._process != os.getpid():  # forked: the thread stayed behind, and may have held the lock
            self._begin()
        with self._changed:
            self._untold.update(queues)
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
                if not self._changed.wait_for(lambda: self._untold, _IDLE):
                    self._thread = None
                    return
                queues, self._untold = sorted(self._untold), set()
                self._telling = True
            try:
                with self._engine().execution_options(isolation_level=AUTOCOMMIT).connect() as connection:
                    connection.execute(NOTIFY, {"channel": self._channel, "queues": queues})
            except Exception as error:
                _not_told(error)
            time.sleep(REST)


def _notify(statements: Statements, *, given: dict[str, Any]) -> None:
    statements.run(NOTIFY, given)


def _not_told(error: Exception) -> None:
    # A hint: what it was about is stored, and polling finds it.
    _log.debug("Workers could not be told of new tasks, and will find them: %s", error)


_threads: WeakSet[_Thread] = WeakSet()


@atexit.register
def flush_all() -> None:
    """Wait for every thread's last words: a script that enqueues and ends would often end before its NOTIFY."""
    for thread in list(_threads):
        thread.flush()
