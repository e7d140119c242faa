"""Results: the verb that looks at tasks, and the one waiter through which a process waits for them to end."""

import asyncio
import concurrent.futures
import logging
import math
import os
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

from app.domain.errors import DatabaseUnavailable
from app.domain.identifiers import TaskId
from app.domain.jobs.errors import TaskNotFinished
from app.domain.results import Ended, Look, ResultNotifications
from app.domain.tasks.errors import TaskNotFound
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.usecases.bound import Bound
from app.usecases.transaction import Transaction

_log = logging.getLogger("app.worker")

FIRST_STEP, LONGEST_STEP = 0.05, 1.0
"""Seconds from one look at a task to the next; the last is what a notification that got lost costs."""
ASK_INTERVAL = 20.0
"""Seconds from one "somebody waits" to the next; workers believe it for a minute."""
_ASK_PAUSE, _IDLE = 1.0, 10.0
REST = 0.005
"""Seconds between two looks: what comes meanwhile goes into the next."""
_GRACE = 1.0
"""Seconds after which a look that was to be the last one is not waited for any more: the database hangs."""


@dataclass(frozen=True, slots=True)
class LookAtTasks:
    """See what became of many tasks at once."""

    needs_transaction: ClassVar[bool] = False

    def __call__(self, tx: Transaction, ids: Sequence[TaskId]) -> Look:
        return tx.results.look(ids)


class _Wait:
    """One caller who waits for one task."""

    __slots__ = ("answer", "deadline", "error", "look_at", "status", "step", "task_id", "timeout")

    def __init__(self, task_id: TaskId, timeout: float) -> None:
        now = time.monotonic()
        self.task_id = task_id
        self.timeout = timeout
        self.deadline = now + timeout
        self.look_at = now
        self.step = FIRST_STEP
        self.status: TaskStatus | None = None
        self.error: DatabaseUnavailable | None = None
        self.answer: concurrent.futures.Future[WorkerTask] = concurrent.futures.Future()
        # From now on it cannot be cancelled, so that it can be answered whatever its caller does.
        self.answer.set_running_or_notify_cancel()

    def put_off(self, now: float) -> None:
        """Look again after a growing step, at the same moments as others do, so that one look serves many."""
        self.look_at = min(math.ceil((now + self.step) / FIRST_STEP) * FIRST_STEP, max(now, self.deadline))
        self.step = min(self.step * 2, LONGEST_STEP)

    def late(self) -> Exception:
        if self.error is not None:
            return self.error
        if self.status is None:
            return DatabaseUnavailable(f"no answer within {self.timeout:g} s")
        return TaskNotFinished(self.task_id, self.status, self.timeout)


class ResultWaiter:
    """All who wait, in whatever thread or event loop, wait here, and one thread looks for all of them.

    It looks at once, when it is told of an end, and after steps that grow to a second, because what it is told is a
    hint. It is there while anybody waits; listening begins when the first look has not been enough, and goes on until
    the waiter is closed. An outage is waited through, as long as the callers do.
    """

    def __init__(
        self,
        look: Callable[[], Bound[[Sequence[TaskId]], Look]],
        notifications: Callable[[], ResultNotifications],
    ) -> None:
        """Both are asked for when somebody waits."""
        self._make_look = look
        self._make_notifications = notifications
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._waits: dict[TaskId, set[_Wait]] = {}
        self._hinted: set[TaskId] = set()
        self._look_at_all = False
        self._notifications: ResultNotifications | None = None
        self._ask_at = math.inf
        self._asked_at = -math.inf

    def wait(self, task_id: TaskId, timeout: float) -> WorkerTask:
        """The task once it has ended, within *timeout* seconds.

        Raises TaskNotFinished, TaskNotFound, and DatabaseUnavailable when it still was when time was up.
        """
        wait = self._join(task_id, timeout)
        try:
            concurrent.futures.wait((wait.answer,), timeout + _GRACE)
            if not wait.answer.done():
                raise wait.late()
            return wait.answer.result()
        finally:
            self._leave(wait)

    async def await_(self, task_id: TaskId, timeout: float) -> WorkerTask:
        """Like wait, without blocking the event loop."""
        wait = self._join(task_id, timeout)
        answer = asyncio.wrap_future(wait.answer)
        try:
            await asyncio.wait((answer,), timeout=timeout + _GRACE)
            if not answer.done():
                raise wait.late()
            return answer.result()
        finally:
            answer.cancel()
            self._leave(wait)

    def close(self) -> None:
        """Stop listening. Who still waits is told that the database is not available."""
        if self._process != os.getpid():
            return
        with self._changed:
            notifications, self._notifications = self._notifications, None
            self._ask_at = math.inf
            waits = [wait for waits in self._waits.values() for wait in waits]
            self._waits.clear()
            self._changed.notify_all()
        for wait in waits:
            wait.answer.set_exception(DatabaseUnavailable("the queue was closed while a result was waited for"))
        if notifications is not None:
            notifications.stop()

    def _join(self, task_id: TaskId, timeout: float) -> _Wait:
        if self._process != os.getpid():  # forked: the thread stayed behind, and may have held the lock
            self._begin()
        wait = _Wait(task_id, timeout)
        with self._changed:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="app-results", daemon=True)
                thread.start()
                self._thread = thread
            self._waits.setdefault(task_id, set()).add(wait)
            self._changed.notify_all()
        return wait

    def _leave(self, wait: _Wait) -> bool:
        """Whether it was still waiting: whoever takes it away is the one to answer it."""
        with self._changed:
            waits = self._waits.get(wait.task_id, set())
            if wait not in waits:
                return False
            waits.remove(wait)
            if not waits:
                del self._waits[wait.task_id]
            return True

    def _hear(self, ended: Ended) -> None:
        with self._changed:
            if ended is None:
                # Maybe listening has only just begun, and whoever was asked before told somebody who did not hear.
                self._look_at_all = True
                self._ask_at = min(self._ask_at, self._asked_at + _ASK_PAUSE)
            else:
                self._hinted |= ended & self._waits.keys()
                if not self._hinted:
                    return
            self._changed.notify_all()

    def _run(self) -> None:
        look: Bound[[Sequence[TaskId]], Look] | None = None
        try:
            while (ids := self._next()) is not None:
                try:
                    look = look or self._make_look()
                    if ids:
                        self._answer(look, ids)
                    self._listen()
                except Exception:  # of what is made here: those who wait may have time until it can be
                    _log.exception("Waiting for results failed; going on")
                    self._stop_listening()
                    time.sleep(LONGEST_STEP)
                time.sleep(REST)
        finally:
            with self._changed:
                if self._thread is threading.current_thread():
                    self._thread = None

    def _next(self) -> list[TaskId] | None:
        """Wait until something is to be looked at, or asked; None when nobody waits any more."""
        with self._changed:
            while True:
                now = time.monotonic()
                if not self._waits:
                    self._hinted.clear()
                    self._look_at_all = False
                    if not self._changed.wait_for(lambda: self._waits, _IDLE):
                        self._thread = None
                        return None
                    continue
                ids = self._due(now)
                if ids or now >= self._ask_at:
                    return ids
                until = min(wait.look_at for waits in self._waits.values() for wait in waits)
                self._changed.wait(min(until, self._ask_at) - now)

    def _due(self, now: float) -> list[TaskId]:
        if self._look_at_all:
            ids = list(self._waits)
        else:
            ids = [
                task_id
                for task_id, waits in self._waits.items()
                if task_id in self._hinted or any(wait.look_at <= now for wait in waits)
            ]
        self._hinted.clear()
        self._look_at_all = False
        return ids

    def _answer(self, look: Bound[[Sequence[TaskId]], Look], ids: Sequence[TaskId]) -> None:
        try:
            seen = look.execute(ids)
        except DatabaseUnavailable as error:
            self._put_off(self._waiting_for(ids), error)
            return
        except Exception as error:
            for wait in self._taken(ids):
                wait.answer.set_exception(error)
            return
        for task in seen.ended:
            for wait in self._taken([task.id]):
                wait.answer.set_result(task.snapshot())
        # Not what has ended: who was just answered may have come back for the same.
        for wait in self._taken(set(ids) - seen.going_on.keys() - {task.id for task in seen.ended}):
            wait.answer.set_exception(TaskNotFound(wait.task_id))
        waits = self._waiting_for(seen.going_on)
        for wait in waits:
            wait.status = seen.going_on[wait.task_id]
        self._put_off(waits, None)

    def _put_off(self, waits: Iterable[_Wait], error: DatabaseUnavailable | None) -> None:
        now = time.monotonic()
        for wait in waits:
            wait.error = error
            if now < wait.deadline:
                wait.put_off(now)
            elif self._leave(wait):
                wait.answer.set_exception(wait.late())

    def _waiting_for(self, ids: Iterable[TaskId]) -> list[_Wait]:
        with self._changed:
            return [wait for task_id in ids for wait in self._waits.get(task_id, ())]

    def _taken(self, ids: Iterable[TaskId]) -> list[_Wait]:
        """Those who wait for these, and need not any longer."""
        with self._changed:
            return [wait for task_id in ids for wait in self._waits.pop(task_id, ())]

    def _stop_listening(self) -> None:
        with self._changed:
            notifications, self._notifications = self._notifications, None
            self._ask_at = math.inf
        if notifications is not None:
            with suppress(Exception):  # it may never have begun
                notifications.stop()

    def _listen(self) -> None:
        with self._changed:
            if not self._waits:
                return
            begins = self._notifications is None
            if begins:
                self._notifications = self._make_notifications()
            notifications = self._notifications
            asks = time.monotonic() >= self._ask_at
            if asks:
                self._asked_at = time.monotonic()
                self._ask_at = self._asked_at + ASK_INTERVAL
        if notifications is None:
            return
        if begins:
            notifications.start(self._hear)
        if asks:
            notifications.ask()
