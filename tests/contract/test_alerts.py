"""Alerts: a death and the task that tells of it are stored together, whoever stores the death."""

from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import text

from app.domain.errors import InvalidInput
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.dead_letter import DeadLetter
from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.failures import Failure
from app.domain.tasks.outcomes import Failed
from app.domain.tasks.repository import Settlement
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.settle import SettleInDoubt, SettleTasks
from tests.contract.subject import Queue, completed
from tests.examples import EMAIL, REPORT

PAGER = "pager:call"


@pytest.fixture
def queue(queue: Queue) -> Queue:
    """One whose e-mails call somebody when they end for good; reports do not."""
    jobs = JobCatalog()

    @jobs.define(PAGER, queue="urgent", priority=9, max_attempts=4, dead_letter=DeadLetter(alert=PAGER))
    def call(payload: Any, context: Any) -> None: ...

    @jobs.define(EMAIL, dead_letter=DeadLetter(queue="post", alert=call))
    def send(payload: Any, context: Any) -> None: ...

    queue.jobs = jobs
    queue.register(types=(EMAIL, REPORT, PAGER))
    return queue


def dead(queue: Queue, task: WorkerTask, reason: DeathReason = DeathReason.EXHAUSTED) -> Settlement:
    return Settlement(
        task, Failed(Failure("builtins.ValueError", "no such mailbox"), queue.jobs.death(task.type, reason))
    )


def alerts(queue: Queue) -> list[WorkerTask]:
    return queue.newest(type=PAGER)


def test_a_death_enqueues_its_alert(queue: Queue) -> None:
    """
    A task of the job that was named, as that job wants its tasks, which says who died of what.
    """
    queue.enqueue(correlation_id="order-7")
    task = queue.claim_one()
    queue.events.clear()

    queue.uow.run(SettleTasks(), [dead(queue, task)])

    [alert] = alerts(queue)
    assert (PAGER, "urgent", 9, 4, TaskStatus.PENDING) == (
        alert.type,
        alert.queue,
        alert.priority,
        alert.max_attempts,
        alert.status,
    )
    assert {
        "task_id": str(task.id),
        "type": EMAIL,
        "queue": "default",
        "reason": "exhausted",
        "error": "ValueError: no such mailbox",
        "attempts": 1,
    } == alert.payload
    assert (task.correlation_id, {"dead_letter": str(task.id)}) == (alert.correlation_id, alert.origin)
    assert ["created", "failed", "dead_lettered"] == queue.told
    assert "post" == queue.find(task).letter_queue


def test_each_death_of_a_batch_has_its_own(queue: Queue) -> None:
    """
    And only those whose job asks for one: neither what completed nor what dies without an alert.
    """
    queue.enqueue_many([_new(EMAIL), _new(EMAIL), _new(EMAIL), _new(REPORT)])
    first, second, third, report = queue.claim(limit=4)

    queue.uow.run(
        SettleTasks(),
        [dead(queue, first), dead(queue, second), dead(queue, report), Settlement(third, completed())],
    )

    assert {str(first.id), str(second.id)} == {alert.payload["task_id"] for alert in alerts(queue)}


def test_a_death_that_is_refused_raises_none(queue: Queue) -> None:
    """
    Neither after a lost lease nor of a task that was cancelled while it ran.
    """
    queue.enqueue_many([_new(EMAIL), _new(EMAIL)])
    lost, cancelled = queue.claim(limit=2)
    queue.uow.run(SettleTasks(), [Settlement(lost, completed())])
    queue.cancel(cancelled)

    queue.uow.run(SettleTasks(), [dead(queue, lost), dead(queue, cancelled)])

    assert TaskStatus.CANCELLED is queue.find(cancelled).status
    assert [] == alerts(queue)


def test_a_batch_that_is_settled_again_raises_none_twice(queue: Queue) -> None:
    """
    Its first answer was lost, and with the death its alert had been stored.
    """
    queue.enqueue()
    task = queue.claim_one()
    queue.uow.run(SettleTasks(), [dead(queue, task)])

    refused = queue.uow.run(SettleTasks(), [dead(queue, task)], again=True)

    assert (frozenset(), 1) == (refused, len(alerts(queue)))


def test_a_death_in_doubt_raises_its_alert(queue: Queue) -> None:
    """
    Once, however often it is settled.
    """
    queue.enqueue()
    task = queue.claim_one()

    for _ in range(2):
        assert queue.uow.run(SettleInDoubt(), dead(queue, task), None)

    assert 1 == len(alerts(queue))


def test_poison_raises_its_alert(queue: Queue) -> None:
    """
    Recovery stores that death, in the place of the workers that died of it.
    """
    queue.enqueue(max_attempts=1)
    task = queue.claim_one()

    queue.lose()

    [alert] = alerts(queue)
    assert (str(task.id), "exhausted") == (alert.payload["task_id"], alert.payload["reason"])
    assert "fell silent" in alert.payload["error"]


def test_expiry_raises_its_alert(queue: Queue) -> None:
    """
    What was never started ends for good as well.
    """
    task = queue.enqueue(ttl=1)
    queue.clock.advance(2)

    queue.expire()

    [alert] = alerts(queue)
    assert (str(task.id), "expired", 0) == tuple(alert.payload[name] for name in ("task_id", "reason", "attempts"))


def test_the_death_of_an_alert_raises_no_other(queue: Queue) -> None:
    """
    Its own job names itself here; that would go on for ever.
    """
    queue.enqueue()
    queue.uow.run(SettleTasks(), [dead(queue, queue.claim_one())])
    [alert] = queue.claim(types=(PAGER,))

    queue.uow.run(SettleTasks(), [dead(queue, alert)])

    assert [(alert.id, True)] == [(one.id, one.is_dead_letter) for one in alerts(queue)]


def test_a_death_without_an_alert_needs_no_transaction(queue: Queue) -> None:
    """
    Only a batch that holds one pays for it.
    """
    queue.enqueue_many([_new(EMAIL), _new(REPORT)])
    mail, report = queue.claim(limit=2)
    settle = SettleTasks()

    assert not settle.needs_transaction
    assert [False, False, True] == [
        settle.needs_transaction_for(batch)
        for batch in (
            [Settlement(mail, completed())],
            [dead(queue, report)],
            [Settlement(report, completed()), dead(queue, mail)],
        )
    ]


@pytest.fixture
def no_room(request: pytest.FixtureRequest) -> Iterator[None]:
    """No alert can be stored: PostgreSQL refuses it."""
    engine = request.getfixturevalue("engine")
    with engine.begin() as connection:
        connection.execute(text(f"ALTER TABLE worker.tasks ADD CONSTRAINT no_room CHECK (type <> '{PAGER}')"))
    yield
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE worker.tasks DROP CONSTRAINT no_room"))


@pytest.mark.parametrize("adapter", ["postgres"])  # memory refuses nothing
@pytest.mark.usefixtures("no_room")
def test_a_death_is_not_stored_without_its_alert(queue: Queue) -> None:
    """
    What breaks off between the two leaves neither: the task still runs, and its death is stored again later.
    """
    queue.enqueue()
    task = queue.claim_one()

    with pytest.raises(Exception, match="no_room"):
        queue.uow.run(SettleTasks(), [dead(queue, task)])

    assert TaskStatus.RUNNING is queue.find(task).status


@pytest.mark.parametrize("kept", [DeadLetter(queue="post"), DeadLetter(alert="a:b"), DeadLetter()])
def test_what_a_job_says_of_its_dead_letters_may_be_part_of_it(kept: DeadLetter) -> None:
    """
    A queue, an alert by its type, or nothing.
    """
    jobs = JobCatalog()
    jobs.define("x", dead_letter=kept)(lambda payload, context: None)

    death = jobs.death("x", DeathReason.POISON)

    assert (True, kept.queue, kept.alert) == (death.is_letter, death.queue, death.alert and death.alert.type)


@pytest.mark.parametrize("wrong", [{"queue": ""}, {"queue": "a*"}, {"alert": ""}, {"alert": 7}])
def test_what_is_no_alert_is_refused(wrong: dict[str, Any]) -> None:
    """
    When the job is defined, not when its first task has died.
    """
    with pytest.raises(InvalidInput, match=r"^dead_letter\."):
        DeadLetter(**wrong)


def _new(type: str) -> Any:
    from tests.examples import new_task

    return new_task(type)
