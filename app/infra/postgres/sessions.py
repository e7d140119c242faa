"""PostgresSessions: SQLAlchemy sessions for handlers, on the engines of the container."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from sqlalchemy import Engine, event, literal, select
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from app.domain.jobs.sessions import CommitRefused, First, OpenSession

_log = logging.getLogger("app.worker")

ISOLATION = "READ COMMITTED"
"""Of a handler's transaction, unless it asks for another with its first ``session.connection(…)``."""


class PostgresSessions:
    """Implements domain.jobs.sessions.Sessions.

    The engines are asked for when a handler asks: most containers have a use for one of them at most.
    """

    def __init__(self, engine: Callable[[], Engine], async_engine: Callable[[], AsyncEngine]) -> None:
        self._engine = engine
        self._async_engine = async_engine

    def open(self, *, asynchronous: bool, guarded: bool) -> OpenSession:
        if asynchronous:
            # Attributes that expire cannot be read again without an await.
            return _AsyncOpened(
                _AsyncSession(
                    self._async_engine().execution_options(isolation_level=ISOLATION), expire_on_commit=False
                ),
                guarded,
            )
        return _Opened(_Session(self._engine().execution_options(isolation_level=ISOLATION)), guarded)


class _Session(Session):
    """Left open by ``close()``, and by ``with context.session as session``: they would roll back what it has written.

    It is closed with the attempt.
    """

    def close(self) -> None:
        """Does nothing: what the handler wrote is committed, or rolled back, with its attempt."""

    def __exit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is not None:
            self.rollback()


class _AsyncSession(AsyncSession):
    """The same for ``async with``."""

    async def close(self) -> None:
        """As above."""

    async def __aexit__(self, kind: Any, error: Any, traceback: Any) -> None:
        if kind is not None:
            await self.rollback()


class _Guard:
    """Refuses every commit until the worker's own."""

    def __init__(self, session: Session) -> None:
        self._is_open = False
        self._was_tried = False
        event.listen(session, "before_commit", self._look)

    def open(self) -> None:
        """Raises CommitRefused where the handler has caught it: what it meant to commit is not what it wrote."""
        if self._was_tried:
            raise CommitRefused
        self._is_open = True

    def _look(self, session: Session) -> None:
        # A savepoint that is released reports a commit too.
        if not self._is_open and not session.in_nested_transaction():
            self._was_tried = True
            raise CommitRefused


class _Opened:
    """Implements domain.jobs.sessions.OpenSession for a handler in a thread."""

    is_asynchronous = False

    def __init__(self, session: Session, guarded: bool) -> None:
        self.given = session
        self._guard = _Guard(session) if guarded else None

    def commit(self, first: First | None = None) -> bool:
        try:
            return _commit(self.given, self._guard, first)
        finally:
            self.roll_back()

    def roll_back(self) -> None:
        _close(self.given)


class _AsyncOpened:
    """The same for one on the event loop."""

    is_asynchronous = True

    def __init__(self, session: AsyncSession, guarded: bool) -> None:
        self.given = session
        self._guard = _Guard(session.sync_session) if guarded else None

    async def commit(self, first: First | None = None) -> bool:
        try:
            return await self.given.run_sync(_commit, self._guard, first)
        finally:
            await self.roll_back()

    async def roll_back(self) -> None:
        # Cancelled half-way, it would leave a connection to the garbage collector, which cannot close it.
        await asyncio.shield(asyncio.ensure_future(self.given.run_sync(_close)))


def _commit(session: Session, guard: _Guard | None, first: First | None) -> bool:
    if guard is not None:
        guard.open()
    session.flush()
    if first is not None:
        if not first(session):
            return False
    elif session.in_transaction():
        # A transaction that failed in a statement is rolled back by its COMMIT without a word; a handler that caught
        # the error would be taken for one that has done its work. (What is done first would have noticed.)
        session.execute(select(literal(1)))
    session.commit()
    return True


def _close(session: Session) -> None:
    try:
        Session.close(session)
    except Exception as error:
        _log.warning("A handler's session could not be rolled back, its connection is given up: %s", error)
        with suppress(Exception):
            session.invalidate()
