"""Mailbox: what threads tell the loop arrives, in order, and wakes it once however much it is."""

import asyncio
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.worker.mailbox import Mailbox
from tests.faults.waiting import soon


class CountingLoop(asyncio.SelectorEventLoop):
    """Counts how often it is woken."""

    woken = 0

    def call_soon_threadsafe(self, *args: Any, **how: Any) -> asyncio.Handle:  # type: ignore[override]
        self.woken += 1
        return super().call_soon_threadsafe(*args, **how)


def test_a_busy_loop_is_woken_once_for_all_that_came_meanwhile() -> None:
    """And gets them in the order in which they were put there."""
    arrived, seen = list[int](), list[tuple[int, int]]()

    async def busy() -> None:
        mailbox = Mailbox(loop)
        with ThreadPoolExecutor(1) as threads:  # leaving the block waits for them, and lets the loop do nothing
            for number in range(100):
                threads.submit(mailbox.put, arrived.append, number)
        seen.append((loop.woken, len(arrived)))
        await asyncio.sleep(0)

    loop = CountingLoop()
    try:
        loop.run_until_complete(busy())
    finally:
        loop.close()

    assert ([(1, 0)], list(range(100))) == (seen, arrived)


async def test_nothing_that_many_threads_put_is_lost() -> None:
    """However their calls and the loop's looks fall."""
    mailbox, arrived = Mailbox(asyncio.get_running_loop()), list[tuple[int, int]]()

    def put(thread: int) -> None:
        for number in range(2_000):
            mailbox.put(arrived.append, (thread, number))

    await asyncio.gather(*(asyncio.to_thread(put, thread) for thread in range(4)))
    await soon(lambda: len(arrived) == 8_000, what="all have arrived")

    expected = [[(thread, number) for number in range(2_000)] for thread in range(4)]
    assert expected == [[one for one in arrived if one[0] == thread] for thread in range(4)]


async def test_a_call_that_raises_does_not_hold_up_the_others() -> None:
    """The loop reports it, as it reports any callback's."""
    loop, arrived, reported = asyncio.get_running_loop(), list[str](), list[str]()
    loop.set_exception_handler(lambda _, context: reported.append(repr(context["exception"])))
    mailbox = Mailbox(loop)

    def raises() -> None:
        raise ValueError("broken")

    mailbox.put(raises)
    mailbox.put(arrived.append, "after")
    await soon(lambda: bool(arrived), what="the other has arrived")

    assert (["after"], ["ValueError('broken')"]) == (arrived, reported)


def test_a_closed_loop_is_said_each_time() -> None:
    """Each attempt that ends after its worker did has something to log."""
    loop = asyncio.new_event_loop()
    mailbox = Mailbox(loop)
    loop.close()

    for _ in range(2):
        with pytest.raises(RuntimeError):
            mailbox.put(print)
