"""W3 and W7: emptying a queue that was filled before."""

from time import monotonic, process_time
from typing import Any

from benchmarks.shared.ledger import Ledger
from benchmarks.shared.system import Context
from benchmarks.shared.workers import WorkerProcess, go, workers
from benchmarks.shared.workloads.watching import check, fill, until_done, until_run


async def drain(context: Context, *, processes: int = 1, sync: bool = False) -> dict[str, Any]:
    """Fill the queue with ``size`` no-op tasks, then time *processes* workers, and tell who used the processors.

    The clock runs from the start of the first handler, because how long a worker takes to come up is another
    question, until the last task is terminal in the database, because until then it could run again.
    """
    numbers = range(context.size)
    ledger = Ledger.create(context.size, processes)
    async with context.system.producer(context.url, 1) as producer:
        await fill(context, producer, numbers)
        context.observer.analyze()
        async with workers(context, ledger, sync=sync, paused=True) as started:
            began = monotonic()
            await go(started)
            await until_run(context, ledger, numbers, started, enough=1)
            at, earlier, before = monotonic(), ledger.runs(numbers), _cpu(context, started)
            ended = await until_done(context, ledger, numbers, producer, started)
            passed, after = monotonic() - at, _cpu(context, started)
        await check(context, ledger, numbers, producer)
    first = ledger.first_start(numbers)
    used = {name: after[name] - before[name] for name in after}
    # Of those that had run already when it was first looked, the processors' time is not in it.
    millionths = 1e6 / max(1, context.size - earlier)
    return {
        "rate": context.size / (ended - first),
        "worker_cpu": used["workers"] * millionths,
        "database_cpu": used["database"] * millionths,
        **{f"cores_{name}": seconds / passed for name, seconds in used.items()},
        "seconds": ended - first,
        "to_first_start": first - began,
        "by_worker": ledger.by_worker(numbers),
    }


def _cpu(context: Context, started: list[WorkerProcess]) -> dict[str, float]:
    """CPU seconds so far of the workers, the database, and of whoever watches them: this process and the run's."""
    used = context.observer.cpu([worker.pid for worker in started])
    return {"workers": used["workers"], "database": used["database"], "watchers": used["run"] + process_time()}
