"""Results: a look says what became of many tasks at once, and ends are announced when somebody waits."""

from app.domain.tasks.outcomes import GivenUp
from app.domain.tasks.status import TaskStatus
from app.usecases.results import LookAtTasks
from tests.contract.subject import Queue
from tests.examples import new_id, new_task


def test_a_look_tells_what_has_ended_from_what_has_not(queue: Queue) -> None:
    """
    Whole tasks that ended, the status of those that did not, and nothing of those that are not there.
    """
    queue.register()
    waiting, *_ = queue.enqueue_many([new_task(delay=100), *(new_task() for _ in range(5))])
    completed, failed, given_up, running, retried = queue.claim(limit=5)
    queue.complete(completed, {"sent": 1})
    queue.fail(failed)
    queue.settle(given_up, GivenUp("not wanted"))
    queue.fail(retried)
    queue.retry(retried)
    asked = [task.id for task in (waiting, completed, failed, given_up, running, retried)]

    ended, going_on = queue.uow.run(LookAtTasks(), [*asked, new_id()])

    assert {
        completed.id: (TaskStatus.COMPLETED, {"sent": 1}, None),
        failed.id: (TaskStatus.FAILED, None, "SMTPException: no such mailbox"),
        given_up.id: (TaskStatus.CANCELLED, None, "not wanted"),
    } == {task.id: (task.status, task.result, task.error) for task in ended}
    assert {
        waiting.id: TaskStatus.PENDING,
        running.id: TaskStatus.RUNNING,
        retried.id: TaskStatus.PENDING,
    } == going_on


def test_a_look_at_nothing_sees_nothing(queue: Queue) -> None:
    """
    An empty list is no mistake.
    """
    ended, going_on = queue.uow.run(LookAtTasks(), [])

    assert ([], {}) == (list(ended), going_on)
