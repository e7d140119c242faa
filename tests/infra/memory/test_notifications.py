"""Wake-ups in memory: which verbs wake whom, and when."""

import pytest
from sqlalchemy.orm import Session

from app.domain.tasks.outcomes import Released
from app.infra.memory.notifications import MemoryNotifications
from app.infra.memory.store import MemoryStore
from app.usecases.tasks.claim import ClaimTask, EnqueueAndClaim
from app.usecases.tasks.enqueue import EnqueueTask
from tests.contract.subject import Queue, in_memory
from tests.examples import a_node, new_task


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


@pytest.fixture
def queue(store: MemoryStore) -> Queue:
    return in_memory(store)


@pytest.fixture
def heard(store: MemoryStore) -> list[str]:
    """What a listening worker hears."""
    heard: list[str] = []
    MemoryNotifications(store).start(heard.append)
    return heard


def test_new_work_wakes_the_workers_of_its_queue(queue: Queue, heard: list[str]) -> None:
    """
    Once for each queue of a batch, however many tasks there are.
    """
    queue.enqueue_many([new_task(queue="mail"), new_task(queue="mail"), new_task(queue="slow")])

    assert ["mail", "slow"] == heard


def test_what_is_taken_at_once_wakes_nobody(queue: Queue, heard: list[str]) -> None:
    """
    Nobody else can have it.
    """
    queue.jobs.define("email:send")(lambda payload, context: None)
    run = EnqueueAndClaim(EnqueueTask(queue.enqueueing), ClaimTask(queue.jobs))

    task = queue.uow.run(run, a_node("w1"), {"type": "email:send", "queue": "mail"})

    assert ("w1", []) == (task.worker_id, heard)


def test_work_that_comes_back_wakes_too(queue: Queue, heard: list[str]) -> None:
    """
    Released, recovered, or retried by hand.
    """
    queue.register()
    task = queue.enqueue(queue="mail", max_attempts=2)
    queue.settle(queue.claim_one(), Released())
    queue.claim_one()
    queue.lose()
    queue.cancel(task)

    queue.retry(task)

    assert ["mail"] * 4 == heard


def test_a_worker_is_woken_after_the_commit(store: MemoryStore, queue: Queue) -> None:
    """
    It finds the work when it looks.
    """
    found: list[int] = []
    MemoryNotifications(store).start(lambda _: found.append(queue.stats().pending))
    session = Session()

    queue.uow.join(session, queue.enqueueing, [new_task()])
    before = list(found)
    session.commit()

    assert ([], [1]) == (before, found)


def test_undone_work_wakes_nobody(queue: Queue, heard: list[str]) -> None:
    """
    Rolled back is as if it never was.
    """
    session = Session()
    queue.uow.join(session, queue.enqueueing, [new_task()])

    session.rollback()

    assert [] == heard


def test_a_listener_hears_from_its_start_to_its_stop(store: MemoryStore, queue: Queue) -> None:
    """
    It may stop twice, start again, and says whether it hears.
    """
    notifications, heard = MemoryNotifications(store), list[str]()
    says = [notifications.hears]
    queue.enqueue()
    notifications.start(heard.append)
    queue.enqueue()
    says.append(notifications.hears)
    notifications.stop()
    notifications.stop()
    says.append(notifications.hears)
    queue.enqueue()
    notifications.start(heard.append)
    queue.enqueue()

    assert (["default", "default"], [None, True, None]) == (heard, says)
