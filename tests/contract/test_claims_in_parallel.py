"""Claims at the same moment: no task is handed out twice, and none is left behind."""

from collections import Counter

from app.domain.identifiers import TaskId
from tests.contract.parallel import in_parallel
from tests.contract.subject import Queue
from tests.examples import new_task


def test_of_twenty_claimers_one_gets_the_only_task(queue: Queue) -> None:
    """
    Twenty workers reach for one task at once.
    """
    for number in range(20):
        queue.register(f"w{number}")
    task = queue.enqueue()

    claims = in_parallel(20, lambda number: queue.claim(f"w{number}", limit=5))

    assert [task.id] == [one.id for claim in claims for one in claim]
    assert 1 == queue.find(task).lease_seq


def test_eight_claimers_share_a_thousand_tasks(queue: Queue) -> None:
    """
    Together they get all of them, and no two get the same.
    """
    tasks = queue.enqueue_many([new_task(priority=number % 3) for number in range(1000)])
    for number in range(8):
        queue.register(f"w{number}")

    def drain(number: int) -> list[TaskId]:
        taken: list[TaskId] = []
        while claimed := queue.claim(f"w{number}", limit=7):
            taken += [task.id for task in claimed]
        return taken

    taken = Counter(task_id for share in in_parallel(8, drain) for task_id in share)

    assert Counter(task.id for task in tasks) == taken
    assert (0, 1000) == (queue.stats().pending, queue.stats().running)


def test_workers_that_claim_settle_and_fail_at_once_lose_nothing(queue: Queue) -> None:
    """
    Every task is completed once, though each fails on its first attempt and other threads enqueue meanwhile.
    """
    for number in range(4):
        queue.register(f"w{number}")

    def live(number: int) -> int:
        queue.enqueue_many([new_task() for _ in range(25)])
        done = 0
        while claimed := queue.claim(f"w{number}", limit=5):
            for task in claimed:
                accepted = queue.fail_and_retry(task) if task.attempts == 1 else queue.complete(task)
                done += accepted and task.attempts == 2
        return done

    done = in_parallel(4, live)

    assert (100, 100) == (sum(done), queue.stats().completed)


def test_recovery_by_several_workers_takes_every_task_back_once(queue: Queue) -> None:
    """
    Eight workers notice one worker's death at the same moment.
    """
    queue.register("dead")
    queue.enqueue_many([new_task() for _ in range(200)])
    queue.claim("dead", limit=200)
    queue.clock.advance(61)

    recovered = in_parallel(8, lambda _: queue.recover(batch=1000))

    assert 200 == sum(recovered)
    assert {(1, 1)} == {(task.attempts, len(task.errors)) for task in queue.newest(limit=1000)}


def test_a_task_is_settled_by_one_of_many_who_try(queue: Queue) -> None:
    """
    The outcome of one attempt is accepted once, however often it is sent at the same time.
    """
    queue.register()
    queue.enqueue()
    claimed = queue.claim_one()

    accepted = in_parallel(8, lambda number: queue.complete(claimed.snapshot(), number))

    assert 1 == sum(accepted)
    assert accepted.index(True) == queue.find(claimed).result
