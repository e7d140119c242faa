"""Many dead letters, as quickly as they can be had."""

from typing import Any

from app import NewTask, TaskQueueContainer
from app.domain.identifiers import TaskId
from app.domain.tasks.failures import Failure
from app.domain.tasks.outcomes import Failed
from app.domain.tasks.repository import ClaimRequest, Settlement
from app.domain.workers import WorkerNode
from app.usecases.tasks.claim import ClaimTasks
from app.usecases.tasks.settle import SettleTasks
from app.usecases.workers import RegisterWorker, RemoveWorker

TYPE = "letters:test"
_BATCH = 500


def kill(tasks: TaskQueueContainer, number: int, *, payload: Any = None) -> list[TaskId]:
    """The ids of so many tasks of ``letters:test`` that have just died; the earliest death first."""
    node = WorkerNode(id="mortuary", name="mortuary", lease=600, concurrency=1, types=(TYPE,))
    unit_of_work = tasks.unit_of_work()
    unit_of_work.run(RegisterWorker(), node)
    died: list[TaskId] = []
    while len(died) < number:
        many = min(_BATCH, number - len(died))
        tasks.enqueue_tasks().execute([NewTask(type=TYPE, payload=payload) for _ in range(many)])
        claimed = unit_of_work.run(ClaimTasks(), ClaimRequest(worker_id=node.id, types=(TYPE,), limit=many)).tasks
        outcome = Failed(Failure("builtins.ValueError", "no"))
        unit_of_work.run(SettleTasks(), [Settlement(task, outcome) for task in claimed])
        died += [task.id for task in claimed]
    unit_of_work.run(RemoveWorker(), node.id)
    return died
