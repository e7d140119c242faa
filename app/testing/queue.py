"""TrialQueue: a queue for one test, in memory, with the application's own jobs."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from types import TracebackType
from typing import Any, Self

from app.container import TaskQueueContainer
from app.domain.identifiers import TaskId
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.job import Job
from app.domain.tasks.events import TaskFailed
from app.domain.tasks.task import WorkerTask
from app.infra.settings import Settings
from app.testing.blocking import finished
from app.testing.clock import TrialClock
from app.testing.enqueued import ANY, Expectation, RememberingStore, listed
from app.testing.failure import JobFailed


class TrialQueue:
    """``with TrialQueue(jobs) as queue:`` the jobs of that catalog are enqueued here, and afterwards where they were.

    ``queue.tasks`` is a TaskQueueContainer like any other, ``queue.clock`` the only clock it goes by: *now* at first,
    the present unless said. *services* are what handlers ask for: a container, or a dict by name or type; to replace
    one of a container, ``{**container.providers, "mailer": fake}``. Nothing runs until it is told to: ``drain``,
    ``adrain`` or ``inline``. Then attempts are made as a worker makes them, *concurrency* at once, unless said one
    after the other.
    """

    def __init__(
        self, jobs: JobCatalog, *, services: Any = None, now: datetime | None = None, concurrency: int = 1
    ) -> None:
        self.clock = TrialClock(now)
        self.failures: list[TaskFailed] = []
        """Every attempt that has failed so far, oldest first."""
        self._restore = jobs.binding()
        self._store = RememberingStore()
        # What the surroundings say of queues and types is about the workers of the application, not about its tests.
        settings = Settings(in_memory=True, worker_queues=(), worker_task_types=(), worker_concurrency=concurrency)
        self.tasks = TaskQueueContainer(
            settings=settings, jobs=jobs, services=services, clock=self.clock, store=self._store
        )
        self.tasks.signals().failed.connect(self._on_failed)
        self._lock = threading.Lock()
        self._asked = 0
        self._is_running = False

    def drain(self, *, raises: bool = True) -> int:
        """Run what is due, and what that enqueues, until nothing is due any more; the number of attempts.

        Raises JobFailed, once all has been run, when an attempt failed; with ``raises=False`` the failures are in the
        tasks alone, as in production, and in ``failures``. May be called anywhere; where an event loop is running it
        stands still meanwhile, and the handlers run on another: there, ``adrain`` is the better one.
        """
        return finished(lambda: self.adrain(raises=raises), called="drain()")

    async def adrain(self, *, raises: bool = True) -> int:
        """Like drain, on the running event loop."""
        already = len(self.failures)
        worker = self.tasks.worker()
        attempts = await worker.drain()
        if worker.stopping.requested:
            raise KeyboardInterrupt  # the worker took the signal that was meant for the test
        if raises:
            self._raise_failures(already)
        return attempts

    @contextmanager
    def inline(self, *, raises: bool = True) -> Iterator[None]:
        """Within the block whatever is enqueued runs at once, if it is due: before the enqueue, or the commit, returns.

        Whoever enqueues hears nothing of an attempt that fails, as in production: JobFailed is raised at the end of the
        block, unless ``raises=False``.
        """
        already = len(self.failures)
        with self._store.lock:
            self._store.listeners.append(self._run_now)
        try:
            yield
        finally:
            with self._store.lock:
                self._store.listeners.remove(self._run_now)
        if raises:
            self._raise_failures(already)

    def enqueued(self, type: Job[Any, Any] | str = "*") -> list[WorkerTask]:
        """Everything enqueued so far, or all of that job or type (with wildcards), oldest first, as it is now."""
        return Expectation(type, ANY, None).found_in(self._store.enqueued(), self.tasks.schemas())

    def assert_enqueued(
        self,
        type: Job[Any, Any] | str,
        payload: Any = ANY,
        *,
        containing: Mapping[str, Any] | None = None,
        count: int | None = None,
    ) -> list[WorkerTask]:
        """Such tasks have been enqueued: *count* of them, or at least one. Returns them, oldest first.

        *payload* is what was enqueued, as a whole: an instance of the model, or its JSON. *containing* are some of its
        fields, as JSON. Whether the tasks have run since makes no difference. Raises AssertionError.
        """
        everything = self._store.enqueued()
        expectation = Expectation(type, payload, containing)
        found = expectation.found_in(everything, self.tasks.schemas())
        if len(found) != count and (count is not None or not found):
            wanted = "at least one task" if count is None else f"{count} task(s)"
            raise AssertionError(
                f"expected {wanted} {expectation}, found {len(found)}; enqueued:\n{listed(everything)}"
            )
        return found

    def find(self, task_id: TaskId) -> WorkerTask:
        """The task as it is now. Raises TaskNotFound."""
        return self.tasks.find_task().execute(task_id)

    def close(self) -> None:
        """Let the jobs be enqueued where they were before."""
        self._restore()
        self.tasks.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _on_failed(self, sender: str, event: TaskFailed) -> None:
        self.failures.append(event)

    def _raise_failures(self, already: int) -> None:
        if len(self.failures) > already:
            raise JobFailed(self.failures[already:])

    def _run_now(self, queue: str) -> None:
        """Drain, unless that is under way already: then it goes on to what has been enqueued meanwhile."""
        with self._lock:
            self._asked += 1
            if self._is_running:
                return
            self._is_running = True
        try:
            while True:
                asked = self._asked
                self.drain(raises=False)
                with self._lock:
                    if self._asked == asked:
                        self._is_running = False
                        return
        finally:
            self._is_running = False
