"""Slots: the attempts a worker runs at once, and how many more it may take."""

import asyncio
import contextvars
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from app.domain.garbage import left_alone
from app.domain.identifiers import TaskId
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.context import TaskContext
from app.domain.jobs.job import Handler, Job
from app.domain.jobs.schemas import Schemas
from app.domain.json import JsonText
from app.domain.tasks.outcomes import Completed, Outcome, Released
from app.domain.tasks.repository import Settlement
from app.domain.tasks.task import WorkerTask
from app.usecases.tasks.settle import ReportedProgress
from app.worker.attempt import Attempt
from app.worker.calls import Call, Calls, Isolate
from app.worker.deadlines import Deadlines
from app.worker.interruption import Interruption
from app.worker.layers import Offload
from app.worker.mailbox import Mailbox
from app.worker.options import WorkerOptions
from app.worker.settler import Settler
from app.worker.threads import HandlerThreads

if TYPE_CHECKING:
    from app.worker.isolation.pool import ProcessPool

_log = logging.getLogger("app.worker")

BATCH = 500
"""Tasks per claim; larger batches gain 5 to 15 % and hold their locks longer."""
MANY = 20
"""From so many slots on, a claim takes half of them at most."""

AHEAD = 5.0
"""Seconds that a cancel is remembered which came before the answer of the claim that it is about."""


class Slots:
    """As many attempts at once as the worker's concurrency.

    A handler that outlived its attempt does not hold a slot, up to as many as there are slots; beyond that each takes
    one away, so that hanging threads stay bounded at twice the concurrency.
    """

    def __init__(
        self,
        options: WorkerOptions,
        jobs: JobCatalog,
        calls: Callable[[Offload, Isolate], Calls],
        settler: Settler,
        *,
        max_result: int,
        shutting_down: Callable[[], bool],
        on_free: Callable[[], None],
    ) -> None:
        self._options = options
        self._jobs = jobs
        self.max_result = max_result
        self.cancel_grace = options.cancel_grace
        self._pool: ProcessPool | None = None
        self._calls = calls(self.offload, self.isolate)
        self._known: dict[str, tuple[Job[Any, Any], Call]] = {}
        self._settler = settler
        self._shutting_down = shutting_down
        self._on_free = on_free
        self._threads = HandlerThreads()
        self._deadlines: Deadlines[Attempt] = Deadlines(lambda attempt: attempt.interrupt(Interruption.TIMEOUT))
        self._attempts: set[Attempt] = set()
        self._empty = asyncio.Event()
        self._empty.set()
        self._freed = False
        self._ahead: set[TaskId] = set()
        self._ahead_until = 0.0
        self.left_behind = 0
        self.finished = 0

    def attach(self) -> None:
        """From now on the running loop, in this thread, is where attempts run."""
        self.loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._mailbox = Mailbox(self.loop)

    @property
    def free(self) -> int:
        concurrency = self._options.concurrency
        return concurrency - len(self._attempts) - max(0, self.left_behind - concurrency)

    @property
    def batch(self) -> int:
        """The most that one claim may take."""
        concurrency = self._options.concurrency
        return min(BATCH, concurrency if concurrency < MANY else concurrency // 2)

    @property
    def running(self) -> int:
        return len(self._attempts)

    def task_ids(self) -> set[TaskId]:
        return {attempt.task.id for attempt in self._attempts}

    def prepare(self, task: WorkerTask) -> None:
        """Raises InvalidJob when the job of *task* cannot work here."""
        job = self._jobs.get(task.type)
        if job is not None:
            self._calls.of(job)

    def prepare_all(self) -> None:
        """Raises InvalidJob when there is a job that cannot work here."""
        self._calls.make_all()

    @left_alone
    def start(self, tasks: Sequence[WorkerTask], worker_id: str) -> None:
        """Run *tasks*, which were claimed for *worker_id*."""
        for task in tasks:
            self._start(task, worker_id)

    def _start(self, task: WorkerTask, worker_id: str) -> None:
        known = self._known.get(task.type) or self._know(task.type)
        # Claims name the known types and versions, so only a catalog that shrank can bring this about.
        if known is None or task.version > known[0].version:
            self._settler.add(Settlement(task, Released()))
            return
        job, call = known
        timeout = task.timeout or job.timeout or self._options.task_timeout
        attempt = Attempt(task, job, call, self, worker_id=worker_id, timeout=timeout)
        self._attempts.add(attempt)
        self._deadlines.add(attempt, timeout, self.loop)
        self._empty.clear()
        attempt.start()
        heard = self._ahead and task.id in self._ahead and self.loop.time() < self._ahead_until
        if heard or task.cancel_requested_at is not None:
            self._ahead.discard(task.id)
            attempt.interrupt(Interruption.CANCELLED)

    def _know(self, type: str) -> tuple[Job[Any, Any], Call] | None:
        job = self._jobs.get(type)
        if job is None:
            return None
        known = self._known[type] = job, self._calls.of(job)
        return known

    def interrupt_all(self, why: Interruption) -> None:
        for attempt in list(self._attempts):
            attempt.interrupt(why)

    def cancel(self, task_ids: Iterable[TaskId]) -> None:
        """Stop the attempts of these tasks, which were cancelled, as far as they run here, or are about to."""
        ids = set(task_ids)
        for attempt in [one for one in self._attempts if one.task.id in ids]:
            ids.discard(attempt.task.id)
            attempt.interrupt(Interruption.CANCELLED)
        now = self.loop.time()
        self._ahead = ids if now > self._ahead_until else self._ahead | ids
        self._ahead_until = now + AHEAD

    async def wait_until_empty(self) -> None:
        await self._empty.wait()

    def close(self) -> None:
        """Nothing more will be run here: keep no thread for it."""
        self._threads.close()

    def submit(self, work: Callable[[], None]) -> None:
        self._threads.submit(work)

    async def offload(self, work: Callable[[], Any], context: TaskContext | None = None) -> Any:
        """Run *work* in a thread, with this task's context variables, and wait for what it returns.

        Cancelled, it goes on to wait, because the thread goes on to run: so the attempt of *context* is found to be one
        that cannot be stopped, and its host counts the thread as long as there is one. Cancelled again after that it
        gives up, for then it is the loop that ends.
        """
        ended: asyncio.Future[Any] = self.loop.create_future()
        variables = contextvars.copy_context()
        unwanted = False

        def run() -> None:
            try:
                answer, error = variables.run(work), None
            except BaseException as raised:  # SystemExit of a handler would only end its thread
                answer, error = None, raised
            with suppress(RuntimeError):  # the loop has ended, and nobody waits
                self.tell(_answer, ended, answer, error)

        self.submit(run)
        while not ended.done():
            try:
                await asyncio.wait((ended,))
            except asyncio.CancelledError:
                if unwanted and (context is None or context.abandoned):
                    raise
                unwanted = True
        return ended.result()

    def isolate(self, job: Job[Any, Any], schemas: Schemas) -> Handler:
        """What to call for a job whose handler runs in a process of its own. Raises InvalidJob."""
        if self._pool is None:
            from app.worker.isolation.pool import ProcessPool  # a worker without such jobs has no use for any of it

            self._pool = ProcessPool(
                size=self._options.cpu_processes,
                tasks=self._options.process_tasks,
                memory=self._options.process_memory,
                max_result=self.max_result,
                waits=self._stop_the_clock,
                begins=self._start_the_clock,
            )
        return self._pool.handler(job, schemas)

    def tell_stopping(self) -> None:
        """Tell those who cannot ask."""
        if self._pool is not None:
            self._pool.tell_stopping()

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.aclose()

    def tell(self, callback: Callable[..., None], *arguments: Any) -> None:
        self._mailbox.put(callback, *arguments)

    def is_shutting_down(self) -> bool:
        return self._shutting_down()

    def report(self, attempt: Attempt, percent: float | None, message: str | None, checkpoint: JsonText | None) -> None:
        progress = ReportedProgress(attempt.task, percent, message, checkpoint)
        if threading.get_ident() == self._loop_thread:
            # At once: a coroutine that reports and returns would have ended before its report arrived.
            self._keep_report(attempt, progress)
        else:
            # By the way that its end will take, so that the end does not overtake it.
            self.tell(self._keep_report, attempt, progress)

    def in_doubt(self, attempt: Attempt, outcome: Outcome, completed: Completed | None) -> None:
        self._settler.add_in_doubt(Settlement(attempt.task, outcome, attempt.checkpoint), completed)
        self.ended(attempt, None)

    def ended(self, attempt: Attempt, outcome: Outcome | None) -> None:
        self._attempts.discard(attempt)
        self._deadlines.remove(attempt, attempt.timeout)
        self.finished += 1
        if outcome is not None:
            self._settler.add(Settlement(attempt.task, outcome, attempt.checkpoint))
        else:
            self._settler.add_stored(attempt.task)
        if not self._attempts:
            self._empty.set()
        if not self._freed:
            # Once for all that end in this turn of the loop.
            self._freed = True
            self.loop.call_soon(self._tell_free)

    def _stop_the_clock(self, task: WorkerTask) -> None:
        for attempt in self._attempts:
            if attempt.task is task:
                self._deadlines.remove(attempt, attempt.timeout)

    def _start_the_clock(self, task: WorkerTask) -> None:
        for attempt in self._attempts:
            if attempt.task is task:
                attempt.began_at = time.monotonic()
                self._deadlines.add(attempt, attempt.timeout, self.loop)

    def _tell_free(self) -> None:
        self._freed = False
        self._on_free()

    def left(self, attempt: Attempt) -> None:
        self.left_behind += 1
        _log.warning("%d handler(s) of this worker outlived their attempts and still run", self.left_behind)

    def gone(self, attempt: Attempt) -> None:
        self.left_behind -= 1
        self._on_free()

    def _keep_report(self, attempt: Attempt, progress: ReportedProgress) -> None:
        if not attempt.ended:
            self._settler.report(progress)


def _answer(ended: "asyncio.Future[Any]", answer: Any, error: BaseException | None) -> None:
    if ended.done():  # whoever waited was interrupted
        return
    if error is None:
        ended.set_result(answer)
    elif isinstance(error, StopIteration):
        ended.set_exception(RuntimeError("the handler raised StopIteration"))  # which no future may hold
    else:
        ended.set_exception(error)
