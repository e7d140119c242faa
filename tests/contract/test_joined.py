"""Joined transactions: the work is there when the caller's Session commits, and gone when it rolls back."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from sqlalchemy.orm import Session, scoped_session, sessionmaker

from app.domain.errors import InvalidInput
from app.domain.tasks.errors import IllegalTransition
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.cancel import CancelTask
from app.usecases.tasks.find import FindTask
from app.usecases.tasks.stats import GetTaskStats
from tests.contract.subject import Queue
from tests.examples import new_task

OpenSession = Callable[[], Session]


@pytest.fixture
def open_session(adapter: str, request: pytest.FixtureRequest) -> Iterator[OpenSession]:
    """Opens Sessions of an application; in memory they need no database."""
    engine = None if adapter == "memory" else request.getfixturevalue("engine")
    with ExitStack() as sessions:
        yield lambda: sessions.enter_context(Session(engine))


def enqueue_in(session: Session, queue: Queue) -> WorkerTask:
    return queue.uow.join(session, queue.enqueueing, [new_task()])[0]


def test_a_task_is_there_when_the_session_commits(queue: Queue, open_session: OpenSession) -> None:
    """
    Not before, and its event is told then.
    """
    session = open_session()

    task = enqueue_in(session, queue)
    before = queue.public
    session.commit()

    assert ((0, []), (1, ["created"])) == (before, queue.public)
    assert task.id == queue.newest()[0].id


def test_a_task_is_gone_when_the_session_rolls_back(queue: Queue, open_session: OpenSession) -> None:
    """
    And a later commit of the same Session does not bring it back.
    """
    session = open_session()
    enqueue_in(session, queue)

    session.rollback()
    task = enqueue_in(session, queue)
    session.commit()

    assert (1, ["created"]) == queue.public
    assert task.id == queue.newest()[0].id


def test_a_task_is_gone_when_the_session_is_closed(queue: Queue, open_session: OpenSession) -> None:
    """
    Closing without a commit is rolling back.
    """
    session = open_session()
    enqueue_in(session, queue)

    session.close()
    seen = queue.uow.join(session, GetTaskStats()).total
    enqueue_in(session, queue)
    session.commit()

    assert (0, (1, ["created"])) == (seen, queue.public)


def test_a_released_savepoint_waits_for_the_commit(queue: Queue, open_session: OpenSession) -> None:
    """
    Releasing it makes nothing visible yet.
    """
    session = open_session()

    with session.begin_nested():
        enqueue_in(session, queue)
    after_release = queue.public
    session.commit()

    assert ((0, []), (1, ["created"])) == (after_release, queue.public)


def test_a_released_savepoint_is_undone_with_its_transaction(queue: Queue, open_session: OpenSession) -> None:
    """
    The rollback of the whole is that of its parts.
    """
    session = open_session()

    with session.begin_nested():
        enqueue_in(session, queue)
    session.rollback()
    session.commit()

    assert (0, []) == queue.public


def test_a_savepoint_that_rolls_back_takes_only_its_own_with_it(queue: Queue, open_session: OpenSession) -> None:
    """
    What was enqueued before, after, and in another savepoint stays.
    """
    session = open_session()
    before = enqueue_in(session, queue)
    with session.begin_nested():
        released = enqueue_in(session, queue)
    savepoint = session.begin_nested()
    enqueue_in(session, queue)
    with session.begin_nested():
        enqueue_in(session, queue)
    savepoint.rollback()
    after = enqueue_in(session, queue)
    session.commit()

    assert [after.id, released.id, before.id] == [task.id for task in queue.newest()]
    assert [before.id, released.id, after.id] == [event.task.id for event in queue.events]


def test_a_session_sees_its_own_work_and_no_more(queue: Queue, open_session: OpenSession) -> None:
    """
    A later verb in the same Session finds what earlier ones did, savepoints that rolled back left out.
    """
    session = open_session()
    task = enqueue_in(session, queue)
    savepoint = session.begin_nested()
    queue.uow.join(session, CancelTask(), task.id)
    enqueue_in(session, queue)
    inside = queue.uow.join(session, GetTaskStats())
    savepoint.rollback()

    outside = queue.uow.join(session, GetTaskStats())
    found = queue.uow.join(session, FindTask(), task.id)
    session.commit()

    assert (1, 1) == (inside.cancelled, inside.pending)
    assert (0, 1) == (outside.cancelled, outside.pending)
    assert (task.id, TaskStatus.PENDING, 1) == (found.id, found.status, queue.stats().pending)


def test_a_task_changed_twice_in_a_session_ends_as_it_was_left(queue: Queue, open_session: OpenSession) -> None:
    """
    Enqueued and cancelled in one transaction, it appears as cancelled.
    """
    session = open_session()
    task = enqueue_in(session, queue)
    queue.uow.join(session, CancelTask(), task.id)

    session.commit()

    assert TaskStatus.CANCELLED is queue.find(task).status
    assert ["created", "cancelled"] == queue.told


def test_a_cancellation_holds_once_the_session_commits(queue: Queue, open_session: OpenSession) -> None:
    """
    Joined verbs other than enqueueing wait for the commit too.
    """
    queue.register()
    task = queue.enqueue()
    session = open_session()

    queue.uow.join(session, CancelTask(), task.id)
    before = queue.find(task).status
    session.commit()

    assert (TaskStatus.PENDING, TaskStatus.CANCELLED) == (before, queue.find(task).status)
    assert [] == queue.claim()


def test_two_sessions_do_not_see_each_other(queue: Queue, open_session: OpenSession) -> None:
    """
    Each sees its own task until the other commits.
    """
    one, two = open_session(), open_session()
    enqueue_in(one, queue)
    enqueue_in(two, queue)

    apart = queue.uow.join(one, GetTaskStats()).total, queue.uow.join(two, GetTaskStats()).total
    one.commit()
    two.rollback()

    assert ((1, 1), 1) == (apart, queue.stats().total)


def test_a_session_goes_on_after_a_refusal(queue: Queue, open_session: OpenSession) -> None:
    """
    An illegal verb costs the caller's transaction nothing.
    """
    queue.register()
    queue.enqueue()
    queue.complete(done := queue.claim_one())
    session = open_session()
    task = enqueue_in(session, queue)

    with pytest.raises(IllegalTransition):
        queue.uow.join(session, CancelTask(), done.id)
    session.commit()

    assert TaskStatus.PENDING is queue.find(task).status


def test_a_session_may_be_used_again_and_again(queue: Queue, open_session: OpenSession) -> None:
    """
    Each commit tells of its own work, once.
    """
    session = open_session()

    for _ in range(3):
        enqueue_in(session, queue)
        session.commit()
    session.commit()

    assert (3, ["created"] * 3) == queue.public


def test_a_listener_finds_what_the_session_committed(queue: Queue, open_session: OpenSession) -> None:
    """
    When the event is told, everybody sees the task.
    """
    seen: list[int] = []
    queue.publisher.look = lambda event: seen.append(queue.stats().total)
    session = open_session()
    enqueue_in(session, queue)

    session.commit()

    assert [1] == seen


def test_a_scoped_session_can_be_joined(queue: Queue, open_session: OpenSession) -> None:
    """
    The registry stands for the Session behind it.
    """
    registry = scoped_session(sessionmaker(open_session().bind))

    enqueue_in(registry(), queue)
    queue.uow.join(registry, queue.enqueueing, [new_task()])
    registry.commit()
    registry.remove()

    assert 2 == queue.stats().total


def test_what_is_no_session_cannot_be_joined(queue: Queue) -> None:
    """
    The error says what is expected.
    """
    with pytest.raises(InvalidInput) as refused:
        queue.uow.join("a session", queue.enqueueing, [new_task()])

    assert ("session", 0) == (refused.value.field, queue.stats().total)
