"""PostgresUnitOfWork: the one place that begins and commits, or joins the caller's transaction."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar, cast

from sqlalchemy import Connection, Engine, TwoPhaseTransaction
from sqlalchemy.exc import UnboundExecutionError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, AsyncSession, async_scoped_session
from sqlalchemy.orm import Session, scoped_session

from app.domain.clock import Clock
from app.domain.errors import InvalidInput
from app.domain.identifiers import TaskId, TaskIds
from app.infra.joined import hold
from app.infra.postgres.direct import DirectConnections
from app.infra.postgres.failures import is_broken_connection, is_conflict, translated
from app.infra.postgres.gathering import Gathering
from app.infra.postgres.herald import AUTOCOMMIT, Herald
from app.infra.postgres.hints import NOTIFY
from app.infra.postgres.sockets import is_dead
from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import SCHEMA
from app.infra.postgres.transaction import PostgresTransaction
from app.usecases.transaction import Gatherable, Publisher, Transaction

ISOLATION = "READ COMMITTED"
"""Of our own transactions. A joined one has its owner's."""

P = ParamSpec("P")
R = TypeVar("R")


class PostgresUnitOfWork:
    """Implements usecases.transaction.UnitOfWork over a sync engine, an async one, or both.

    The use cases and repositories are synchronous and exist once: with an async engine they run inside
    ``AsyncConnection.run_sync``, without one in a thread of a small pool. A connection that turns out to be dead
    before anything was committed (the server was restarted) is replaced and the work done once more. Workers are told
    by *herald*, after the commit. *clock* overrides the database's clock and is for tests.
    """

    def __init__(
        self,
        engine: Engine,
        async_engine: AsyncEngine | None,
        publisher: Publisher,
        schema: str = SCHEMA,
        *,
        clock: Clock | None = None,
        herald: Herald | None = None,
        new_ids: Callable[[int], list[TaskId]] | None = None,
    ) -> None:
        # An application's engine may be set to AUTOCOMMIT, where nothing is a transaction, or to SERIALIZABLE, where
        # claimers who skip each other's locks get errors instead.
        self._engines = {level: engine.execution_options(isolation_level=level) for level in (ISOLATION, AUTOCOMMIT)}
        self._async_engines: dict[str, AsyncEngine] = {}
        if async_engine is not None:
            for level in (ISOLATION, AUTOCOMMIT):
                self._async_engines[level] = async_engine.execution_options(isolation_level=level)
        self._direct = DirectConnections.of(async_engine)
        self._gathering = Gathering(self._together)
        self._herald = herald or Herald(lambda: engine, lambda: async_engine, schema)
        self._publisher = publisher
        self._schema = schema
        self._clock = clock
        self._new_ids = new_ids or TaskIds()
        self._may_be_alone: bool | None = None
        self._outliving: set[asyncio.Task[Any]] = set()
        self._threads: ThreadPoolExecutor | None = None

    def run(self, use_case: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        result, tx = self._run(self._attempt(use_case, args, kwargs))
        self._tell(tx)
        return result

    async def arun(self, use_case: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs) -> R:
        if self._async_engines and hasattr(use_case, "together"):
            gatherable = cast(Gatherable[R], use_case)
            prepared = gatherable.prepared(*args, **kwargs)
            alone = gatherable.goes_alone(prepared) or self._publisher.wants(*gatherable.told_of)
            answer: R = await self._gathering.add(gatherable, prepared, alone=alone)
            return answer
        attempt = self._attempt(use_case, args, kwargs)
        if not getattr(use_case, "outlives_its_caller", False):
            return await self._awork(attempt)
        outliving = asyncio.get_running_loop().create_task(self._awork(attempt), name="app-outliving")
        self._outliving.add(outliving)  # the loop itself holds it weakly
        outliving.add_done_callback(self._outliving.discard)
        return await asyncio.shield(outliving)

    async def _together(self, use_case: Gatherable[R], prepared: Sequence[Any]) -> Sequence[R]:
        # Whoever goes alone is by itself here.
        needs_transaction = use_case.needs_transaction or (len(prepared) == 1 and use_case.goes_alone(prepared[0]))
        return await self._awork(self._attempt_of(needs_transaction, lambda tx: use_case.together(tx, prepared)))

    async def _awork(self, attempt: "_Attempt[R]") -> R:
        if self._async_engines:
            result, tx = await self._arun(attempt)
        else:
            if self._threads is None:
                self._threads = ThreadPoolExecutor(4, thread_name_prefix="app-database")
            result, tx = await asyncio.get_running_loop().run_in_executor(self._threads, self._run, attempt)
        self._tell(tx)
        return result

    def join(
        self, session: Any, use_case: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        if isinstance(session, scoped_session):
            session = session()
        if not isinstance(session, Session | Connection):
            rule = "must be a SQLAlchemy Session or Connection (for the async kinds: aexecute_in)"
            raise InvalidInput("session", session, rule)
        connection = _connection_of(session) if isinstance(session, Session) else session
        if connection.dialect.name != "postgresql":
            raise InvalidInput("session", connection.dialect.name, "must be connected to the queue's PostgreSQL")
        tx = self._transaction(connection)
        try:
            result = use_case(tx, *args, **kwargs)
            if isinstance(session, Connection):
                self._notify_with(connection, tx)
        except Exception as error:
            # A conflict with another transaction is its owner's to see, who may want to begin again.
            if (ours := translated(error)) is not None and not is_conflict(error):
                raise ours from error
            raise
        if isinstance(session, Session) and (tx.events or tx.hints):
            hold(session, lambda: self._tell(tx))
        return result

    async def ajoin(
        self, session: Any, use_case: Callable[Concatenate[Transaction, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        if isinstance(session, async_scoped_session):
            session = session()
        if not isinstance(session, AsyncSession | AsyncConnection):
            rule = "must be a SQLAlchemy AsyncSession or AsyncConnection (for the sync kinds: execute_in)"
            raise InvalidInput("session", session, rule)
        return await session.run_sync(lambda joined: self.join(joined, use_case, *args, **kwargs))

    def _transaction(self, connection: Connection) -> PostgresTransaction:
        return self._transaction_of(Statements(connection, self._schema, self._now()))

    def _transaction_of(self, statements: Statements) -> PostgresTransaction:
        return PostgresTransaction(
            statements,
            self._schema,
            self._publisher,
            new_ids=self._new_ids,
            is_waited_for=self._herald.is_waited_for,
        )

    def _now(self) -> datetime | None:
        return None if self._clock is None else self._clock.now()

    def _tell(self, tx: PostgresTransaction) -> None:
        """What is to be said once the commit is through."""
        if tx.hints:
            self._herald.tell(tx.hints)
        if tx.events:
            self._publisher.publish(tx.events)

    def _notify_with(self, connection: Connection, tx: PostgresTransaction) -> None:
        """Have workers told by the transaction of *connection* itself, whose commit nobody tells us of."""
        # One that notifies cannot be prepared; workers find what it leaves when they next look.
        if not isinstance(connection.get_transaction(), TwoPhaseTransaction):
            for told in tx.hints.for_workers(self._schema):
                Statements(connection, self._schema).run(NOTIFY, told)

    def _attempt(self, use_case: Callable[..., R], args: Any, kwargs: Any) -> "_Attempt[R]":
        # What can be read only once would be empty when the work is done once more.
        args = [list(one) if isinstance(one, Iterator) else one for one in args]
        needs_transaction = getattr(use_case, "needs_transaction", True)
        if not needs_transaction and (needs_it_for := getattr(use_case, "needs_transaction_for", None)) is not None:
            needs_transaction = needs_it_for(*args, **kwargs)
        return self._attempt_of(needs_transaction, lambda tx: use_case(tx, *args, **kwargs))

    def _attempt_of(self, needs_transaction: bool, work: Callable[[Transaction], R]) -> "_Attempt[R]":
        isolation = ISOLATION if needs_transaction or self._may_be_alone is False else AUTOCOMMIT
        return _Attempt(isolation, self._transaction, work, self._is_read_committed)

    def _is_read_committed(self, tx: PostgresTransaction) -> bool:
        """Whether a statement by itself has the isolation that ours need; asked once.

        ``default_transaction_isolation`` may say something else, for the database or for the role.
        """
        if self._may_be_alone is None:
            self._may_be_alone = tx.is_read_committed()
        return self._may_be_alone

    def _run(self, attempt: "_Attempt[R]") -> tuple[R, PostgresTransaction]:
        while True:
            try:
                with self._engines[attempt.isolation].connect() as connection:
                    return attempt(connection)
            except Exception as error:
                attempt.judge(error)

    async def _arun(self, attempt: "_Attempt[R]") -> tuple[R, PostgresTransaction]:
        while True:
            try:
                if self._direct is not None and attempt.isolation is AUTOCOMMIT:
                    return await self._direct.run(
                        lambda statements: attempt.alone(self._transaction_of(statements)), self._schema, self._now()
                    )
                async with self._async_engines[attempt.isolation].connect() as connection:
                    return await connection.run_sync(attempt)
            except Exception as error:
                attempt.judge(error)


def _connection_of(session: Session) -> Connection:
    try:
        return session.connection()
    except UnboundExecutionError as error:
        rule = "must be bound to one engine, or join the Connection: session.connection(bind_arguments={…})"
        raise InvalidInput("session", session, rule) from error
    except Exception as error:
        if (ours := translated(error, connecting=True)) is not None:
            raise ours from error
        raise


class _Dead(Exception):
    """The pool gave a connection that the server has closed; the next one it gives is another, and new in the end."""


class _NeedsTransaction(Exception):
    """Single statements are isolated here in another way than ours have to be."""


class _Attempt(Generic[R]):
    """One piece of work, tried on a connection, and once more when that connection was dead from the start."""

    def __init__(
        self,
        isolation: str,
        begin: Callable[[Connection], PostgresTransaction],
        work: Callable[[Transaction], R],
        may_be_alone: Callable[[PostgresTransaction], bool],
    ) -> None:
        self.isolation = isolation
        self._may_be_alone = may_be_alone
        self._begin = begin
        self._work = work
        self._connecting = True
        self._committing = False
        self._again = True

    def __call__(self, connection: Connection) -> tuple[R, PostgresTransaction]:
        if is_dead(connection):
            # A new Connection, not this one on a new socket: that would have forgotten its isolation level.
            connection.invalidate()
            raise _Dead
        self._connecting = False
        if self.isolation is AUTOCOMMIT:
            return self.alone(self._begin(connection))
        transaction = connection.begin()
        tx = self._begin(connection)
        try:
            result = self._work(tx)
        except BaseException:
            transaction.rollback()
            raise
        self._committing = True
        transaction.commit()
        return result, tx

    def alone(self, tx: PostgresTransaction) -> tuple[R, PostgresTransaction]:
        """Work that needs no transaction."""
        if not self._may_be_alone(tx):
            raise _NeedsTransaction
        # Whatever is sent may be committed before we hear of it.
        self._connecting, self._committing = False, True
        return self._work(tx), tx

    def judge(self, error: Exception) -> None:
        """Return to let the caller try again; raise otherwise."""
        if isinstance(error, _Dead):
            return
        if isinstance(error, _NeedsTransaction):
            self.isolation, self._connecting = ISOLATION, True
            return
        if self._again and not self._committing and is_broken_connection(error):
            self._again = False
            self._connecting = True
            return
        ours = translated(error, connecting=self._connecting, committing=self._committing)
        if ours is None:
            raise error
        raise ours from error
