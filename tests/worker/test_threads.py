"""Handler threads: one for each handler that blocks, few for those that do not, in the order of the line."""

import threading
from collections.abc import Iterator
from functools import partial
from queue import SimpleQueue

import pytest

from app.worker.threads import HandlerThreads

PATIENCE = 5


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What blocking work of a test waits for; open afterwards, whatever happened."""
    gate = threading.Event()
    yield gate
    gate.set()


def test_work_that_blocks_is_all_run_at_once(gate: threading.Event) -> None:
    """Nobody waits behind a handler that waits: each gets a thread, and none of them has to end for it."""
    threads, began = HandlerThreads(), SimpleQueue[int]()

    def blocks() -> None:
        began.put(threading.get_ident())
        gate.wait()

    for _ in range(200):
        threads.submit(blocks)

    assert 200 == len({began.get(timeout=PATIENCE) for _ in range(200)})


def test_work_behind_a_thread_that_began_to_block_is_run(gate: threading.Event) -> None:
    """What comes while every thread is blocked gets one more, however often that happens."""
    threads, began = HandlerThreads(), SimpleQueue[int]()

    def blocks() -> None:
        began.put(threading.get_ident())
        gate.wait()

    seen = set()
    for _ in range(20):
        threads.submit(blocks)
        seen.add(began.get(timeout=PATIENCE))

    assert 20 == len(seen)


def test_short_work_takes_few_threads() -> None:
    """Whoever is done goes on with the next piece; a thousand pieces are no reason for a thousand threads."""
    threads, ran = HandlerThreads(), SimpleQueue[int]()

    for _ in range(5_000):
        threads.submit(lambda: ran.put(threading.get_ident()))
    used = [ran.get(timeout=PATIENCE) for _ in range(5_000)]

    assert len(set(used)) < 50


def test_work_is_taken_in_the_order_it_came() -> None:
    """When a piece runs, whatever came before it is over or in the hands of another thread."""
    threads, ran = HandlerThreads(), SimpleQueue[tuple[int, int]]()

    def note(number: int) -> None:
        ran.put((number, threading.get_ident()))

    for number in range(5_000):
        threads.submit(partial(note, number))
    order = [ran.get(timeout=PATIENCE) for _ in range(5_000)]

    others = len({thread for _, thread in order}) - 1
    behind, overtaken = set[int](), 0
    for place, (number, _) in enumerate(order):
        behind.add(number)
        # Of those up to this one, all but so many have run by now; the others were overtaken.
        overtaken = max(overtaken, number + 1 - sum(one <= number for one in behind) if number > place else 0)
    assert overtaken <= others


def test_a_thread_that_was_idle_for_long_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    """And work that comes afterwards finds another."""
    monkeypatch.setattr("app.worker.threads._IDLE", 0.00005)
    threads, ran = HandlerThreads(), SimpleQueue[threading.Thread]()

    used = []
    for _ in range(500):
        threads.submit(lambda: ran.put(threading.current_thread()))
        used.append(ran.get(timeout=PATIENCE))

    for thread in used:
        thread.join(PATIENCE)
    assert {False} == {thread.is_alive() for thread in used}


def test_a_thread_sent_for_as_it_gives_up_waiting_comes_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody else would: while one is on its way, no other is sent for."""
    monkeypatch.setattr("app.worker.threads._IDLE", 0.01)
    threads, ran = HandlerThreads(), SimpleQueue[str]()

    class SlowToGiveUp:
        """The lock, before which a thread that has waited for long enough is overtaken by a piece of work."""

        lock = threading.Lock()
        visits = 0

        def __enter__(self) -> None:
            self.visits += 1
            if self.visits == 3:  # to be started, to rest, and to give up
                threads.submit(partial(ran.put, "late"))
            self.lock.acquire()

        def __exit__(self, *raised: object) -> None:
            self.lock.release()

    monkeypatch.setattr(threads, "_lock", SlowToGiveUp())
    threads.submit(partial(ran.put, "first"))

    assert ["first", "late"] == [ran.get(timeout=PATIENCE) for _ in range(2)]


def test_no_thread_keeps_the_process_alive(gate: threading.Event) -> None:
    """Nobody joins them when the interpreter ends."""
    threads, began = HandlerThreads(), SimpleQueue[threading.Thread]()

    def blocks() -> None:
        began.put(threading.current_thread())
        gate.wait()

    for _ in range(3):
        threads.submit(blocks)

    assert {True} == {began.get(timeout=PATIENCE).daemon for _ in range(3)}


def test_work_for_which_no_thread_can_be_started_is_run_by_those_there_are(
    gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine out of threads makes it late, and nothing is forgotten."""
    threads, ran = HandlerThreads(), SimpleQueue[int]()

    def blocks() -> None:
        ran.put(0)
        gate.wait()

    threads.submit(blocks)
    ran.get(timeout=PATIENCE)

    def refuse(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    for number in range(1, 4):
        threads.submit(partial(ran.put, number))
    gate.set()

    assert [1, 2, 3] == [ran.get(timeout=PATIENCE) for _ in range(3)]

    monkeypatch.undo()
    met = threading.Barrier(3)

    def meets() -> None:
        met.wait(PATIENCE)

    for _ in range(2):
        threads.submit(meets)
    met.wait(PATIENCE)  # which it could not, had the line stayed waiting for the thread that never came
