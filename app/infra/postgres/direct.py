"""Direct: connections of psycopg itself, for single statements that are run thousands of times a second.

SQLAlchemy writes every statement, once; what it spends on each execution (its pool, its cache, its result, all of it
by way of an event loop) is several times what the driver does, and that is spared here.
"""

import asyncio
import os
import weakref
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus
from sqlalchemy import Engine, Executable, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.util.concurrency import await_only, greenlet_spawn

from app.infra.postgres.sockets import is_readable
from app.infra.postgres.statements import Rows, Statements
from app.infra.postgres.tables import SCHEMA

R = TypeVar("R")

MOST = 4
"""Connections at once on an event loop. Nothing is run on them but single statements, so they are soon free again."""
_PATIENCE = 15.0
"""Seconds to wait for one, as long as for one of the pool."""
_MOST_COMPILED = 200


class Compiled:
    """A statement as the driver wants it: its text, the parameters that never change, and how to send the others."""

    def __init__(self, statement: Executable, engine: AsyncEngine, schema: str) -> None:
        compiled: SQLCompiler = statement.compile(  # type: ignore[attr-defined]  # every statement of ours has it
            dialect=engine.dialect,
            schema_translate_map={SCHEMA: schema},
            render_schema_translate=True,
            compile_kwargs={"render_postcompile": True},
        )
        self.text = str(compiled)
        self._constants = {name: bind.effective_value for name, bind in compiled.binds.items() if not bind.required}
        self._senders: list[tuple[str, Callable[[Any], Any]]] = []
        for name, bind in compiled.binds.items():
            sender = bind.type.dialect_impl(engine.dialect).bind_processor(engine.dialect)
            if sender is not None:
                self._senders.append((name, sender))

    def values(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, as they are sent."""
        values = {**self._constants, **given}
        for name, sender in self._senders:
            values[name] = sender(values[name])
        return values


class DirectConnections:
    """A few connections in autocommit, made as *engine* makes its own and then kept out of its pool.

    One set for each engine, of which they are a part: they live as long as it does, and close when it is disposed of.
    """

    def __init__(self, engine: AsyncEngine, root: Engine) -> None:
        self._engine = engine
        self._process = os.getpid()
        self._compiled: dict[tuple[Executable, str], Compiled] = {}
        # Of all loops: a connection of psycopg belongs to none.
        self._idle: list[Any] = []
        self.prepares: bool | None = None
        """Whether statements may be prepared; None before the first connection."""
        self._disposals = 0
        self._room: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Semaphore]
        self._room = weakref.WeakKeyDictionary()
        event.listen(root, "engine_disposed", self._close)

    @staticmethod
    def of(engine: AsyncEngine | None) -> "DirectConnections | None":
        """Those of *engine*; None where the driver is another one."""
        # A pool of another kind says something of how long connections may live, and who may have them.
        if engine is None or engine.dialect.driver != "psycopg" or not isinstance(engine.pool, QueuePool):
            return None
        root = engine.sync_engine
        while (proxied := getattr(root, "_proxied", None)) is not None:  # as of engine.execution_options()
            root = proxied
        made = _made.get(root)
        direct = None if made is None else made()
        if direct is None:
            direct = DirectConnections(engine, root)
            _made[root] = weakref.ref(direct)
        return direct

    def _close(self, _: Engine) -> None:
        # Those that nobody uses just now; the others when they come back.
        self._disposals += 1
        while (connection := self._popped()) is not None:
            connection.pgconn.finish()

    async def run(self, work: Callable[[Statements], R], schema: str, now: datetime | None = None) -> R:
        """Call *work*, which is synchronous, with statements on one of the connections."""
        async with self._taken() as connection:
            return await greenlet_spawn(work, DirectStatements(self, connection, schema, now))

    def compiled(self, statement: Executable, schema: str) -> Compiled:
        if (compiled := self._compiled.get((statement, schema))) is None:
            if len(self._compiled) >= _MOST_COMPILED:  # statements that are made anew for each call
                self._compiled.clear()
            compiled = self._compiled[statement, schema] = Compiled(statement, self._engine, schema)
        return compiled

    def translated(self, error: psycopg.Error, text: str | None = None, *, invalidated: bool = True) -> BaseException:
        """*error* as SQLAlchemy would have raised it."""
        return DBAPIError.instance(
            text, None, error, psycopg.Error, dialect=self._engine.dialect, connection_invalidated=invalidated
        )

    @asynccontextmanager
    async def _taken(self) -> AsyncIterator[Any]:
        loop = asyncio.get_running_loop()
        room = self._room.setdefault(loop, asyncio.Semaphore(MOST))
        try:
            async with asyncio.timeout(_PATIENCE) if room.locked() else _nothing():
                await room.acquire()
        except TimeoutError as error:
            raise PoolTimeout(f"none of {MOST} direct connections came free in {_PATIENCE:g} s") from error
        try:
            connection, disposals = None, self._disposals
            while connection is None and (idle := self._popped()) is not None:
                if idle.closed or is_readable(idle):
                    idle.pgconn.finish()
                else:
                    connection = idle
            if connection is None:
                connection = await self._connect()
            try:
                yield connection
            finally:
                # Whatever interrupted a statement has left its connection in the middle of it.
                is_whole = not connection.closed and connection.pgconn.transaction_status == TransactionStatus.IDLE
                if is_whole and disposals == self._disposals and len(self._idle) < MOST:
                    self._idle.append(connection)
                else:
                    connection.pgconn.finish()
        finally:
            room.release()

    def _popped(self) -> Any:
        if self._process != os.getpid():
            # Forked: these are the parent's, who goes on speaking on them. Not to be closed here, so they are kept.
            self._inherited = self._idle
            self._idle = []
            self._process = os.getpid()
        try:
            return self._idle.pop()
        except IndexError:
            return None

    async def _connect(self) -> Any:
        connection = await self._opened()
        try:
            if self.prepares is None:
                other = await self._opened()
                try:
                    self.prepares = await _are_apart(connection, other)
                finally:
                    other.pgconn.finish()
            if self.prepares:
                # Planned anew each time all the same: the right plan depends on how much there is, and is asked for.
                await connection.execute("SET plan_cache_mode = force_custom_plan")
                connection.prepare_threshold = 0
        except BaseException as error:
            connection.pgconn.finish()
            if isinstance(error, psycopg.Error):
                raise self.translated(error) from error
            raise
        return connection

    async def _opened(self) -> Any:
        connection: Any = None
        try:
            connection = await greenlet_spawn(_taken_out_of, self._engine.sync_engine)
            await connection.rollback()
            await connection.set_autocommit(True)
        except BaseException as error:
            if connection is not None:
                connection.pgconn.finish()
            if isinstance(error, psycopg.Error):
                raise self.translated(error) from error
            raise
        return connection


async def _are_apart(one: Any, other: Any) -> bool:
    """Whether each of two connections has a server process to itself, so that what is prepared there stays there.

    A transaction pooler serves both from the same few processes, whichever it hands out first, and cannot say at the
    start of a connection which one it will be.
    """
    served = []
    for connection in (one, one, other, other, one, one):
        cursor = await connection.execute("SELECT pg_backend_pid()", prepare=False)
        served.append((await cursor.fetchone())[0])
    announced = one.info.backend_pid, other.info.backend_pid
    return announced[0] != announced[1] and served == [announced[number] for number in (0, 0, 1, 1, 0, 0)]


# The engine itself keeps what is made for it, by way of its listeners.
_made: weakref.WeakKeyDictionary[Engine, "weakref.ref[DirectConnections]"] = weakref.WeakKeyDictionary()


def _taken_out_of(engine: Engine) -> Any:
    """A connection of the driver that *engine*'s pool has made, and that is ours from now on."""
    while True:
        pooled = engine.raw_connection()
        connection: Any = pooled.driver_connection
        if is_readable(connection):  # dead: see sockets
            pooled.invalidate()
        else:
            pooled.detach()
            return connection


class DirectStatements(Statements):
    """Statements on a connection of the driver; run in a greenlet, as SQLAlchemy's are."""

    __slots__ = ("_direct", "_driver")

    def __init__(self, direct: DirectConnections, driver: Any, schema: str, now: datetime | None) -> None:
        super().__init__(None, schema, now)
        self._direct = direct
        self._driver = driver

    def run(self, statement: Executable, parameters: Mapping[str, Any] | None = None, *, timed: bool = False) -> Rows:
        async def rows(cursor: Any) -> Any:
            return await cursor.fetchall()

        fetched: Rows = await_only(self._executed(statement, parameters, timed, rows))
        return fetched

    def change(self, statement: Executable, parameters: Mapping[str, Any] | None = None, *, timed: bool = False) -> int:
        async def count(cursor: Any) -> Any:
            return cursor.rowcount

        changed: int = await_only(self._executed(statement, parameters, timed, count))
        return changed

    async def _executed(
        self, statement: Executable, parameters: Mapping[str, Any] | None, timed: bool, answer: Callable[[Any], Any]
    ) -> Any:
        compiled = self._direct.compiled(statement, self._schema)
        given = dict(parameters or {})
        if timed:
            given["now"] = self._now
        values = compiled.values(given)
        try:
            try:
                # None: prepared, where that lasts.
                prepare = None if self._direct.prepares else False
                return await answer(await self._driver.execute(compiled.text, values, prepare=prepare))
            except (psycopg.errors.InvalidSqlStatementName, psycopg.errors.DuplicatePreparedStatement):
                # There is a pooler after all, or it came later. Nothing was run.
                self._direct.prepares = False
                return await answer(await self._driver.execute(compiled.text, values, prepare=False))
        except psycopg.Error as error:
            raise self._direct.translated(error, compiled.text, invalidated=self._driver.closed) from error


@asynccontextmanager
async def _nothing() -> AsyncIterator[None]:
    yield
