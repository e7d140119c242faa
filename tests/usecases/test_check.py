"""Check: one sentence for each thing that is wrong, none when all is well."""

from datetime import timedelta

from app.domain.jobs.catalog import JobCatalog
from app.usecases.check import FindUnknown
from tests.contract.subject import in_memory
from tests.examples import EMAIL, NOON, ManualClock, new_task


def test_nothing_is_wrong_with_a_queue_that_works() -> None:
    """
    A living worker that hears, and no type that nobody knows.
    """
    queue = in_memory()
    queue.register()
    queue.beat(hears_notifications=True)
    queue.enqueue(EMAIL)

    report = queue.check()

    assert ((), (), 1, ["w1"]) == (
        report.problems,
        report.unknown_types,
        report.stats.pending,
        [worker.node.id for worker in report.workers],
    )


def test_a_queue_without_a_living_worker_is_not_well() -> None:
    """
    Neither with none at all nor with one that fell silent.
    """
    queue = in_memory()
    none = queue.check().problems
    queue.register()
    queue.clock.advance(61)

    assert ("No worker is alive: start one with `python -m app worker`.",) == none == queue.check().problems


def test_a_worker_that_hears_nothing_is_named() -> None:
    """
    One that does not know yet, and one that is late, are not.
    """
    queue = in_memory()
    queue.register("late")
    queue.beat("late", hears_notifications=False)
    queue.clock.advance(61)
    queue.register("deaf")
    queue.beat("deaf", hears_notifications=False)
    queue.register("new")

    [problem] = queue.check().problems

    assert problem.startswith("Worker deaf hears no notifications")


def test_a_type_nobody_knows_is_named_with_its_wait() -> None:
    """
    While a worker is alive it is the workers' types that count: what only we know, nobody runs.
    """
    queue = in_memory()
    queue.jobs = JobCatalog()
    queue.jobs.define("unknown")(lambda payload, context: None)
    queue.register(types=("known:there",))
    queue.enqueue_many([new_task("known:there"), new_task("unknown"), new_task("unknown")])
    queue.clock.advance(30)

    report = queue.check()

    assert ["unknown"] == [waiting.type for waiting in report.unknown_types]
    assert (
        "2 due task(s) of type 'unknown' wait for a worker that knows that type (the oldest for 30 s).",
    ) == report.problems


def test_without_a_worker_our_own_catalog_counts() -> None:
    """
    What we know is the best guess at what a worker will know once there is one.
    """
    queue = in_memory()
    queue.jobs = JobCatalog()
    queue.jobs.define("known:here")(lambda payload, context: None)
    queue.enqueue_many([new_task("known:here"), new_task("unknown")])

    report = queue.check()

    assert ["unknown"] == [waiting.type for waiting in report.unknown_types]


def test_workers_ask_for_what_is_unknown_alone() -> None:
    """
    What check says of them, without the rest.
    """
    queue = in_memory()
    queue.register(types=("known:there",))
    queue.enqueue_many([new_task("known:there"), new_task("unknown")])

    unknown = queue.uow.run(FindUnknown(queue.jobs)).types

    assert queue.check().unknown_types == unknown
    assert ["unknown"] == [waiting.type for waiting in unknown]


def test_a_clock_that_is_wrong_is_a_note_and_no_problem() -> None:
    """
    Workers go by the database's; up to five seconds nothing is said.
    """
    queue = in_memory()
    queue.register()

    near, ahead, behind = (queue.check(ManualClock(NOON + timedelta(seconds=seconds))) for seconds in (5, 7, -3600))

    assert ((), (), ()) == (near.problems, ahead.problems, behind.problems)
    assert () == near.notes
    assert ["7.0 s ahead of", "3600.0 s behind"] == [
        note.partition(" is ")[2].partition(" the ")[0] for note in ahead.notes + behind.notes
    ]
