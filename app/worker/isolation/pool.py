"""ProcessPool: the processes in which a worker has handlers run that are isolated from it."""

import asyncio
import logging
import os
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from app.domain.jobs.context import TaskContext
from app.domain.jobs.job import Job
from app.domain.jobs.schemas import Schema, Schemas
from app.domain.json import decoded
from app.domain.tasks.task import WorkerTask
from app.worker.isolation.child import ChildProcess
from app.worker.isolation.messages import Answer, Run, SetUp
from app.worker.isolation.place import Place

_log = logging.getLogger("app.worker")

_LEAVE = 2.0
"""Seconds that idle processes have to exit when the worker ends."""


class ProcessPool:
    """At most *size* processes (None: as many as there are cores), each started when first needed, and kept.

    One that has run *tasks* tasks is replaced. *memory* is the bytes of address space that each may take. An attempt
    that has to wait for a process is not on its time: ``waits`` is told of its task when it begins to wait, ``begins``
    when its handler is called, or will not be.
    """

    def __init__(
        self,
        *,
        size: int | None,
        tasks: int,
        memory: int | None,
        max_result: int,
        waits: Callable[[WorkerTask], None],
        begins: Callable[[WorkerTask], None],
    ) -> None:
        self._room = asyncio.Semaphore(size or cores())
        self._tasks = tasks
        self._memory = memory
        self._max_result = max_result
        self._waits = waits
        self._begins = begins
        self._idle: list[ChildProcess] = []
        self._children: set[ChildProcess] = set()

    def handler(self, job: Job[Any, Any], schemas: Schemas) -> Callable[[Any, TaskContext], Awaitable[Any]]:
        """What to call in the place of the job's own handler. Raises InvalidJob when no process could find that."""
        place = Place.of(job)
        payload: Schema | None = None if job.payload is None else schemas.of(job.payload)
        result: Schema | None = None if job.result is None else schemas.of(job.result)

        async def isolated(given: Any, context: TaskContext) -> Any:
            # As JSON, because models need not pickle: the process reads it with the model itself.
            json = given if payload is None else payload.to_json(given, field="payload")
            text = await self._run(place, json, context, schemas)
            returned = decoded(text)
            return returned if result is None else result.from_json(returned, field="result")

        return isolated

    def tell_stopping(self) -> None:
        """Tell all handlers that the worker is shutting down."""
        for child in self._children:
            child.tell_stopping()

    async def aclose(self) -> None:
        """End all processes; none is left, nor what it has started."""
        for child in self._children:
            child.end() if child in self._idle else child.kill()
        if self._children:
            exits = [child.exited for child in self._children]
            await asyncio.wait(exits, timeout=_LEAVE)
            for child in self._children:
                child.kill()
            await asyncio.wait(exits, timeout=_LEAVE)
        self._idle.clear()

    async def _run(self, place: Place, payload: Any, context: TaskContext, schemas: Schemas) -> str:
        task, begun = context.task, False

        def begins() -> None:
            nonlocal begun
            begun = True
            self._begins(task)

        self._waits(task)
        try:
            answer = await self._answer(place, payload, context, schemas, begins)
            if answer.raised is not None:
                raise answer.raised.error()
        except BaseException:
            if not begun:
                begins()  # hooks and middleware come after this, and must not take for ever
            raise
        assert answer.result is not None  # noqa: S101  # without an error there is one
        return answer.result

    async def _answer(
        self, place: Place, payload: Any, context: TaskContext, schemas: Schemas, begins: Callable[[], None]
    ) -> Answer:
        async with self._room:
            child = await self._child(schemas)
            order = Run(
                place,
                context.task,
                payload,
                context.worker_id,
                self._max_result,
                context.timeout,
                context.is_shutting_down(),
            )
            try:
                answer = await _heard_out(child, child.run(order, context, begins), context)
            except BaseException:
                # Late, unwanted or dead: whatever it is doing, nobody waits for it any more.
                child.kill()
                raise
            if answer.spent or child.ran >= self._tasks:
                child.end()
            else:
                self._idle.append(child)
        return answer

    async def _child(self, schemas: Schemas) -> ChildProcess:
        while self._idle:
            child = self._idle.pop()
            if not child.exited.done():
                return child
        level = logging.getLogger().getEffectiveLevel()
        child = await ChildProcess.started(SetUp(schemas, self._memory, level))
        self._children.add(child)
        child.exited.add_done_callback(lambda _: self._children.discard(child))
        _log.debug("Process %d runs isolated handlers", child.pid)
        return child


async def _heard_out(child: ChildProcess, run: Coroutine[Any, Any, Answer], context: TaskContext) -> Answer:
    """The answer to a *run*. When its task is cancelled, the handler is told and may end by itself, until we are
    cancelled again."""
    running = asyncio.get_running_loop().create_task(run)
    try:
        return await asyncio.shield(running)
    except asyncio.CancelledError:
        if context.is_cancelled():
            child.tell_cancelled(context.task)
            return await running
        raise
    finally:
        running.cancel()


def cores() -> int:
    """How many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
