"""PostgreSQL away: workers survive it, nothing that was accepted is lost, and work resumes within five seconds."""

import time

from app import TaskStatus
from tests.faults.bench import Bench
from tests.faults.producer import Producer
from tests.faults.waiting import measured
from tests.server import OwnServer

RESUMES = 5.0
OUTAGE = 5.0


def test_a_crash_of_the_database_under_load_loses_nothing(breakable_bench: Bench, breakable: OwnServer) -> None:
    """Restarted twice at full work: every accepted task completes, by the same two processes."""
    bench = breakable_bench
    both = bench.two_workers(worker_lease=10, worker_concurrency=10)
    first = bench.enqueue_many("short", 300)
    producer = Producer(bench)
    back, resumed = [], []

    for _ in range(2):
        producer.wait_for(40)
        breakable.restart("immediate")
        back.append(time.monotonic())
        bench.wait_for_more(within=RESUMES)
        resumed.append(time.monotonic() - back[-1])
    producer.wait_for(40)
    accepted = [*first, *producer.stop()]
    bench.wait_for_all(accepted, within=30)

    ran = bench.ledger.times([task.id for task in accepted])
    measured(
        f"{len(accepted)} tasks accepted, {producer.refused} refused, {sum(ran) - len(ran)} run more than once;"
        f" resumed {', '.join(f'{seconds:.2f} s' for seconds in resumed)} after the database was back"
    )
    assert min(ran) >= 1
    assert {worker.pid for worker in both} == {pid for task in accepted for pid in bench.ledger.pids(task.id)}
    assert all(worker.is_alive for worker in both)


def test_an_outage_longer_than_the_lease_recovers_no_healthy_task(breakable_bench: Bench, breakable: OwnServer) -> None:
    """Nobody could renew a lease meanwhile, so the living have time to when it is over; due work resumes at once."""
    bench = breakable_bench
    both = bench.two_workers(worker_lease=2)
    tasks = [bench.enqueue("slow", {"seconds": OUTAGE + 3}) for _ in range(4)]
    for task in tasks:
        bench.wait_for_note(task)

    breakable.stop("fast")
    stopped = time.monotonic()
    newcomer = bench.worker("newcomer", ready=False, worker_lease=2)
    newcomer.wait_until_said("trying again until it works")
    bench.eventually(lambda: time.monotonic() - stopped > OUTAGE, what="the outage is long enough")
    breakable.start()
    back = time.monotonic()
    waiting = bench.eventually(lambda: bench.enqueue("quick"), what="the application's next enqueue works")
    bench.wait_for(waiting, TaskStatus.COMPLETED, within=RESUMES)

    measured(f"resumed {time.monotonic() - back:.2f} s after an outage of {back - stopped:.1f} s")
    found = [bench.wait_for(task, TaskStatus.COMPLETED) for task in tasks]
    assert {(1, 0)} == {(task.attempts, len(task.errors)) for task in found}
    assert [1] * 4 == bench.ledger.times([task.id for task in tasks])
    assert all(worker.is_alive for worker in (*both, newcomer))
    assert "taken for dead" not in bench.logs()
