"""ChildProcess: one process of handlers, started, told, listened to, and killed by its worker."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Self

from app.domain.jobs.context import TaskContext
from app.domain.jobs.isolation import ProcessDied
from app.domain.tasks.task import WorkerTask
from app.worker.isolation.logs import log_again
from app.worker.isolation.messages import (
    HEAD,
    Answer,
    Begun,
    Cancel,
    End,
    Logged,
    Reported,
    Run,
    Saved,
    SetUp,
    Stop,
    framed,
    unframed,
)

START = 60.0
"""Seconds a process may take to come up, and to import what a job needs."""
_END = 5.0
"""Seconds one that has nothing more to do may take to exit."""
_PROGRAM = """
import json, sys
sys.path[:] = json.loads(sys.argv[1])
from app.worker.isolation.inside import main
main(int(sys.argv[2]), int(sys.argv[3]))
"""


class ChildProcess:
    """Made by ``started``; what it runs, and all that this starts in turn, is a process group of its own.

    A group of its own lets one signal end it with everything it has started, and keeps the terminal's Ctrl-C from it.
    """

    def __init__(self, process: "subprocess.Popen[bytes]", lifeline: int) -> None:
        self._process = process
        self._lifeline = lifeline
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._reaped = False
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter
        self.exited: asyncio.Future[int] = self._loop.create_future()
        self.ran = 0
        threading.Thread(target=self._reap, name="app-reaper", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def started(cls, set_up: SetUp) -> Self:
        """Raises OSError when there can be no more processes."""
        process, ours, lifeline = _start()
        child = cls(process, lifeline)
        try:
            child._reader, child._writer = await asyncio.open_unix_connection(sock=ours)
        except BaseException:
            child.kill()
            ours.close()
            raise
        child._tell(set_up)
        return child

    async def run(self, order: Run, context: TaskContext, begun: Callable[[], None]) -> Answer:
        """The answer to *order*; *begun* is called when its handler is. Raises ProcessDied.

        A call that is cancelled leaves a process that still runs the handler: kill it.
        """
        self.ran += 1
        self._tell(order)
        try:
            async with asyncio.timeout(START):
                answer = await self._listen_until(Begun, context)
        except TimeoutError as error:
            self.kill()
            raise ProcessDied(f"the process for this task did not get to its handler within {START:g} s") from error
        if answer is None:
            begun()
            answer = await self._listen_until(Answer, context)
        assert answer is not None  # noqa: S101  # what else ends the listening
        return answer

    async def _listen_until(self, wanted: type[Begun | Answer], context: TaskContext) -> Answer | None:
        while True:
            match await self._hear():
                case Answer() as answer:
                    return answer
                case Begun() if wanted is Begun:
                    return None
                case Reported(percent, message):
                    context.progress(percent, message)
                case Saved(checkpoint):
                    context.save_checkpoint(checkpoint.decoded())
                case Logged() as logged:
                    log_again(logged)

    async def _hear(self) -> object:
        try:
            head = await self._reader.readexactly(HEAD.size)
            return unframed(await self._reader.readexactly(HEAD.unpack(head)[0]))
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            self.kill()  # if it only closed its end, it is of no use any more
            raise _died(await asyncio.shield(self.exited)) from error

    def tell_stopping(self) -> None:
        self._tell(Stop())

    def tell_cancelled(self, task: WorkerTask) -> None:
        self._tell(Cancel(task.id, task.lease_seq))

    def kill(self) -> None:
        """End it, and what it has started, now; gone is it a moment later, see ``exited``."""
        with self._lock:
            if not self._reaped:
                # Its id is its own until it is reaped.
                with suppress(ProcessLookupError, PermissionError):
                    os.killpg(self._process.pid, signal.SIGKILL)

    def end(self) -> None:
        """Let it exit in good order; killed when that takes long."""
        self._tell(End())
        self._loop.call_later(_END, self.kill)

    def _tell(self, message: object) -> None:
        if not self._writer.is_closing():
            self._writer.write(framed(message))

    def _reap(self) -> None:
        if hasattr(os, "waitid"):
            with suppress(ChildProcessError):  # where SIGCHLD is ignored, the kernel has reaped it already
                os.waitid(os.P_PID, self._process.pid, os.WEXITED | os.WNOWAIT)
                self.kill()  # what it has started and left
        else:
            self._process.wait()
        with self._lock:
            self._reaped = True
            code = self._process.wait()
        with suppress(RuntimeError):  # the loop has ended, and nobody waits
            self._loop.call_soon_threadsafe(self._gone, code)

    def _gone(self, code: int) -> None:
        os.close(self._lifeline)
        if hasattr(self, "_writer"):
            self._writer.close()
        self.exited.set_result(code)


def _start() -> "tuple[subprocess.Popen[bytes], socket.socket, int]":
    """A new process, our end of its socket, and its lifeline: closed, the kernel kills it (see inside)."""
    ours, theirs = socket.socketpair()
    watched, lifeline = os.pipe()
    try:
        with _signals_held_back():
            process = subprocess.Popen(  # noqa: S603  # our own program
                [sys.executable, "-c", _PROGRAM, json.dumps(sys.path), str(theirs.fileno()), str(watched)],
                stdin=subprocess.DEVNULL,
                pass_fds=(theirs.fileno(), watched),
                start_new_session=True,
            )
    except BaseException:
        ours.close()
        os.close(lifeline)
        raise
    finally:
        theirs.close()
        os.close(watched)
    return process, ours, lifeline


def _died(code: int) -> ProcessDied:
    if code >= 0:
        return ProcessDied(f"the process of the handler ended with exit code {code} before it did", exit_code=code)
    try:
        name = signal.Signals(-code).name
    except ValueError:
        name = f"signal {-code}"
    hint = ", perhaps for want of memory" if -code == signal.SIGKILL else ""
    return ProcessDied(f"the process of the handler was ended by {name}{hint}", signal=name)


@contextmanager
def _signals_held_back() -> Iterator[None]:
    """Keep them from a process that is started in here until it has its own way with them; it inherits the mask."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGINT))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
