"""Unique tasks in bulk, and from many producers at the same moment."""

from app.domain.tasks.task import WorkerTask
from tests.contract.parallel import in_parallel
from tests.contract.subject import Queue
from tests.contract.uniques import is_new, sync, unique
from tests.examples import REPORT, new_task


def test_in_bulk_everybody_gets_a_task_in_the_order_given(queue: Queue) -> None:
    """
    The first of a key wins, and the others get its task; those who hold a key already, and plain tasks, among them.
    """
    unique(queue)
    [there] = queue.enqueue_many([sync(3)])
    new = [sync(1), new_task(REPORT), sync(2), sync(1, note="lost"), sync(3), new_task(REPORT), sync(2)]

    tasks = queue.enqueue_many(new)

    assert [one.type for one in new] == [task.type for task in tasks]
    assert [True, True, True, False, False, True, False] == [is_new(task) for task in tasks]
    assert (tasks[0].id, tasks[2].id, there.id) == (tasks[3].id, tasks[6].id, tasks[4].id)
    assert ["", 5] == [queue.find(tasks[3]).payload["note"], queue.stats().total]
    assert 5 == len(queue.told)


def test_bulk_that_replaces_is_as_one_after_the_other(queue: Queue) -> None:
    """
    The first gives the id, the last gives all else; whether the key was free before or not.
    """
    unique(queue, on_conflict="replace")

    tasks = queue.enqueue_many([sync(note="1"), sync(2), sync(note="2", priority=3), sync(note="3", priority=5)])
    between = queue.find(tasks[0])
    again = queue.enqueue_many([sync(note="4"), sync(note="5")])

    assert [True, True, False, False] == [is_new(task) for task in tasks]
    assert ("3", 5) == (between.payload["note"], between.priority)
    assert ({tasks[0].id}, "5") == ({task.id for task in again}, queue.find(between).payload["note"])
    assert 2 == queue.stats().total


def test_thousands_are_placed_together(queue: Queue) -> None:
    """
    Half of them are there already, and every fourth is given twice.
    """
    unique(queue)
    before = queue.enqueue_many([sync(number) for number in range(0, 4000, 2)])

    users = [number - (number % 4 == 1) for number in range(4000)]
    tasks = queue.enqueue_many([sync(user) for user in users])

    known = {task.payload["user"]: task.id for task in before}
    assert users == [task.payload["user"] for task in tasks]
    assert [known.get(user, task.id) for user, task in zip(users, tasks, strict=True)] == [task.id for task in tasks]
    assert (3000, 1000) == (queue.stats().total, sum(map(is_new, tasks)))


def test_of_fifty_producers_one_enqueues(queue: Queue) -> None:
    """
    They come at the same moment, and again once the task has ended.
    """
    unique(queue)
    queue.register()

    first = in_parallel(50, lambda number: queue.enqueue_many([sync(note=str(number))])[0])
    queue.complete(queue.claim_one())
    second = in_parallel(50, lambda number: queue.enqueue_many([sync(note=str(number))])[0])

    assert [1, 1] == [len({task.id for task in tasks}) for tasks in (first, second)]
    assert [1, 1] == [sum(map(is_new, tasks)) for tasks in (first, second)]
    assert (1, 1) == (queue.stats().pending, queue.stats().completed)


def test_bulks_in_opposite_order_do_not_wait_for_each_other_forever(queue: Queue) -> None:
    """
    Eight producers with the same two hundred keys, half of them backwards, and with replacing at that.
    """
    unique(queue, on_conflict="replace")

    def work(number: int) -> list[WorkerTask]:
        tasks = []
        for _ in range(5):
            tasks += queue.enqueue_many([sync(user) for user in range(200)][:: 1 if number % 2 else -1])
        return tasks

    tasks = [task for share in in_parallel(8, work) for task in share]

    assert (200, 200) == (len({task.id for task in tasks}), queue.stats().total)
    assert 200 == sum(map(is_new, tasks))
