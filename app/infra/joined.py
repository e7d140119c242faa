"""Joined sessions: what waits for the commit of a Session that belongs to somebody else."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from sqlalchemy import event
from sqlalchemy.orm import Session, SessionTransaction

_KEY = "app.joined"


@dataclass(frozen=True, slots=True)
class _Held:
    on_commit: Callable[[], None]
    inside: tuple[SessionTransaction, ...]


def hold(session: Session, on_commit: Callable[[], None]) -> None:
    """Call *on_commit* once *session* has committed; never, when it or the enclosing savepoint rolls back."""
    if _KEY not in session.info:
        session.info[_KEY] = []
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_soft_rollback", _rolled_back)
    session.info[_KEY].append(_Held(on_commit, tuple(_enclosing(session))))


def _committed(session: Session) -> None:
    # A released savepoint reports a commit too (seen on 2.1); nothing is durable then.
    if session.in_nested_transaction():
        return
    ending = session.get_transaction()
    held, session.info[_KEY] = session.info[_KEY], []
    for one in held:
        # What an earlier transaction left behind, by close() without a commit, must not ride on this one.
        if ending in one.inside:
            one.on_commit()


def _rolled_back(session: Session, undone: SessionTransaction) -> None:
    session.info[_KEY] = [one for one in session.info[_KEY] if undone not in one.inside]


def _enclosing(session: Session) -> Iterator[SessionTransaction]:
    current = session.get_nested_transaction() or session.get_transaction()
    while current is not None:
        yield current
        current = current.parent


def waiting(session: Session) -> list[Callable[[], None]]:
    """What has been held for the commit of the transaction that *session* is in, oldest first."""
    current = session.get_transaction()
    return [one.on_commit for one in session.info.get(_KEY, ()) if current in one.inside]
