"""Sessions: the database session that an attempt may ask for, and how it ends."""

from collections.abc import Callable
from typing import Any, Protocol

from app.domain.errors import QueueError

First = Callable[[Any], bool]
"""What is to be done in a session's transaction before it commits; False rolls it back instead."""


class NoDatabase(QueueError):
    """A handler asked for ``context.session`` where there is no database."""

    def __init__(
        self,
        said: str = "context.session: there is no database here, this queue lives in memory;"
        " give the container an engine or a database_url",
    ) -> None:
        super().__init__(said)


class CommitRefused(QueueError):
    """The handler of a transactional job was about to commit ``context.session`` itself, and has failed by that."""

    def __init__(self) -> None:
        super().__init__(
            "context.session of a transactional job must not be committed by its handler, not by session.begin()"
            " either: it commits together with the completion of the task, once the handler has returned;"
            " begin_nested() makes a savepoint"
        )


class NoSessionForItems(QueueError):
    """The handler of a batch job asked for ``context.session``, which belongs to an attempt and not to an item."""

    def __init__(self) -> None:
        super().__init__(
            "context.session: this is a batch job, whose items run beside each other and outlive a failed attempt:"
            " open a session per item, from a service"
        )


class OpenSession(Protocol):
    """The session of one attempt. It takes a connection with its first statement, and not before.

    Both verbs end and close it, whichever way that goes, when nobody else uses it any more. For an asynchronous session
    their answers are awaited, on the event loop; the others are for a thread.
    """

    @property
    def given(self) -> Any:
        """What the handler gets."""
        ...

    @property
    def is_asynchronous(self) -> bool: ...

    def commit(self, first: First | None = None) -> Any:
        """Whether it was committed: *first*, called with the synchronous session, may refuse.

        Raises whatever the database has against it, and CommitRefused.
        """
        ...

    def roll_back(self) -> Any:
        """Raises nothing."""
        ...


class Sessions(Protocol):
    """Where the sessions of attempts come from."""

    def open(self, *, asynchronous: bool, guarded: bool) -> OpenSession:
        """A new one; *guarded* against being committed by the handler. Raises NoDatabase."""
        ...


class NoSessions:
    """Implements Sessions where there are none."""

    def open(self, *, asynchronous: bool, guarded: bool) -> OpenSession:
        raise NoDatabase


class NoSessionsForItems:
    """Implements Sessions for batch jobs.

    What an item wrote would be rolled back with its attempt, and the checkpoint says all the same that it is done.
    """

    def open(self, *, asynchronous: bool, guarded: bool) -> OpenSession:
        raise NoSessionForItems
