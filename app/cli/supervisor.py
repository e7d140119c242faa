"""--processes: worker processes that are started, started again when they die, and stopped together."""

import asyncio
import logging
import os
import signal
import socket
import sys
from collections.abc import Sequence
from contextlib import suppress

from app.cli.supervised import VARIABLE
from app.domain.errors import QueueError

_log = logging.getLogger("app.supervisor")

FIRST_PAUSE = 1.0
"""Seconds until a worker process that died is started again; doubled for each that dies soon after."""
LONGEST_PAUSE = 60.0
SOON = 60.0
"""Seconds of life from which on its end has nothing to do with the one before."""
YOUNG = 30.0
"""Seconds within which a first worker that refuses its start ends everything: the next would refuse it as well."""
REFUSED = (1, 2)
"""The exit codes of a command that has said what is wrong with it."""


class NotReloading(QueueError):
    """--reload and several worker processes were asked for at once."""


def supervise(processes: int, arguments: Sequence[str], *, drain: bool) -> tuple[int, int]:
    """Run the command with these *arguments* in so many processes, where it finds itself supervised and is a worker.

    Until stopped, or with *drain* until all have drained; SIGTERM and SIGINT are passed on, each time they come.
    Returns the exit code, which is 0 when all have ended well, and the number of attempts that drained.
    """
    supervisor = _Supervisor(processes, arguments, drain=drain)
    asyncio.run(supervisor.run())
    return supervisor.code, supervisor.attempts


class _Supervisor:
    def __init__(self, processes: int, arguments: Sequence[str], *, drain: bool) -> None:
        self._processes = processes
        self._command = [sys.executable, "-m", "app", *arguments]
        self._drain = drain
        self._running: set[socket.socket] = set()
        self._stopping = asyncio.Event()
        self._signals = 0
        self.code = 0
        self.attempts = 0

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._signalled, number)
        self._began = loop.time()
        _log.info("Keeping %d worker process(es) running", self._processes)
        await asyncio.gather(*(self._keep(place) for place in range(1, self._processes + 1)))
        _log.info("All worker processes have ended")

    async def _keep(self, place: int) -> None:
        loop = asyncio.get_running_loop()
        deaths = lives = 0
        while not self._stopping.is_set():
            began = loop.time()
            pid, code = await self._live(place)
            lives += 1
            if code == 0 and (self._drain or self._stopping.is_set()):
                return
            if self._stopping.is_set():
                # One that was only about to begin knew no better way to end.
                self.code = self.code if code == -signal.SIGTERM else 1
                return
            if code in REFUSED and lives == 1 and loop.time() - self._began < YOUNG:
                _log.error("Worker process %d (pid %d) refused its start: stopping", place, pid)
                self.code = 1
                self._stop()
                return
            deaths = 1 if loop.time() - began > SOON else deaths + 1
            pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(deaths - 1, 10))
            how = f"was ended by {_named(-code)}" if code < 0 else f"ended with exit code {code}"
            _log.error("Worker process %d (pid %d) %s: starting another in %g s", place, pid, how, pause)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause)

    async def _live(self, place: int) -> tuple[int, int]:
        """The life of one process; its id and exit code."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        with ours, theirs:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                env=os.environ | {VARIABLE: str(theirs.fileno())},
                pass_fds=[theirs.fileno()],
                start_new_session=True,  # the terminal's Ctrl-C is for us, who pass it on
            )
            theirs.close()
            _log.info("Worker process %d of %d is pid %d", place, self._processes, process.pid)
            self._running.add(ours)
            for _ in range(self._signals):  # while it was being started
                self._pass_on(ours)
            code = await process.wait()
            self._running.discard(ours)
            with suppress(OSError, ValueError):
                self.attempts += int(ours.recv(32))
        return process.pid, code

    def _signalled(self, number: signal.Signals) -> None:
        _log.info("%s: stopping %d worker process(es)", number.name, len(self._running))
        self._stop()

    def _stop(self) -> None:
        self._signals += 1
        self._stopping.set()
        for channel in self._running:
            self._pass_on(channel)

    def _pass_on(self, channel: socket.socket) -> None:
        with suppress(OSError):  # it ends already, or has been told often enough
            channel.send(b"!")


def _named(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
