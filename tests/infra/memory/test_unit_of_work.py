"""Where memory differs from a database: what is joined to it without a Session, and two who change one task."""

from sqlalchemy import create_engine
from sqlalchemy.orm import Session

from app.domain.tasks.status import TaskStatus
from app.usecases.tasks.cancel import CancelTask
from tests.contract.subject import in_memory
from tests.examples import new_task


def test_what_is_joined_to_a_connection_is_there_at_once() -> None:
    """
    Its commit cannot be waited for; as with PostgreSQL, nothing is told in this process.
    """
    queue = in_memory()

    with create_engine("sqlite://").connect() as connection:
        queue.uow.join(connection, queue.enqueueing, [new_task()])
        connection.rollback()

    assert (1, []) == (queue.stats().total, queue.events)


def test_of_two_who_change_a_task_the_first_to_commit_wins() -> None:
    """
    A joined cancellation that comes after a worker's claim is dropped with its event; its other work stands.
    """
    queue = in_memory()
    queue.register()
    task = queue.enqueue()
    session = Session()
    queue.uow.join(session, CancelTask(), task.id)
    queue.uow.join(session, queue.enqueueing, [new_task()])

    queue.claim_one()
    session.commit()

    assert TaskStatus.RUNNING is queue.find(task).status
    assert (2, ["created", "started", "created"]) == (queue.stats().total, queue.told)


def test_a_session_of_one_queue_may_join_another() -> None:
    """
    Two queues in memory do not see each other's work in the same Session.
    """
    one, other = in_memory(), in_memory()
    session = Session()

    one.uow.join(session, one.enqueueing, [new_task()])
    other.uow.join(session, other.enqueueing, [new_task(), new_task()])
    seen = other.uow.join(session, lambda tx: tx.statistics.counts().total)
    session.commit()

    assert (2, 1, 2) == (seen, one.stats().total, other.stats().total)
