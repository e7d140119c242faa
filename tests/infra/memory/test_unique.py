"""Unique tasks in memory: what becomes of two Sessions that want one key, where nobody can wait."""

from sqlalchemy.orm import Session

from app.domain.jobs.unique import Unique
from tests.contract.subject import in_memory
from tests.examples import EMAIL, REPORT, new_task


def test_of_two_sessions_the_first_to_commit_has_the_key() -> None:
    """
    The task of the other is dropped with its event, and what else it did is kept.
    """
    queue = in_memory()
    queue.jobs.define(EMAIL, unique=Unique())(lambda payload, context: None)
    one, other = Session(), Session()

    [lost] = queue.uow.join(other, queue.enqueueing, [new_task()])
    queue.uow.join(other, queue.enqueueing, [new_task(REPORT)])
    [kept] = queue.uow.join(one, queue.enqueueing, [new_task()])
    one.commit()
    other.commit()

    assert {kept.id} == {task.id for task in queue.newest(type=EMAIL)} - {lost.id}
    assert (2, ["created", "created"]) == queue.public
    assert kept.id == queue.enqueue().id


def test_a_session_sees_the_keys_that_it_has_taken_itself() -> None:
    """
    And gives them up when it rolls back.
    """
    queue = in_memory()
    queue.jobs.define(EMAIL, unique=Unique(on_conflict="replace"))(lambda payload, context: None)
    session = Session()

    [first] = queue.uow.join(session, queue.enqueueing, [new_task(priority=1)])
    [second] = queue.uow.join(session, queue.enqueueing, [new_task(priority=2)])
    session.commit()
    queue.uow.join(session, queue.enqueueing, [new_task(priority=3)])
    session.rollback()

    assert (first.id, 2, 1) == (second.id, queue.find(first).priority, queue.stats().total)
