"""Connections that are cut or refused while the server lives: the worker gets new ones and goes on."""

from contextlib import ExitStack
from typing import LiteralString

import psycopg
from psycopg import sql

from app import TaskStatus
from tests.faults.bench import Bench
from tests.faults.waiting import measured
from tests.server import OwnServer

LISTEN = "LISTEN%"


def test_notifications_come_again_when_their_connection_was_cut(bench: Bench) -> None:
    """With a poll interval of half a minute, only a new LISTEN explains that the next task begins at once."""
    bench.worker(worker_poll_interval=30)
    [listening] = bench.eventually(lambda: bench.backends(LISTEN), what="the worker listens")

    bench.terminate([listening])
    bench.eventually(
        lambda: [one for one in bench.backends(LISTEN) if one["pid"] != listening["pid"]], what="it listens again"
    )
    found = [bench.wait_for(bench.enqueue("quick"), TaskStatus.COMPLETED) for _ in range(3)]

    waits = [(task.started_at - task.created_at).total_seconds() for task in found if task.started_at]
    measured(f"enqueued to begun, ms: {[round(wait * 1000) for wait in waits]}")
    assert max(waits) < 1


def test_a_worker_whose_connections_were_all_cut_goes_on(bench: Bench) -> None:
    """What it runs is settled by it, in its first attempt, and new tasks are begun."""
    worker = bench.worker()
    running = bench.enqueue("slow", {"seconds": 2})
    bench.wait_for_note(running)

    bench.terminate(bench.backends())
    after = bench.enqueue("quick")

    bench.wait_for(after, TaskStatus.COMPLETED)
    found = bench.wait_for(running, TaskStatus.COMPLETED)
    assert (1, worker.pid) == (found.attempts, found.result)
    assert "taken for dead" not in worker.log


def test_a_worker_survives_that_no_connection_is_to_be_had(breakable_bench: Bench, breakable: OwnServer) -> None:
    """Cut off, with every place on the server taken, it waits, and resumes when there is room."""
    bench = breakable_bench
    worker = bench.worker(worker_lease=10)
    bench.wait_for(bench.enqueue("quick"), TaskStatus.COMPLETED)
    with ExitStack() as places:
        watch = places.enter_context(psycopg.connect(breakable.url, autocommit=True))
        waiting = bench.enqueue("quick", delay=1)
        bench.tasks.close()
        cut = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s"

        def is_full() -> bool:
            watch.execute(cut, (bench.database,))
            try:
                places.enter_context(psycopg.connect(breakable.url))
            except psycopg.OperationalError as error:
                return "too many clients" in str(error)
            return False

        bench.eventually(is_full, what="every place on the server is taken")
        worker.wait_until_said("too many clients")
        worker.wait_until_said("Claiming: The database is not available")
        assert worker.is_alive

    found = bench.wait_for(waiting, TaskStatus.COMPLETED, within=5)
    assert (1, worker.pid) == (found.attempts, found.result)


def test_an_outcome_outlives_a_database_that_takes_no_writes(bench: Bench) -> None:
    """As after a failover to a replica: what ended meanwhile is kept, and stored once writing is possible again."""
    worker = bench.worker(worker_lease=10)
    tasks = [bench.enqueue("slow", {"seconds": 1}), bench.enqueue("slow:thread", {"seconds": 1})]
    for task in tasks:
        bench.wait_for_note(task)
    mine = sql.Identifier(bench.database)

    def set_to(what: LiteralString) -> None:
        with psycopg.connect(bench.url, autocommit=True, options="-c default_transaction_read_only=off") as connection:
            connection.execute(sql.SQL("ALTER DATABASE {} " + what).format(mine))
        bench.terminate(bench.backends())

    set_to("SET default_transaction_read_only = on")
    for task in tasks:
        bench.wait_for_note(task, "ran")
    worker.wait_until_said("Settling: ")
    set_to("RESET default_transaction_read_only")

    found = [bench.wait_for(task, TaskStatus.COMPLETED, within=5) for task in tasks]
    assert {(1, worker.pid)} == {(task.attempts, task.result) for task in found}
    bench.wait_for(bench.enqueue("quick"), TaskStatus.COMPLETED)


def test_no_transaction_stays_open_beside_a_running_handler(bench: Bench) -> None:
    """However long it takes, none of the worker's connections is in a transaction meanwhile."""
    bench.worker(worker_lease=60, worker_stale_check_interval=60)
    tasks = [bench.enqueue("slow", {"seconds": 600}), bench.enqueue("slow:thread", {"seconds": 600})]
    for task in tasks:
        bench.wait_for_note(task)

    def settled_down() -> bool:
        return {"idle"} == {backend["state"] for backend in bench.backends()}

    bench.eventually(settled_down, within=5, what="all connections of the worker are idle, none in a transaction")
    open_ones = [backend for _ in range(20) for backend in bench.backends() if backend["xact_start"] is not None]
    assert [] == open_ones
    assert {TaskStatus.RUNNING} == {bench.find(task).status for task in tasks}
