"""kill -9 in the middle of a bulk action on dead letters: none lost, none taken twice, and the record is true."""

import signal

from app.domain.dead_letters.actions import LetterAction
from tests.faults.bench import Bench
from tests.faults.waiting import measured
from tests.infra.postgres.letters import TYPE, kill

MANY = 4_000
RATE = 2_000


def test_what_a_killed_worker_had_begun_another_ends(bench: Bench) -> None:
    """Some thousands are requeued by the worker that comes after; each letter came back once."""
    died = set(kill(bench.tasks, MANY))
    first = bench.worker("a")
    asked = bench.tasks.requeue_dead_letters().execute(rate=RATE, by="ada")
    assert asked.action is not None

    def action() -> LetterAction:
        return bench.tasks.find_dead_letter_action().execute(asked.action.id)  # type: ignore[union-attr]

    bench.eventually(lambda: action().done >= RATE // 4, what="a chunk is done")
    first.send(signal.SIGKILL)
    first.wait_until_ended(within=10)
    half = action().done
    bench.worker("b", ready=False)
    bench.eventually(lambda: action().ended_at is not None, within=30, what="the action is through")

    measured(f"killed after {half} of {MANY} letters")
    back = bench.tasks.list_tasks().execute(status="pending", type=TYPE, limit=10_000)
    assert 0 < half < MANY
    assert (MANY, 0, MANY, "ada") == (action().done, action().skipped, action().total, action().actor)
    assert (died, {1}, MANY) == ({task.id for task in back}, {task.requeues for task in back}, len(back))
    assert 0 == bench.tasks.count_dead_letters().execute().total
