"""Stopping: how a worker is told to stop, by signal or by call, and how it is made to when it cannot."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

_log = logging.getLogger("app.worker")


class Stopping:
    """The wish to stop, wherever it comes from; ``hurried`` when it was said twice."""

    def __init__(self) -> None:
        self.requested = False
        self.hurried = False
        self.noticed = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop = asyncio.Event()
        self._hurry = asyncio.Event()
        self._asked_by: set[str] = set()

    def attach(self) -> None:
        """From now on the running loop is the worker's."""
        self._loop = asyncio.get_running_loop()
        self._pass_on()

    def request(self, by: str = "") -> None:
        """Stop; said again by the same: hurry. From any thread, and from signal handlers.

        *by* tells those apart who may pass on one and the same wish, in any order.
        """
        self.hurried = self.hurried or by in self._asked_by
        self._asked_by.add(by)
        is_first, self.requested = not self.requested, True
        if is_first:
            # Once: a signal handler that interrupts another one in here would wait for its lock for ever.
            self.noticed.set()
        if self._loop is not None:
            try:
                self._loop.call_soon_threadsafe(self._pass_on)
            except RuntimeError:
                _log.debug("The worker's loop has ended already")

    @property
    def event(self) -> asyncio.Event:
        return self._stop

    @property
    def hurry(self) -> asyncio.Event:
        return self._hurry

    def _pass_on(self) -> None:
        if self.requested:
            self._stop.set()
        if self.hurried:
            self._hurry.set()


@contextmanager
def signals_to(request: Callable[[], None]) -> Iterator[None]:
    """Let SIGTERM and SIGINT call *request*, where this thread may say so: only the main one may.

    ``signal.signal``, not the loop's ``add_signal_handler``: that one waits for a loop which a handler may be blocking.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    if not _requests:
        _before.update({number: signal.signal(number, _tell_all) for number in (signal.SIGTERM, signal.SIGINT)})
    _requests.append(request)
    try:
        yield
    finally:
        _requests.remove(request)
        if not _requests:
            for number, handler in _before.items():
                if signal.getsignal(number) is _tell_all:
                    signal.signal(number, handler)


_requests: list[Callable[[], None]] = []
"""Whom a signal stops: a process may run several workers, which come and go in any order. Signal handlers belong to the
process, and so does this list; only its main thread touches either."""
_before: dict[signal.Signals, Any] = {}


def _tell_all(number: int, frame: FrameType | None) -> None:
    _log.info("%s: stopping", signal.Signals(number).name)
    told: list[Callable[[], None]] = []
    for request in _requests:
        # One worker may be listed twice, by its process and by its run; told twice, it would hurry.
        if request not in told:
            told.append(request)
            request()


def ignore_signals() -> None:
    """Let no further SIGTERM or SIGINT change how a process ends that has been asked to, and is about to."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_IGN)


def end_process_when_stuck(stopping: Stopping, grace: float, give_back: Callable[[], None]) -> None:
    """Watch, from a thread, over the end of a process that belongs to its worker.

    A handler that blocks the event loop also blocks the orderly end, and so does a database that hangs. When the
    process is still there five seconds after *grace*, or after a second signal, its tasks are given back from here, if
    that can be done in another three, and it is ended with exit code 0.
    """

    def try_to_give_back() -> None:
        try:
            give_back()
        except Exception:
            _log.exception("The tasks could not be given back; they are recovered when the lease runs out")

    def watch() -> None:
        stopping.noticed.wait()
        left = grace + _MARGIN
        # A plain wait in steps, because the loop that could wake us is the very thing that may be stuck.
        while left > 0:
            _never.wait(_STEP)
            left = min(left, _MARGIN) if stopping.hurried else left
            left -= _STEP
        _log.error(
            "This worker cannot end in good order (a handler blocks the event loop, or the database hangs):"
            " giving its tasks back and ending the process"
        )
        # In a thread of its own, because a database that hangs would hold this one too.
        giving = threading.Thread(target=try_to_give_back, name="app-give-back", daemon=True)
        giving.start()
        giving.join(_GIVING)
        logging.shutdown()
        os._exit(0)

    threading.Thread(target=watch, name="app-last-resort", daemon=True).start()


_MARGIN = 5.0
_GIVING = 3.0
_STEP = 0.1
_never = threading.Event()
