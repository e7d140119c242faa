"""The check of every drain: each task ran exactly once, and the system's tables agree."""

from collections.abc import Sequence
from pathlib import Path

import pytest

from benchmarks.shared.ledger import FOLDER, Ledger
from benchmarks.shared.observer import Observer
from benchmarks.shared.system import Context, Producer
from benchmarks.shared.workloads.watching import check, pause
from benchmarks.systems.ours import Ours

_TASKS = range(5)


class Told(Producer):
    """A system that says how many of its tasks have succeeded."""

    def __init__(self, succeeded: int) -> None:
        self._succeeded = succeeded

    async def enqueue(self, number: int) -> None:
        raise NotImplementedError

    async def enqueue_many(self, numbers: Sequence[int], shape: str = "") -> None:
        raise NotImplementedError

    async def counts(self) -> tuple[int, int]:
        return 0, self._succeeded


@pytest.fixture
def ledgers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Ledger]:
    """The one ledger of a measurement with two worker processes, as each of them opens it."""
    monkeypatch.setenv(FOLDER, str(tmp_path))
    whole = Ledger.create(len(_TASKS), 2)
    return [Ledger(whole.path, whole.size, whole.workers, worker) for worker in range(2)]


@pytest.fixture
def context() -> Context:
    observer = Observer.__new__(Observer)  # its __init__ takes standard output over; nobody is asked here
    return Context(system=Ours(), observer=observer, url="", size=len(_TASKS), rate=0, seconds=0, limit=1)


async def test_a_drain_in_which_each_task_ran_once_passes(ledgers: list[Ledger], context: Context) -> None:
    """Whichever process ran it."""
    for number in _TASKS:
        ledgers[number % 2].mark(number)

    await check(context, ledgers[0], _TASKS, Told(len(_TASKS)))

    assert [3, 2] == ledgers[0].by_worker(_TASKS)
    assert len(_TASKS) == ledgers[0].runs(_TASKS)


async def test_a_task_that_two_processes_ran_fails_the_drain(ledgers: list[Ledger], context: Context) -> None:
    """Although the tables hold as many successes as there are tasks."""
    for number in _TASKS:
        ledgers[0].mark(number)
    ledgers[1].mark(3)

    with pytest.raises(AssertionError, match=r"^0 task\(s\) never ran, 1 ran more than once$"):
        await check(context, ledgers[0], _TASKS, Told(len(_TASKS)))


async def test_a_task_that_one_process_ran_twice_fails_the_drain(ledgers: list[Ledger], context: Context) -> None:
    """A claim that was made again, too."""
    for number in (*_TASKS, 3):
        ledgers[0].mark(number)

    with pytest.raises(AssertionError, match=r"^0 task\(s\) never ran, 1 ran more than once$"):
        await check(context, ledgers[0], _TASKS, Told(len(_TASKS)))


async def test_a_task_that_never_ran_fails_the_drain(ledgers: list[Ledger], context: Context) -> None:
    """Whatever the tables say of it."""
    for number in _TASKS[:-1]:
        ledgers[0].mark(number)

    with pytest.raises(AssertionError, match=r"^1 task\(s\) never ran, 0 ran more than once$"):
        await check(context, ledgers[0], _TASKS, Told(len(_TASKS)))


@pytest.mark.parametrize("succeeded", [len(_TASKS) - 1, len(_TASKS) + 1])
async def test_tables_that_hold_another_number_of_successes_fail_the_drain(
    ledgers: list[Ledger], context: Context, succeeded: int
) -> None:
    """A handler ran, and its task is not over; or something ran that nobody enqueued."""
    for number in _TASKS:
        ledgers[0].mark(number)

    with pytest.raises(AssertionError, match=f"hold {succeeded} that succeeded"):
        await check(context, ledgers[0], _TASKS, Told(succeeded))


async def test_what_had_succeeded_before_does_not_count(ledgers: list[Ledger], context: Context) -> None:
    """A backlog in history is not this drain's success."""
    for number in _TASKS:
        ledgers[0].mark(number)

    with pytest.raises(AssertionError, match="hold 3 that succeeded"):
        await check(context, ledgers[0], _TASKS, Told(len(_TASKS)), before=2)


def test_the_backlog_is_not_in_the_ledger(ledgers: list[Ledger]) -> None:
    """Its numbers are negative, and would be somebody else's place from the end."""
    ledgers[0].mark(-1)

    assert 0 == ledgers[0].runs(_TASKS)


def test_looks_are_no_further_apart_than_half_a_percent_of_what_has_passed() -> None:
    """So a rate is off by that at the most, and looking costs little; never below two milliseconds."""
    assert [0.002, 0.005, 0.05, 0.05] == [pause(0.1), pause(1.0), pause(10.0), pause(600.0)]
