"""Worker processes: how a measurement starts, watches and stops them, and what they do."""

import asyncio
import json
import os
import sys
import threading
import traceback
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks.shared.ledger import Ledger
from benchmarks.shared.system import Context, System, Work

_STOPPING = 20.0
"""Seconds a worker has to end once it is told to."""


class WorkerProcess:
    """One worker process of the system under measurement."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ready(self) -> None:
        """Wait until it has imported what it needs."""
        assert self._process.stdout is not None
        while (line := await self._process.stdout.readline()) != b"ready\n":
            if not line:
                raise RuntimeError(f"a worker process ended with code {await self._process.wait()} before it was ready")

    async def say(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{word}\n".encode())
        await self._process.stdin.drain()

    async def check(self) -> None:
        """Raises RuntimeError, with what it said last, when it has ended by itself."""
        if self._process.returncode is not None:
            assert self._process.stdout is not None
            said = (await self._process.stdout.read()).decode().strip()
            raise RuntimeError(f"a worker process ended by itself: {said or self._process.returncode}")

    async def stop(self) -> None:
        if self._process.returncode is None:
            try:
                await self.say("stop")
                await asyncio.wait_for(self._process.wait(), _STOPPING)
            except (TimeoutError, ConnectionError):
                self._process.kill()
                await self._process.wait()


@asynccontextmanager
async def workers(
    context: Context, ledger: Ledger, *, sync: bool = False, one_queue: bool = False, paused: bool = False
) -> AsyncIterator[list[WorkerProcess]]:
    """As many worker processes as the ledger has room for; *paused* ones are ready and wait for ``go``."""
    async with AsyncExitStack() as stack:
        started = []
        for number in range(ledger.workers):
            orders = {
                "url": context.url,
                "ledger": str(ledger.path),
                "size": ledger.size,
                "workers": ledger.workers,
                "worker": number,
                "sync": sync,
                "one_queue": one_queue,
            }
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", f"benchmarks.systems.{context.system.name}", "worker", json.dumps(orders),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            worker = WorkerProcess(process)
            stack.push_async_callback(worker.stop)
            started.append(worker)
        for worker in started:
            await worker.ready()
        if not paused:
            await go(started)
        yield started


async def go(started: list[WorkerProcess]) -> None:
    for worker in started:
        await worker.say("go")


def be_a_worker(system: System, orders: str) -> None:
    """The life of a worker process: say that it is ready, wait for ``go``, work until ``stop`` or a closed pipe."""
    wanted = json.loads(orders)
    ledger = Ledger(Path(wanted["ledger"]), wanted["size"], wanted["workers"], wanted["worker"])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    answers.write("ready\n")
    if sys.stdin.readline() != "go\n":
        return

    async def work() -> None:
        loop, stop = asyncio.get_running_loop(), asyncio.Event()

        def wait_for_the_end() -> None:
            sys.stdin.readline()
            loop.call_soon_threadsafe(stop.set)

        threading.Thread(target=wait_for_the_end, daemon=True).start()
        await system.work(Work(wanted["url"], ledger.mark, stop, wanted["sync"], wanted["one_queue"], wanted["worker"]))

    try:
        system.run(work())
    except Exception as error:
        traceback.print_exc()
        answers.write(f"{type(error).__name__}: {error}")
        answers.flush()
        os._exit(1)
    # Some systems leave threads behind that never end.
    os._exit(0)
