"""Several who work on the same dead letters at once: each letter goes one way, once, and the record is true."""

from app.domain.dead_letters.errors import NotADeadLetter
from app.domain.errors import QueueError
from app.domain.identifiers import TaskId
from app.domain.jobs.context import TaskContext
from app.domain.tasks.task import WorkerTask
from app.worker.dead_letters import LetterWork
from tests.contract.letters import Letters
from tests.contract.parallel import in_parallel
from tests.contract.subject import Queue
from tests.examples import EMAIL


def test_two_bulk_requeues_of_the_same_letters_share_them(queue: Queue) -> None:
    """
    Together they put back all of them, each once, and each counts its own.
    """
    letters = Letters(queue, at_once=10)
    died = {task.id for task in letters.die_many(300)}
    queue.clock.advance(1)
    asked = [letters.requeue_all(), letters.requeue_all()]
    tasks = [queue.find(_task(bulk.task_id)) for bulk in asked]

    def work(number: int) -> dict[str, int]:
        worker = LetterWork(lambda: queue.uow, chunk=7, sleep=lambda seconds: None)
        return worker.run(tasks[number].payload, TaskContext(tasks[number], "w"))

    answers = in_parallel(2, work)

    back = queue.newest(status="pending", type=EMAIL, limit=1_000)
    assert (died, {1}) == ({task.id for task in back}, {task.requeues for task in back})
    assert 300 == sum(answer["done"] for answer in answers)
    assert [answer["done"] for answer in answers] == [action.done for action in reversed(letters.actions())]
    assert all(action.ended_at is not None for action in letters.actions())


def test_what_everybody_wants_goes_one_way(queue: Queue) -> None:
    """
    Requeued in bulk, by id, discarded, retried and cleaned up at the same moment: each letter by one of them.
    """
    letters = Letters(queue)
    died = letters.die_many(120)
    queue.clock.advance(10)

    def one_by_one(verb: object) -> list[TaskId]:
        taken = []
        for task in died:
            try:
                verb(task)  # type: ignore[operator]
                taken.append(task.id)
            except QueueError:
                pass  # somebody else was first
        return taken

    works = [
        lambda: letters.requeue_all().done,
        lambda: letters.discard_all().done,
        lambda: len(one_by_one(letters.requeue)),
        lambda: len(one_by_one(letters.discard)),
        lambda: len(one_by_one(queue.retry)),
        lambda: queue.cleanup(5),
    ]
    taken = in_parallel(len(works), lambda number: works[number]())

    stats = queue.stats()
    assert (120, 0) == (sum(taken), stats.failed)
    assert taken[0] + taken[2] + taken[4] == stats.pending == stats.total
    assert taken[0] + taken[2] == sum(task.requeues for task in queue.newest(limit=1_000))
    assert sum(taken[:4]) == sum(action.done for action in letters.actions())


def test_of_several_who_requeue_one_letter_one_does(queue: Queue) -> None:
    """
    The others are told that it is no dead letter any more.
    """
    letters = Letters(queue)
    task = letters.die()

    def requeue(number: int) -> WorkerTask | None:
        try:
            return letters.requeue(task)
        except NotADeadLetter:
            return None

    answers = in_parallel(5, requeue)

    assert (1, 1) == (sum(answer is not None for answer in answers), queue.find(task).requeues)


def _task(task_id: TaskId | None) -> WorkerTask:
    from tests.examples import a_task

    assert task_id is not None
    return a_task(id=task_id)
