"""BatchJob: a job whose payload names many items, and whose retries run only those that are not done yet."""

from collections.abc import AsyncIterable, Awaitable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Literal, TypeVar, get_args

from app.domain.errors import QueueError
from app.domain.jobs.context import TaskContext
from app.domain.jobs.errors import InvalidJob
from app.domain.jobs.generics import models_of
from app.domain.jobs.job import Handler, Job
from app.domain.jobs.signature import is_coroutine_function, services_of
from app.domain.numbers import checked_whole_number
from app.domain.tasks.task import WorkerTask

P = TypeVar("P")
I = TypeVar("I")  # noqa: E741  # beside P and R it is the item
R = TypeVar("R")

OnItemError = Literal["continue", "stop"]

MAX_ITEMS = 1_000_000
"""Items of one task: they are listed before the first is run, and a bit is remembered of each."""
MAX_BATCH = 10_000
MAX_CONCURRENCY = 1_000
_SHOWN = 3
"""Failed items that the message of an attempt names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult(Generic[R]):
    """How the items went, each known by its place in the list, from 0.

    ``results`` holds what was returned for items that succeeded, where that was not None, and ``errors`` the first
    hundred of those that failed in the latest attempt, in one line each. Results are kept up to 256 KiB of JSON in all;
    ``left_out`` says how many did not fit.
    """

    total: int
    succeeded: int = 0
    failed: int = 0
    results: Mapping[int, R] = field(default_factory=dict)
    errors: Mapping[int, str] = field(default_factory=dict)
    left_out: int = 0


class ItemsFailed(QueueError):
    """An attempt at a batch has ended with items that failed; the next one runs those that are not done."""

    def __init__(self, result: "BatchResult[Any]") -> None:
        self.result = result
        shown = [f"item {index}: {error}" for index, error in list(result.errors.items())[:_SHOWN]]
        more = result.failed - len(shown)
        told = "; ".join([*shown, f"and {more} more"] if more > 0 else shown)
        left = result.total - result.succeeded - result.failed
        not_run = f", {left} were not run" if left else ""
        super().__init__(f"{result.failed} of {result.total} items failed{not_run}: {told}")


class BatchJob(Job[P, BatchResult[R]], Generic[P, I, R]):
    """A job in the class form: ``items`` lists what its payload names, ``process`` does one of them.

    ``class Import(BatchJob[File, Row, None])``, added with ``jobs.add(Import("import:file"))``. Instead of ``process``
    there may be ``process_batch``, which is given up to ``batch_size`` items at once. ``concurrency`` of them run at
    the same time, on the event loop where they are ``async def`` and in threads where not. After an item that failed,
    the others are run all the same (``on_item_error = "continue"``), or none is begun any more (``"stop"``). An attempt
    with failed items is a failed attempt, with ItemsFailed as its error; the next one runs what is not done, which is
    remembered by place: ``items`` must list the same items in the same order each time, and a list of another length
    fails the task for good. Progress is reported by itself. What ``process`` raises of RetryLater, FailForGood,
    CancelTask and Snooze is about the task, and ends the attempt once the items under way have ended.

    Items that have ended are remembered when the attempt ends, however it does, and at most a second later when its
    process dies. Raises InvalidJob, InvalidInput.
    """

    batch_size: int = 1
    concurrency: int = 5
    on_item_error: OnItemError = "continue"

    def items(self, payload: P, context: TaskContext) -> Iterable[I] | AsyncIterable[I] | Awaitable[Iterable[I]]:
        """The items: a list or a generator, from a plain function (in a thread) or an asynchronous one."""
        raise NotImplementedError

    def process(self, item: I, context: TaskContext) -> R | Awaitable[R]:
        """Do one item; what it raises is that item's failure."""
        raise NotImplementedError

    def process_batch(
        self, items: Sequence[I], context: TaskContext
    ) -> Sequence[R | Exception] | Awaitable[Sequence[R | Exception] | None] | None:
        """Do some items at once; returns the result of each, with an exception in the place of one that failed.

        None stands for no results. What it raises is the failure of all of them.
        """
        raise NotImplementedError

    @property
    def is_in_batches(self) -> bool:
        """Whether ``process_batch`` is what does the items."""
        return self.__class__.process_batch is not BatchJob.process_batch

    def so_far(self, task: WorkerTask) -> BatchResult[R] | None:
        """How the items of *task* have gone, whether or not it has ended; None when nothing is stored of it yet.

        Raises CatalogNotBound; and Unfit when it is of another job.
        """
        stored = task.checkpoint if task.checkpoint is not None else task.result
        schema = self.schema_of(self.result)
        if stored is None or schema is None:
            return None
        result: BatchResult[R] = schema.from_json(stored, field="checkpoint")
        return result

    def _set_handler(self, handler: Handler | None) -> None:
        cls = self.__class__
        if handler is not None:
            raise InvalidJob(self.type, "is a batch job: it has no other handler than its process method")
        if cls.items is BatchJob.items:
            raise InvalidJob(self.type, "is a batch job without an items method")
        if (cls.process is not BatchJob.process) == self.is_in_batches:
            raise InvalidJob(self.type, "must have either a process or a process_batch method")
        if self.batch_size != 1 and not self.is_in_batches:
            raise InvalidJob(self.type, "has a batch_size, and no process_batch method to be given so many items")
        if self.on_item_error not in get_args(OnItemError):
            raise InvalidJob(self.type, f"on_item_error must be 'continue' or 'stop', not {self.on_item_error!r}")
        checked_whole_number("batch_size", self.batch_size, low=1, high=MAX_BATCH)
        checked_whole_number("concurrency", self.concurrency, low=1, high=MAX_CONCURRENCY)
        self.handler: Handler = self.process_batch if self.is_in_batches else self.process
        self.is_asynchronous = is_coroutine_function(self.handler)
        self.listing_services: Mapping[str, Any] = services_of(self.items, self.type)
        self.item_services: Mapping[str, Any] = services_of(self.handler, self.type)
        self.services = {**self.listing_services, **self.item_services}
        self.__doc__ = cls.__doc__

    def _set_models(self, payload: Any, result: Any) -> None:
        if result is not None:
            raise InvalidJob(self.type, "is a batch job: the model of an item's result stands in its brackets")
        models = models_of(self.__class__, BatchJob) or (None, None, None)
        self.payload = payload if payload is not None else models[0]
        self.item_result = models[2]
        self.result = BatchResult[models[2] or Any]  # type: ignore[misc]  # the model is known at run time alone

    def _set_policies(self, **options: Any) -> None:
        super()._set_policies(**options)
        if self.isolation is not None or self.transactional:
            raise InvalidJob(self.type, "is a batch job: neither isolation nor transactional goes together with that")
