"""Relay: runs what asynchronous receivers return, on the loop that is running or on one of its own."""

import asyncio
import logging
import threading
from collections.abc import Awaitable

_log = logging.getLogger("app.events")

LIMIT = 10_000
"""Deliveries under way at most; beyond it they are dropped and counted in the log, as signals may be lost."""


class Relay:
    """Never blocks the publisher; a delivery that fails is logged."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._under_way: set[asyncio.Future[None]] = set()
        self._pending = 0

    def hand_over(self, delivery: Awaitable[object], name: str) -> None:
        with self._lock:
            if self._pending >= LIMIT:
                _log.warning("Too many asynchronous receivers at work (%s): one delivery to %s dropped", LIMIT, name)
                if asyncio.iscoroutine(delivery):
                    delivery.close()
                return
            self._pending += 1
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            asyncio.run_coroutine_threadsafe(self._deliver(delivery, name), self._own_loop())
            return
        task = loop.create_task(self._deliver(delivery, name))
        # asyncio itself keeps only weak references to tasks.
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def settle(self, timeout: float) -> None:
        """Wait for the deliveries on the running loop."""
        loop = asyncio.get_running_loop()
        mine = [task for task in self._under_way if task.get_loop() is loop and not task.done()]
        if mine:
            await asyncio.wait(mine, timeout=timeout)

    def close(self, timeout: float) -> None:
        """Wait for the deliveries on the loop of our own, cancel those that take longer, and end it."""
        with self._lock:
            loop, self._loop = self._loop, None
        if loop is None:
            return

        async def rest() -> int:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            late = (await asyncio.wait(others, timeout=timeout))[1] if others else ()
            for task in late:
                task.cancel()
            return len(late)

        try:
            late = asyncio.run_coroutine_threadsafe(rest(), loop).result(timeout + 1)
        except TimeoutError:
            _log.warning("An asynchronous receiver blocks its event loop, and is left")
        else:
            if late:
                _log.warning("%d asynchronous receiver(s) were still at work after %s s", late, timeout)
        loop.call_soon_threadsafe(loop.stop)

    async def _deliver(self, delivery: Awaitable[object], name: str) -> None:
        try:
            await delivery
        except asyncio.CancelledError:
            raise
        except BaseException:  # SystemExit of a task ends the loop that it runs on
            _log.exception("An asynchronous receiver failed: %s", name)
        finally:
            with self._lock:
                self._pending -= 1

    def _own_loop(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=_run, args=(self._loop,), name="app-events", daemon=True).start()
            return self._loop


def _run(loop: asyncio.AbstractEventLoop) -> None:
    loop.run_forever()
    loop.close()
