"""Batch: an attempt at a batch job, a bounded number of its items at a time."""

import asyncio
import inspect
from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

from app.domain.errors import InvalidInput
from app.domain.jobs.answers import FailForGood, HandlerAnswer, Snooze
from app.domain.jobs.batch import MAX_ITEMS, BatchJob, BatchResult, ItemsFailed
from app.domain.jobs.context import WHOLE, TaskContext
from app.domain.jobs.errors import AttemptCancelled, SoftTimeout
from app.domain.jobs.items import Items
from app.domain.jobs.schemas import Schema, Schemas
from app.worker.failing import is_being_cancelled

SAVED_AFTER = 1.0
"""Seconds after the end of an item, at most, until it is on its way to being remembered."""


class Batch:
    """What a worker calls as the handler of *job*; *offload* runs a plain function in a thread."""

    def __init__(
        self,
        job: BatchJob[Any, Any, Any],
        schemas: Schemas,
        offload: Callable[[Callable[[], Any], TaskContext], Awaitable[Any]],
    ) -> None:
        self.job = job
        self.offload = offload
        self._item_result: Schema | None = None if job.item_result is None else schemas.of(job.item_result)
        self._result = schemas.of(job.result)

    async def __call__(self, payload: Any, context: TaskContext, **services: Any) -> Any:
        listed = await self._listed(payload, context, _named(self.job.listing_services, services))
        try:
            items = Items.again(context.checkpoint, len(listed))
        except ValueError as error:
            raise FailForGood(str(error)) from error
        await _Running(self, listed, items, context, _named(self.job.item_services, services)).run()
        return self.result_of(items)

    def result_of(self, items: Items) -> BatchResult[Any]:
        result: BatchResult[Any] = self._result.from_json(items.result, field="result")
        return result

    def item_json(self, returned: Any, field: str) -> Any:
        """Raises Unfit."""
        return returned if self._item_result is None else self._item_result.to_json(returned, field=field)

    async def _listed(self, payload: Any, context: TaskContext, services: Mapping[str, Any]) -> Sequence[Any]:
        items: Callable[..., Any] = self.job.items
        if inspect.isasyncgenfunction(items) or inspect.iscoroutinefunction(items):
            given = items(payload, context, **services)
            given = await given if inspect.isawaitable(given) else given
            listed = given if isinstance(given, AsyncIterable) else _all(given)
        else:
            # In the thread to its end: a generator may wait for something at each item.
            listed = await self.offload(lambda: _all(items(payload, context, **services)), context)
        if isinstance(listed, AsyncIterable):
            listed = [item async for item in _first(listed)]
        if len(listed) > MAX_ITEMS:
            raise FailForGood(f"items() has listed more than {MAX_ITEMS:,} items: give each task a part of them")
        return listed


class _Running:
    """One attempt. Everything but the items themselves happens on the event loop."""

    def __init__(
        self, batch: Batch, listed: Sequence[Any], items: Items, context: TaskContext, services: Mapping[str, Any]
    ) -> None:
        self._batch = batch
        self._job = batch.job
        self._listed = listed
        self._items = items
        self._context = context
        self._do = partial(self._job.handler, **services) if services else self._job.handler
        self._chunks = self._chunked()
        self._answer: HandlerAnswer | SoftTimeout | AttemptCancelled | None = None
        self._stopped = False
        self._left_early = False
        self._loop = asyncio.get_running_loop()
        self._saved_at = self._loop.time() - SAVED_AFTER
        self._saving: asyncio.TimerHandle | None = None

    async def run(self) -> None:
        """Raises ItemsFailed, what an item answered, SoftTimeout once that has passed, or Snooze(0) when the worker
        stops before all are done."""
        try:
            async with asyncio.TaskGroup() as lanes:
                for _ in range(min(self._job.concurrency, self._items.total)):
                    lanes.create_task(self._lane())
        finally:
            self._save()
        if self._answer is not None:
            raise self._answer
        if self._left_early and not self._stopped:
            raise Snooze(0)
        if self._items.failed:
            raise ItemsFailed(self._batch.result_of(self._items))

    def _chunked(self) -> Iterator[list[int]]:
        waiting = iter(list(self._items.waiting))
        while chunk := list(islice(waiting, self._job.batch_size)):
            yield chunk

    async def _lane(self) -> None:
        for chunk in self._chunks:
            if self._stopped or self._answer is not None:
                return
            if self._context.is_shutting_down():
                self._left_early = True
                return
            try:
                self._context.check()
                self._note(chunk, await self._done(chunk))
            except (HandlerAnswer, SoftTimeout, AttemptCancelled) as answer:
                # About the task; the items are neither done nor failed.
                if self._answer is None:
                    self._answer = answer
            except BaseException as error:  # as of a handler: SystemExit would end the whole loop
                if isinstance(error, asyncio.CancelledError) and is_being_cancelled():
                    raise
                self._note(chunk, [error] * len(chunk))
            # Items that wait for nothing would keep everybody else waiting.
            await asyncio.sleep(0)

    async def _done(self, chunk: Sequence[int]) -> Sequence[Any]:
        """Do the items of *chunk*, and answer with the outcome of each."""
        given = [self._listed[index] for index in chunk]
        call = partial(self._do, given if self._job.is_in_batches else given[0], self._context)
        returned = await call() if self._job.is_asynchronous else await self._batch.offload(call, self._context)
        if inspect.isawaitable(returned):
            returned = await returned
        if not self._job.is_in_batches:
            return [returned]
        if returned is None:
            return [None] * len(chunk)
        if not isinstance(returned, Sequence) or len(returned) != len(chunk):
            raise FailForGood(f"process_batch was given {len(chunk)} items and must return as many results, or None")
        return returned

    def _note(self, chunk: Sequence[int], outcomes: Sequence[Any]) -> None:
        misfit: InvalidInput | None = None
        for index, outcome in zip(chunk, outcomes, strict=True):
            if isinstance(outcome, BaseException):
                self._items.fail(index, outcome)
                self._stopped = self._stopped or self._job.on_item_error == "stop"
                continue
            self._items.succeed(index)
            try:
                self._items.keep(index, self._batch.item_json(outcome, f"result of item {index}"))
            except InvalidInput as error:
                misfit = misfit or error
        if self._context.is_shutting_down():
            # The attempt may be left, with another item that cannot be stopped, before a timer comes to it.
            self._save()
        elif self._saving is None:
            self._saving = self._loop.call_at(self._saved_at + SAVED_AFTER, self._save)
        if misfit is not None:
            # Another attempt would bring the same again, and its effects twice.
            raise FailForGood(f"an item was done, with all its effects, and its result does not fit: {misfit}")

    def _save(self) -> None:
        items = self._items
        if self._saving is not None:
            self._saving.cancel()
        self._saving = None
        self._saved_at = self._loop.time()
        if items.total:
            failed = f", {items.failed} failed" if items.failed else ""
            self._context.progress(WHOLE * items.succeeded / items.total, f"{items.succeeded} of {items.total}{failed}")
        self._context.save_checkpoint(items.kept)


def _named(wanted: Mapping[str, Any], services: Mapping[str, Any]) -> Mapping[str, Any]:
    return {name: services[name] for name in wanted}


def _all(given: Iterable[Any] | AsyncIterable[Any]) -> Sequence[Any] | AsyncIterable[Any]:
    return given if isinstance(given, AsyncIterable) else list(islice(given, MAX_ITEMS + 1))


async def _first(given: AsyncIterable[Any]) -> Any:
    number = 0
    async for item in given:
        yield item
        number += 1
        if number > MAX_ITEMS:
            return
