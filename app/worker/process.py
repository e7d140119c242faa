"""A process that belongs to its worker, from start to exit code."""

import asyncio
import gc
import logging
import os
import sys
from collections.abc import Awaitable, Callable

from app.worker.stopping import end_process_when_stuck, ignore_signals, signals_to
from app.worker.worker import Worker

_log = logging.getLogger("app.worker")


def run_process(worker: Worker, *, drain: bool, aclose: Callable[[], Awaitable[None]]) -> int:
    """Run *worker* until it is stopped, or with *drain* until nothing is due; returns the number of attempts run.

    *aclose* ends what the worker was built on. The process does not wait for handlers that refuse to end: it is left
    here and now then, with exit code 0.
    """
    # What was made so far stays. Looking through it for garbage again and again cost half of a busy worker's time.
    gc.collect()
    gc.freeze()
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


async def _work(worker: Worker, drain: bool, aclose: Callable[[], Awaitable[None]]) -> int:
    try:
        if drain:
            return await worker.drain()
        await worker.run()
        return worker.finished
    finally:
        await aclose()
