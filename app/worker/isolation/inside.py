"""Inside: what runs in a process of handlers."""

import fcntl
import inspect
import logging
import os
import queue
import resource
import signal
import socket
import threading
import time
from pathlib import Path
from typing import Any

from app.domain.errors import InvalidInput
from app.domain.jobs.answers import FailForGood
from app.domain.jobs.context import TaskContext
from app.domain.jobs.errors import AttemptCancelled
from app.domain.jobs.job import Job
from app.domain.jobs.schemas import Unfit
from app.domain.jobs.sessions import NoDatabase, OpenSession
from app.domain.json import JsonText
from app.domain.tasks.task import WorkerTask
from app.worker.isolation.alarm import call
from app.worker.isolation.logs import LogSender
from app.worker.isolation.messages import (
    HEAD,
    Answer,
    Begun,
    Cancel,
    End,
    Reported,
    Run,
    Saved,
    SetUp,
    Stop,
    framed,
    unframed,
)
from app.worker.isolation.progress import LatestProgress
from app.worker.isolation.raised import Raised

_log = logging.getLogger("app.worker")


def main(channel: int, lifeline: int) -> None:
    """Serve the worker at the other end of the socket *channel*; called in a new process, once."""
    for number in (signal.SIGTERM, signal.SIGINT):
        # It is the worker that decides. Not ignored, because programs that a handler starts would inherit that.
        signal.signal(number, lambda *_: None)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGTERM, signal.SIGINT))
    os.set_inheritable(channel, False)
    _end_with(lifeline)
    with socket.socket(fileno=channel) as connected:
        Inside(connected).serve()


def _end_with(lifeline: int) -> None:
    """Have the kernel kill this process, and what it has started, once nobody holds the other end of *lifeline*.

    The thread that listens would notice, too, but for a handler that computes in C and holds the interpreter's lock.
    """
    os.set_inheritable(lifeline, False)
    if hasattr(fcntl, "F_SETSIG"):  # Linux
        fcntl.fcntl(lifeline, fcntl.F_SETSIG, signal.SIGKILL)
        fcntl.fcntl(lifeline, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(lifeline, fcntl.F_SETFL, fcntl.fcntl(lifeline, fcntl.F_GETFL) | os.O_ASYNC)


def _no_session() -> OpenSession:
    raise NoDatabase(
        "context.session: a handler in a process of its own has no session; open one there on an engine of your own, or"
        " define the job without isolation"
    )


class Inside:
    """Runs one handler at a time in the main thread, while another one listens to the worker."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._heard = channel.makefile("rb")
        self._sending = threading.Lock()
        self._orders: queue.SimpleQueue[Run | None] = queue.SimpleQueue()
        self._stopping = False
        self._cancelled: Cancel | None = None
        self._context: TaskContext | None = None
        self._memory: int | None = None
        self._left: int | None = None

    def serve(self) -> None:
        """Return when the worker says so; when it is gone, the process ends at once."""
        set_up = self._hear()
        assert isinstance(set_up, SetUp)  # noqa: S101  # the worker's first word
        self._schemas = set_up.schemas
        logging.root.setLevel(set_up.log_level)
        logging.root.addHandler(LogSender(self._tell))
        self._limit(set_up.memory)
        threading.Thread(target=self._listen, name="app-worker", daemon=True).start()
        while (order := self._orders.get()) is not None:
            self._tell(self._answer(order))

    def _listen(self) -> None:
        # Alarms are for the main thread, which would not be woken by one that comes here.
        signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGALRM,))
        while True:
            match self._hear():
                case Run() as order:
                    self._orders.put(order)
                case Stop():
                    self._stopping = True
                case Cancel() as cancelled:
                    # In this order, and the other way round where a handler begins: one of the two sees the other.
                    self._cancelled = cancelled
                    if (context := self._context) is not None and _is_of(context.task, cancelled):
                        context.cancelled = True
                case End():
                    self._orders.put(None)

    def _answer(self, order: Run) -> Answer:
        self._stopping = self._stopping or order.stopping
        progress = LatestProgress(
            lambda percent, message: self._tell(Reported(percent, message)),
            lambda checkpoint: self._tell(Saved(checkpoint)),
        )
        began = time.monotonic()
        try:
            job = order.place.find()
            payload = order.payload
            if job.payload is not None:
                payload = self._schemas.of(job.payload).from_json(payload, field="payload")
            context = TaskContext(
                order.task,
                order.worker_id,
                shutting_down=lambda: self._stopping,
                report=progress.report,
                open_session=_no_session,
                timeout=order.timeout,
                soft_timeout=job.soft_timeout,
                elapsed=lambda: time.monotonic() - began,
            )
            self._context = context
            if _is_of(order.task, self._cancelled):
                raise AttemptCancelled(order.task.attempts)
            self._tell(Begun())
            began = time.monotonic()
            result = call(job.handler, payload, context, is_asynchronous=job.is_asynchronous)
            text = self._written(job, result, order.max_result)
        except BaseException as error:  # whatever it is, SystemExit included, it ends an attempt and not this process
            progress.close()
            return Answer(None, Raised.of(error), isinstance(error, MemoryError) or self._is_spent())
        progress.close()
        return Answer(text, None, self._is_spent())

    def _written(self, job: Job[Any, Any], result: Any, limit: int) -> str:
        try:
            if job.result is not None:
                result = self._schemas.of(job.result).to_json(result, field="result")
            return JsonText.of(result, field="result", limit=limit).text
        except InvalidInput as error:
            if inspect.iscoroutine(result):
                result.close()
            what = "does not fit" if isinstance(error, Unfit) else "cannot be stored"
            raise FailForGood(f"the handler ran, with all its effects, and returned what {what}: {error}") from error

    def _limit(self, memory: int | None) -> None:
        self._memory = memory
        if memory is None:
            return
        try:
            resource.setrlimit(resource.RLIMIT_AS, (memory, resource.getrlimit(resource.RLIMIT_AS)[1]))
        except (OSError, ValueError) as error:
            _log.warning("This system does not limit the memory of a process: %s", error)

    def _is_spent(self) -> bool:
        """Whether handlers have kept half of the room that the first of them left; the next one would have to pay."""
        if self._memory is None:
            return False
        try:
            pages = int(Path("/proc/self/statm").read_text().split()[0])
        except OSError:
            return False
        used = pages * resource.getpagesize()
        if self._left is None:
            self._left = max(0, self._memory - used)
        return self._memory - used < self._left // 2

    def _tell(self, message: object) -> None:
        with self._sending:
            self._channel.sendall(framed(message))

    def _hear(self) -> object:
        head = self._heard.read(HEAD.size)
        body = self._heard.read(HEAD.unpack(head)[0]) if len(head) == HEAD.size else b""
        if not body:
            os.killpg(0, signal.SIGKILL)  # the worker is gone, and its task is somebody else's soon
        return unframed(body)


def _is_of(task: WorkerTask, cancelled: Cancel | None) -> bool:
    """Whether it is this claim of *task* that was *cancelled*; it may be run again later."""
    return cancelled is not None and (cancelled.task_id, cancelled.lease_seq) == (task.id, task.lease_seq)
