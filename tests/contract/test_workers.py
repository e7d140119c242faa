"""Workers: who is registered, who is late, who was buried."""

from datetime import timedelta

from app.domain.tasks.outcomes import Released
from app.domain.workers import LiveWorker
from tests.contract.subject import Queue
from tests.examples import NOON, a_node, new_task


def test_a_registered_worker_is_seen_as_it_registered(queue: Queue) -> None:
    """
    Everything it said about itself, and the moment.
    """
    node = queue.register("w1", name="höst 7", lease=12.5, concurrency=3, types=("a", "b"), queues=("q,", "{}"))

    [worker] = queue.workers()

    assert LiveWorker(node=node, started_at=NOON, last_seen_at=NOON, is_late=False, hears_notifications=None) == worker


def test_a_worker_may_announce_itself_again(queue: Queue) -> None:
    """
    As one does whose first answer was lost: its lease starts anew, its life does not.
    """
    node = queue.register("w1")
    queue.beat("w1", hears_notifications=True)
    queue.clock.advance(50)

    queue.register("w1")

    [worker] = queue.workers()
    assert (node, NOON, NOON + timedelta(seconds=50), True) == (
        worker.node,
        worker.started_at,
        worker.last_seen_at,
        worker.hears_notifications,
    )


def test_a_worker_may_know_no_types_and_want_all_queues(queue: Queue) -> None:
    """
    Empty is allowed for both.
    """
    node = queue.register("w1", types=(), queues=())

    [worker] = queue.workers()

    assert node == worker.node


def test_a_beat_renews_the_lease(queue: Queue) -> None:
    """
    It is late once the time since its last beat exceeds its lease, and no more when it beats again.
    """
    queue.register("w1", lease=60)
    seen = []

    for wait in (60, 1):
        queue.clock.advance(wait)
        seen.append(queue.workers()[0].is_late)
    beaten = queue.beat("w1", hears_notifications=True)
    [worker] = queue.workers()

    assert ([False, True], True) == (seen, beaten)
    assert (False, True) == (worker.is_late, worker.hears_notifications)
    assert (NOON, NOON + timedelta(seconds=61)) == (worker.started_at, worker.last_seen_at)


def test_the_longest_alive_is_listed_first(queue: Queue) -> None:
    """
    In the order of their beginnings, whatever their ids.
    """
    for worker_id in ("c", "a", "b"):
        queue.register(worker_id)
        queue.clock.advance(1)

    listed = [worker.node.id for worker in queue.workers()]

    assert ["c", "a", "b"] == listed


def test_an_unknown_worker_cannot_beat(queue: Queue) -> None:
    """
    A life that was never announced cannot be renewed.
    """
    beaten = queue.beat("stranger")

    assert (False, []) == (beaten, list(queue.workers()))


def test_a_worker_leaves_once(queue: Queue) -> None:
    """
    Leaving twice, or without having been there, is nothing.
    """
    queue.register("w1")
    queue.register("w2")

    queue.leave("w1")
    queue.leave("w1")
    queue.leave("stranger")

    assert (["w2"], False) == ([worker.node.id for worker in queue.workers()], queue.beat("w1"))


def test_the_silent_are_buried_by_name(queue: Queue) -> None:
    """
    Those whose lease ran out are removed and named, once; the others stay.
    """
    queue.register("quick", lease=10)
    queue.register("also quick", lease=10)
    queue.register("slow", lease=100)
    queue.clock.advance(11)

    buried = queue.uow.run(lambda tx: tx.workers.bury_silent())
    again = queue.uow.run(lambda tx: tx.workers.bury_silent())

    assert (["also quick", "quick"], []) == (sorted(buried), again)
    assert ["slow"] == [worker.node.id for worker in queue.workers()]


def test_a_worker_comes_back_under_a_new_life(queue: Queue) -> None:
    """
    Two lives may share a name, and only the living one counts.
    """
    queue.register("w1/1", name="w1")
    queue.clock.advance(61)
    queue.recover()

    queue.register("w1/2", name="w1")

    assert [a_node("w1/2", name="w1")] == [worker.node for worker in queue.workers()]
    assert (False, True) == (queue.beat("w1/1"), queue.beat("w1/2"))


def test_a_beat_brings_which_of_a_worker_s_tasks_were_cancelled(queue: Queue) -> None:
    """
    At each beat until they have ended; its own alone, and none that merely runs or was cancelled before it ran.
    """
    for worker_id in ("w1", "w2"):
        queue.register(worker_id)
    tasks = queue.enqueue_many([new_task(priority=-number) for number in range(5)])
    mine = queue.claim(limit=3)
    other = queue.claim(worker_id="w2", limit=1)
    for task in [*mine[:2], *other, tasks[-1]]:
        queue.cancel(task)

    pulses = [queue.pulse("w1"), queue.pulse("w1"), queue.pulse("w2"), queue.pulse("w3")]
    queue.settle(mine[0], Released())
    last = queue.pulse("w1")

    both, [theirs] = {task.id for task in mine[:2]}, other
    assert [both, both, {theirs.id}, set()] == [set(pulse.cancelled) for pulse in pulses]
    assert [True, True, True, False] == [pulse.is_alive for pulse in pulses]
    assert (mine[1].id,) == last.cancelled
