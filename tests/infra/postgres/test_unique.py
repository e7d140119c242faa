"""Unique tasks in PostgreSQL: who waits for whom, and what they find then."""

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest
from sqlalchemy import Engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from app import (
    InvalidInput,
    TaskHandle,
    TaskQueueContainer,
    TaskStatus,
)
from app.usecases.uniques import ClearUniques
from tests.contract.subject import Queue
from tests.examples import ManualClock, Recorder
from tests.infra.postgres.callers import (
    until,
)
from tests.infra.postgres.uniques import User, jobs, latest, mail, pending, somebody_waits, sync


@pytest.fixture
def tasks(engine: Engine) -> Iterator[TaskQueueContainer]:
    tasks = TaskQueueContainer(engine=engine, jobs=jobs)
    yield tasks
    tasks.close()


@pytest.fixture
def waiting(engine: Engine) -> Callable[[], bool]:
    """Whether somebody waits for a lock."""
    return lambda: somebody_waits(engine)


@pytest.fixture
def aside() -> Iterator[Callable[..., "Future[Any]"]]:
    """Runs something in another thread."""
    with ThreadPoolExecutor(4) as pool:
        yield pool.submit


Aside = Callable[..., "Future[TaskHandle[None]]"]
Waiting = Callable[[], bool]


def complete_one(tasks: TaskQueueContainer) -> None:
    """As a worker would; without one, whose upkeep would also forget the key."""
    queue = Queue(tasks.unit_of_work(), ManualClock(), Recorder())
    queue.register(types=("user:sync",))
    [task] = queue.claim(types=("user:sync",))
    assert queue.complete(task)


def test_who_comes_second_waits_and_gets_the_task_of_a_winner_that_commits(
    tasks: TaskQueueContainer, engine: Engine, aside: Aside, waiting: Waiting
) -> None:
    """
    Its own statement began before that task was there, and finds it all the same.
    """
    with Session(engine) as session:
        winner = sync.enqueue_in(session, User(user_id=1))
        loser = aside(sync.enqueue, User(user_id=1))
        until(waiting)
        session.commit()

    handle = loser.result(20)
    assert (True, False, winner.id) == (winner.is_new, handle.is_new, handle.id)
    assert (1, winner.id) == (pending(tasks), handle.refresh().id)


def test_a_winner_that_rolls_back_leaves_the_key(
    tasks: TaskQueueContainer, engine: Engine, aside: Aside, waiting: Waiting
) -> None:
    """
    To whoever waited: of two, one gets a task of its own and the other that one.
    """
    with Session(engine) as session:
        gone = sync.enqueue_in(session, User(user_id=1))
        others = [aside(sync.enqueue, User(user_id=1)) for _ in range(2)]
        until(waiting)
        session.rollback()

    handles = [other.result(20) for other in others]
    assert 1 == len({handle.id for handle in handles} - {gone.id})
    assert ([False, True], 1) == (sorted(handle.is_new for handle in handles), pending(tasks))


def test_a_savepoint_that_rolls_back_leaves_the_key(tasks: TaskQueueContainer, engine: Engine) -> None:
    """
    Within the same transaction, too.
    """
    with Session(engine) as session, session.begin():
        savepoint = session.begin_nested()
        gone = sync.enqueue_in(session, User(user_id=1))
        savepoint.rollback()
        kept = sync.enqueue_in(session, User(user_id=1))
        again = sync.enqueue_in(session, User(user_id=1))

    assert gone.id != kept.id
    assert (True, False, kept.id) == (kept.is_new, again.is_new, again.id)
    assert 1 == pending(tasks)


def test_a_holder_that_completes_meanwhile_holds_nothing(
    tasks: TaskQueueContainer, engine: Engine, aside: Aside, waiting: Waiting
) -> None:
    """
    Somebody has the key locked while it ends, and the one who waits for that gets a task of its own.
    """
    first = sync.enqueue(User(user_id=1))
    with Session(engine) as session:
        dropped = sync.enqueue_in(session, User(user_id=1))
        late = aside(sync.enqueue, User(user_id=1))
        until(waiting)
        complete_one(tasks)
        session.commit()

    handle = late.result(20)
    assert (first.id, True) == (dropped.id, handle.is_new)
    assert (TaskStatus.COMPLETED, 1) == (first.refresh().status, pending(tasks))


def test_a_holder_that_begins_while_it_is_replaced_is_left_as_it_is(
    tasks: TaskQueueContainer, engine: Engine, aside: Aside, waiting: Waiting
) -> None:
    """
    The claim came first, and its attempt runs what it was given; one that is even gone leaves the key.
    """
    claim = "UPDATE worker.tasks SET status = 'running'"
    end = "WITH gone AS (DELETE FROM worker.tasks RETURNING *) INSERT INTO worker.finished SELECT id, type, queue, "
    end += "'completed', priority, attempts, max_attempts, lease_seq, scheduled_at, created_at, now(), timeout, "
    end += "worker_id, correlation_id, tags, version, payload, error, errors, progress, progress_message, checkpoint,"
    end += " now() FROM gone"
    seen: list[tuple[bool, bool, str]] = []
    for change in (claim, end):
        first = latest.enqueue(User(user_id=len(seen), note="first"))
        with engine.connect() as connection:
            connection.exec_driver_sql(change)
            second = aside(latest.enqueue, User(user_id=len(seen), note="second"))
            until(waiting)
            connection.commit()
        seen.append((second.result(20).is_new, second.result().id == first.id, second.result().task.payload["note"]))
        with engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM worker.tasks WHERE status = 'running'")

    assert [(False, True, "first"), (True, False, "second")] == seen


def test_the_upkeep_waits_for_nobody_and_leaves_what_is_being_taken(tasks: TaskQueueContainer, engine: Engine) -> None:
    """
    A key that is stale for everybody else, and just taken over by a transaction that has not committed.
    """
    for user_id in (1, 2):
        sync.enqueue(User(user_id=user_id))
        complete_one(tasks)
    unit_of_work = tasks.unit_of_work()

    with Session(engine) as session:
        taken = sync.enqueue_in(session, User(user_id=1))
        first = unit_of_work.run(ClearUniques())
        session.commit()
    second = unit_of_work.run(ClearUniques())

    assert [(2, 1), (1, 0)] == [(cleared.seen, cleared.removed) for cleared in (first, second)]
    assert (True, taken.id) == (taken.is_new, sync.enqueue(User(user_id=1)).id)


def test_a_replacement_waits_for_its_commit(tasks: TaskQueueContainer, engine: Engine) -> None:
    """
    And is undone by a rollback, as all that is joined.
    """
    first = latest.enqueue(User(user_id=1, note="first"))
    notes = []

    with Session(engine) as session:
        for end in (session.rollback, session.commit):
            latest.enqueue_in(session, User(user_id=1, note="second"))
            notes.append(first.refresh().payload["note"])
            end()
            notes.append(first.refresh().payload["note"])

    assert ["first", "first", "first", "second"] == notes


def test_repeatable_read_sees_what_its_snapshot_does(tasks: TaskQueueContainer, engine: Engine) -> None:
    """
    A key that was taken since is a conflict for its owner to see, who begins again; a holder is as it was then.
    """
    held = sync.enqueue(User(user_id=1))
    with engine.connect().execution_options(isolation_level="REPEATABLE READ") as connection:
        connection.scalar(text("SELECT 1"))
        complete_one(tasks)
        other = sync.enqueue(User(user_id=2))
        again = sync.enqueue_in(connection, User(user_id=1))
        new = sync.enqueue_in(connection, User(user_id=3))
        with pytest.raises(OperationalError, match="could not serialize"):
            sync.enqueue_in(connection, User(user_id=2))
        connection.rollback()
        once_more = [sync.enqueue_in(connection, User(user_id=user_id)) for user_id in (1, 2)]
        connection.commit()

    assert ([held.id, False], TaskStatus.COMPLETED) == ([again.id, again.is_new], held.refresh().status)
    assert [True, True, False] == [new.is_new, *(handle.is_new for handle in once_more)]
    assert (other.id, 2) == (once_more[1].id, pending(tasks))


def test_a_connection_that_commits_each_statement_is_refused(tasks: TaskQueueContainer, engine: Engine) -> None:
    """
    Between two statements anybody could come: said at once, with nothing stored; a plain task goes there as before.
    """
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        with pytest.raises(InvalidInput, match="session: must be in a transaction for a job that is unique"):
            sync.enqueue_in(connection, User(user_id=1))
        mail.enqueue_in(connection, None)

    assert 1 == pending(tasks)
