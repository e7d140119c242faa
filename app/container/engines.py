"""Which engines a queue works with: the application's, its own, or those of the embedded PostgreSQL."""

import asyncio
import threading
from typing import TypeVar

from sqlalchemy import Engine
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain.errors import InvalidInput
from app.infra.embedded import EmbeddedPostgres
from app.infra.postgres.engines import (
    apart,
    database_url,
    derived_async_engine,
    derived_engine,
    listening,
    own_async_engine,
    own_engine,
)
from app.infra.postgres.migrations import Migrations
from app.infra.settings import Settings


class Engines:
    """Made when first needed, so that a container which is never used starts nothing.

    What the application handed in is never disposed of here. With a sync engine alone there is no async one:
    asynchronous calls then run in threads on the engine that was given. Raises InvalidInput.
    """

    def __init__(
        self, settings: Settings, engine: Engine | AsyncEngine | None, async_engine: AsyncEngine | None
    ) -> None:
        if isinstance(engine, AsyncEngine):
            engine, async_engine = None, engine
        self._settings = settings
        self._given = _checked("engine", engine, Engine)
        self._given_async = _checked("async_engine", async_engine, AsyncEngine)
        self._lock = threading.RLock()
        self._sync: Engine | None = None
        self._async: AsyncEngine | None = None
        self._apart: Engine | None = None
        self._listening: Engine | None = None
        self._for_async_sessions: AsyncEngine | None = None
        self._embedded: EmbeddedPostgres | None = None

    @property
    def sync(self) -> Engine:
        with self._lock:
            return self._given or self._own_sync()

    @property
    def asynchronous(self) -> AsyncEngine | None:
        with self._lock:
            if self._given is not None or self._given_async is not None:
                return self._given_async
            if self._async is None:
                self._async = own_async_engine(self.sync.url)
            return self._async

    @property
    def for_async_sessions(self) -> AsyncEngine:
        """Where the sessions of ``async def`` handlers lead: with a sync engine alone one is derived from its URL."""
        with self._lock:
            if (engine := self.asynchronous) is not None:
                return engine
            if self._for_async_sessions is None:
                self._for_async_sessions = derived_async_engine(self.sync)
            return self._for_async_sessions

    @property
    def apart(self) -> Engine:
        """The sync engine with a pool of its own, for what must not wait for a connection."""
        with self._lock:
            if self._apart is None:
                self._apart = apart(self.sync)
            return self._apart

    @property
    def listening(self) -> Engine:
        """Where notifications are heard."""
        with self._lock:
            if self._listening is None:
                self._listening = listening(self.sync)
            return self._listening

    def close(self) -> None:
        """Dispose of the engines made here, and leave the embedded server, which ends with its last user."""
        for engine in self._own_async:
            try:
                asyncio.get_running_loop()
            except RuntimeError:
                asyncio.run(engine.dispose())
            else:
                # Connections of a loop that is running cannot be closed from within a plain call: that is aclose's.
                engine.sync_engine.dispose(close=False)
        self._close_rest()

    async def aclose(self) -> None:
        """Like close, for the running event loop."""
        for engine in self._own_async:
            await engine.dispose()
        await asyncio.to_thread(self._close_rest)

    @property
    def _own_async(self) -> list[AsyncEngine]:
        return [engine for engine in (self._async, self._for_async_sessions) if engine is not None]

    def _own_sync(self) -> Engine:
        if self._sync is None:
            if self._given_async is not None:
                self._sync = derived_engine(self._given_async)
            elif self._settings.database_url is not None:
                self._sync = own_engine(database_url(self._settings.database_url.get_secret_value()))
            else:
                self._embedded = EmbeddedPostgres(self._settings.data_dir / "postgres")
                self._sync = own_engine(database_url(self._embedded.start()))
                # Nobody else would: it is nobody's database but ours.
                Migrations(self._sync, self._settings.worker_schema).upgrade()
        return self._sync

    def _close_rest(self) -> None:
        for engine in (self._listening, self._apart, self._sync):
            if engine is not None:
                engine.dispose()
        if self._embedded is not None:
            self._embedded.close()


E = TypeVar("E", Engine, AsyncEngine)


def _checked(field: str, value: object, kind: type[E]) -> E | None:
    if value is None:
        return None
    if not isinstance(value, kind):
        raise InvalidInput(field, value, f"must be a SQLAlchemy {kind.__name__}")
    if value.dialect.name != "postgresql":
        raise InvalidInput(field, value.dialect.name, "must lead to PostgreSQL")
    return value
