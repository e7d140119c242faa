"""Deadlines: who is late is told once, who has gone is not, and nothing stays behind."""

import asyncio

from app.worker.deadlines import Deadlines


async def test_who_is_late_is_told_once_and_in_order() -> None:
    """
    Of the same length and of others; nobody before their time.
    """
    late: list[str] = []
    done = asyncio.Event()

    def told(one: str) -> None:
        late.append(one)
        if len(late) == 3:
            done.set()

    deadlines = Deadlines[str](told)
    loop = asyncio.get_running_loop()
    deadlines.add("second", 0.05, loop)
    deadlines.add("third", 0.05, loop)
    deadlines.add("first", 0.01, loop)
    await asyncio.wait_for(done.wait(), 5)

    assert ["first", "second", "third"] == late


async def test_who_has_gone_is_not_late() -> None:
    """
    The others of the same length still are.
    """
    late: list[str] = []
    done = asyncio.Event()

    def told(one: str) -> None:
        late.append(one)
        done.set()

    deadlines = Deadlines[str](told)
    loop = asyncio.get_running_loop()
    deadlines.add("gone", 0.02, loop)
    deadlines.add("here", 0.02, loop)
    deadlines.remove("gone", 0.02)
    deadlines.remove("never came", 7.0)
    await asyncio.wait_for(done.wait(), 5)

    assert ["here"] == late


async def test_timeouts_of_every_length_leave_nothing_behind() -> None:
    """
    Neither a line nor a timer, long before they would have run out.
    """
    deadlines = Deadlines[int](lambda one: None)
    loop = asyncio.get_running_loop()
    for number in range(1000):
        deadlines.add(number, 3600 + number / 1000, loop)
        deadlines.remove(number, 3600 + number / 1000)

    assert {} == deadlines._lines
    assert not [timer for timer in loop._scheduled if not timer.cancelled()]  # type: ignore[attr-defined]
