"""A use case bound to the unit of work: the four ways to call it, written once for all."""

from collections.abc import Callable
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from app.usecases.transaction import Transaction, UnitOfWork

P = ParamSpec("P")
R = TypeVar("R")


class Bound(Generic[P, R]):
    """One verb, ready to call; the parameters after the session are the verb's own.

    All four raise DatabaseUnavailable and SchemaMismatch beside the verb's own errors.
    """

    __slots__ = ("_unit_of_work", "_use_case")

    def __init__(self, unit_of_work: UnitOfWork, use_case: Callable[Concatenate[Transaction, P], R]) -> None:
        self._unit_of_work = unit_of_work
        self._use_case = use_case

    def execute(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """In a transaction of its own, committed on return; its events are published then."""
        return self._unit_of_work.run(self._use_case, *args, **kwargs)

    async def aexecute(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """Like execute, without blocking the event loop."""
        return await self._unit_of_work.arun(self._use_case, *args, **kwargs)

    def execute_in(self, session: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """In the caller's transaction: visible when the caller commits, gone when they roll back.

        *session* is a SQLAlchemy Session or Connection. Joined to a Session, events are published when it commits,
        those of a rolled back savepoint never. Joined to a bare Connection **none are published in this process**:
        its commit event comes before the commit. A Session that itself lives in an outer transaction
        (``join_transaction_mode="create_savepoint"``) reports an ordinary commit, and the events are published then.
        """
        return self._unit_of_work.join(session, self._use_case, *args, **kwargs)

    async def aexecute_in(self, session: Any, /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Like execute_in, for an AsyncSession or AsyncConnection."""
        return await self._unit_of_work.ajoin(session, self._use_case, *args, **kwargs)
