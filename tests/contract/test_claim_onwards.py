"""Claims onwards: behind where the last one ended, for times when a search from the front is slow."""

import pytest

from app.domain.tasks.repository import Position
from app.usecases.tasks.claim import TimeFront
from tests.contract.subject import Queue, request
from tests.examples import EMAIL, REPORT, new_task


def test_a_claim_onwards_takes_what_stands_behind_its_positions(queue: Queue) -> None:
    """
    More urgent, or as urgent and older: that is before. Queues without a position are left alone.
    """
    queue.register()
    tasks = [queue.enqueue(queue=name, priority=priority) for name in ("a", "b", "c") for priority in (1, 0, 0, -1)]
    after = tuple(Position(each.queue, each.priority, each.scheduled_at, each.id) for each in (tasks[1], tasks[6]))

    claimed = queue.claim(limit=10, after=after)

    assert [tasks[index].id for index in (2, 3, 7)] == [task.id for task in claimed]


def test_claims_onwards_come_through_the_queue_in_order(queue: Queue) -> None:
    """
    Each starts where the last one ended; together they take what claims from the front would, in the same order.
    """
    queue.register()
    tasks = [queue.enqueue(queue="ab"[number % 2], priority=number // 4) for number in range(8)]
    claimed = queue.claim(limit=2)

    for _ in range(4):
        last = {task.queue: task for task in claimed}.values()
        after = tuple(Position(each.queue, each.priority, each.scheduled_at, each.id) for each in last)
        claimed += queue.claim(limit=2, after=after)

    assert [tasks[index].id for index in (4, 5, 6, 7, 0, 1, 2, 3)] == [task.id for task in claimed]


def test_a_claim_onwards_obeys_the_rules_of_every_claim(queue: Queue) -> None:
    """
    It takes its types alone, nothing before it is due, and nothing for a worker that was buried.
    """
    queue.register()
    first, _, wanted, _ = (
        queue.enqueue(EMAIL),
        queue.enqueue(REPORT),
        queue.enqueue(EMAIL),
        queue.enqueue(EMAIL, delay=10),
    )
    after = (Position(first.queue, first.priority, first.scheduled_at, first.id),)

    of_a_stranger = queue.claim("stranger", types=(EMAIL,), limit=10, after=after)
    claimed = queue.claim(types=(EMAIL,), limit=10, after=after)
    again = queue.claim(types=(EMAIL,), limit=10, after=after)

    assert ([], [wanted.id], []) == (of_a_stranger, [task.id for task in claimed], again)


@pytest.mark.parametrize("queues", [(), ("default",), ("default", "slow")])
def test_a_front_with_nothing_before_it_is_quick(queue: Queue, queues: tuple[str, ...]) -> None:
    """
    What a search finds there is not counted, and it takes nothing.
    """
    queue.register()
    queue.enqueue_many([new_task(queue=name) for name in ("default", "slow") for _ in range(20)])

    took = queue.uow.run(TimeFront(), request(queues=queues, limit=100))

    assert took < 0.5
    assert 40 == queue.stats().pending
