"""A process that belongs to its worker, from start to exit code."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Awaitable, Callable

from app.worker.stopping import end_process_when_stuck, ignore_signals, signals_to
from app.worker.worker import Worker

YOUNG = 20_000
"""Objects made, and not gone again, that set off a search for garbage among them. Python's own number is 700."""

_log = logging.getLogger("app.worker")


def run_process(worker: Worker, *, drain: bool, aclose: Callable[[], Awaitable[None]]) -> int:
    """Run *worker* until it is stopped, or with *drain* until nothing is due; returns the number of attempts run.

    *aclose* ends what the worker was built on. The process does not wait for handlers that refuse to end: it is left
    here and now then, with exit code 0.
    """
    suit_the_collector()
    end_process_when_stuck(worker.stopping, worker.options.shutdown_grace, worker.give_back_everything)
    # Not asyncio.run, which would wait for coroutines that swallow their cancellation.
    runner = asyncio.Runner()
    # Already here, so that a signal which comes while the worker is still getting ready ends it in good order too.
    with signals_to(worker.stop):
        attempts = runner.run(_work(worker, drain, aclose))
        if worker.stopping.requested:
            ignore_signals()
    if worker.left_behind:
        _log.warning("%d handler(s) still run; the process ends without them", worker.left_behind)
        sys.stdout.flush()
        logging.shutdown()
        os._exit(0)
    runner.close()
    return attempts


def suit_the_collector() -> None:
    """Tell Python's garbage collector what a worker's process is like; for one that does nothing but work.

    What was made so far stays, and looking through it again and again would cost a busy worker up to half of its time.
    Of what is made from now on, thousands of objects at once are tasks that run: too many to be taken for a leak.
    """
    gc.collect()
    gc.freeze()
    if gc.get_threshold()[0]:  # nobody has switched it off
        gc.set_threshold(max(YOUNG, gc.get_threshold()[0]), *gc.get_threshold()[1:])


async def _work(worker: Worker, drain: bool, aclose: Callable[[], Awaitable[None]]) -> int:
    try:
        if drain:
            return await worker.drain()
        await worker.run()
        return worker.finished
    finally:
        await aclose()
