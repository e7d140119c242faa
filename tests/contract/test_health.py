"""Health: what waits, for how long, and how the clocks differ."""

from datetime import timedelta

from app.domain.health import ClockDifference, WaitingQueue, WaitingType
from tests.contract.subject import Queue
from tests.examples import EMAIL, NOON, REPORT, ManualClock, new_task


def test_each_queue_is_shown_with_its_longest_waiting_task(queue: Queue) -> None:
    """
    Whatever its priority, and whether or not a claim has made it ready; what is later, running or over does not count.
    """
    queue.register()
    queue.enqueue(queue="running")
    queue.claim(queues=("running",))
    queue.enqueue_many([new_task(queue="mail", priority=priority) for priority in (-3, 2**31 - 1)])
    queue.enqueue_many([new_task(queue="mail", delay=1000), new_task(queue="later", delay=1000)])
    queue.cancel(queue.enqueue(queue="over"))
    queue.enqueue(queue="fallen due", delay=5)
    queue.clock.advance(10)
    queue.enqueue_many([new_task(queue="mail", priority=priority) for priority in (-4, 0, 9, -(2**31))])
    queue.clock.advance(20)

    waiting = queue.check().waiting_queues

    assert (WaitingQueue("mail", 30), WaitingQueue("fallen due", 25)) == waiting


def test_a_task_made_ready_late_waits_since_it_fell_due(queue: Queue) -> None:
    """
    A claim makes it ready, and takes nothing from its wait.
    """
    queue.register()
    queue.enqueue(delay=5)
    queue.clock.advance(10)
    queue.claim(types=("another",))

    assert (WaitingQueue("default", 5),) == queue.check().waiting_queues


def test_types_that_wait_are_shown_with_how_long(queue: Queue) -> None:
    """
    Due tasks count, by the moment they became due; what is scheduled, running or finished does not.
    """
    queue.register()
    queue.enqueue_many([new_task(REPORT), new_task(REPORT, delay=30)])
    queue.enqueue_many([new_task("unknown", delay=20), new_task("later", delay=1000)])
    queue.enqueue(EMAIL)
    queue.claim(types=(EMAIL,))
    queue.clock.advance(50)

    waiting = queue.waiting_types()

    assert [WaitingType(REPORT, 2, 50), WaitingType("unknown", 1, 30)] == waiting


def test_a_type_counts_in_every_queue_and_at_every_priority(queue: Queue) -> None:
    """
    One number for all, and the longest wait of all.
    """
    queue.enqueue_many([new_task(EMAIL, queue="a", priority=1), new_task(EMAIL, queue="b")])
    queue.clock.advance(10)
    queue.enqueue_many([new_task(EMAIL, queue="a", priority=7), new_task(EMAIL, queue="a", priority=7)])

    waiting = queue.waiting_types()

    assert [WaitingType(EMAIL, 4, 10)] == waiting


def test_nothing_waits_in_an_empty_queue(queue: Queue) -> None:
    """
    No queue and no type has due tasks.
    """
    assert ((), []) == (queue.check().waiting_queues, queue.waiting_types())


def test_the_clocks_are_compared(queue: Queue) -> None:
    """
    The database's stands at noon and this machine's seven seconds further.
    """
    difference = queue.check(ManualClock(NOON + timedelta(seconds=7))).clock

    assert ClockDifference(-7, 0) == difference
