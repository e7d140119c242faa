"""The bench: one queue's database, the worker processes on it, and what can be seen of both."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import psycopg
from psycopg.rows import dict_row

from app import DatabaseUnavailable, JobCatalog, NewTask, TaskQueueContainer, TaskStatus, WorkerTask
from app.infra.settings import Settings
from tests.faults.ledger import Ledger
from tests.faults.process import WorkerProcess
from tests.faults.waiting import eventually

T = TypeVar("T")


class Bench:
    """An application with a queue at *url*; it defines no jobs, it only asks for work."""

    def __init__(self, url: str, ledger: Ledger, folder: Path) -> None:
        self.url = url
        self.ledger = ledger
        self.workers: list[WorkerProcess] = []
        self.tasks = TaskQueueContainer(settings=Settings(database_url=url), jobs=JobCatalog())
        self._folder = folder

    @property
    def database(self) -> str:
        """The name of its database."""
        return str(psycopg.conninfo.conninfo_to_dict(self.url)["dbname"])

    def worker(self, name: str = "a", *, url: str | None = None, ready: bool = True, **asked: Any) -> WorkerProcess:
        """A new worker process; its WORKER_ID is *name*."""
        log = self._folder / f"worker-{len(self.workers)}-{name}.log"
        settings = {"worker_id": name} | asked
        worker = WorkerProcess(url or self.url, ledger=self.ledger.url, log=log, **settings)
        self.workers.append(worker)
        if ready:
            worker.wait_until_ready()
        return worker

    def two_workers(self, **asked: Any) -> tuple[WorkerProcess, WorkerProcess]:
        """``a`` and ``b``, who come up at the same time."""
        both = self.worker("a", ready=False, **asked), self.worker("b", ready=False, **asked)
        for worker in both:
            worker.wait_until_ready()
        return both

    def enqueue(self, type: str, payload: Any = None, **asked: Any) -> WorkerTask:
        return self.tasks.enqueue_task().execute(type=type, payload={} if payload is None else payload, **asked)

    def enqueue_many(self, type: str, count: int) -> list[WorkerTask]:
        return self.tasks.enqueue_tasks().execute([NewTask(type=type, payload={}) for _ in range(count)])

    def find(self, task: WorkerTask) -> WorkerTask:
        return self.tasks.find_task().execute(task.id)

    def eventually(self, condition: Callable[[], T], *, within: float = 10.0, what: str) -> T:
        def unless_away() -> T | None:
            try:
                return condition()
            except DatabaseUnavailable:
                return None

        answer = eventually(unless_away, within=within, what=what, log=self.logs)
        assert answer is not None
        return answer

    def wait_for(self, task: WorkerTask, status: TaskStatus, *, within: float = 10.0) -> WorkerTask:
        """*task* as it is found once it has this *status*."""
        self.eventually(
            lambda: self.find(task).status is status, within=within, what=f"the {task.type} task is {status}"
        )
        return self.find(task)

    def wait_for_note(self, task: WorkerTask, note: str = "began", *, within: float = 10.0, times: int = 1) -> None:
        """Until the handler of *task* has written *note*."""
        self.eventually(
            lambda: self.ledger.notes(task.id).count(note) >= times,
            within=within,
            what=f"the {task.type} task writes {note!r}",
        )

    def wait_for_all(self, tasks: Sequence[WorkerTask], *, within: float) -> None:
        """Until every one of *tasks* is completed."""
        ids = {task.id for task in tasks}

        def done() -> bool:
            found = self.tasks.list_tasks().execute(status="completed", limit=10_000)
            return ids <= {task.id for task in found}

        self.eventually(done, within=within, what=f"all {len(ids)} tasks are completed")

    def wait_for_more(self, *, within: float) -> None:
        """Until another handler has run, of whichever task."""
        before = self.ledger.total()
        self.eventually(lambda: self.ledger.total() > before, within=within, what="work resumes")

    def wait_until_still(self, count: Callable[[], int]) -> None:
        """Until *count* has not changed for half a second."""
        seen, since = count(), time.monotonic()

        def is_still() -> bool:
            nonlocal seen, since
            if (now := count()) != seen:
                seen, since = now, time.monotonic()
            return time.monotonic() - since > 0.5

        self.eventually(is_still, what="nothing happens for half a second")

    def runner_of(self, task: WorkerTask) -> WorkerProcess:
        """The process that wrote last that it began or ran *task*."""
        pids = self.ledger.pids(task.id, "began") + self.ledger.pids(task.id, "ran")
        [worker] = [worker for worker in self.workers if worker.pid == pids[-1]]
        return worker

    def backends(self, query: str = "%") -> list[dict[str, Any]]:
        """PostgreSQL's own view of the workers' connections whose last statement was like *query*."""
        with psycopg.connect(self.url, autocommit=True, row_factory=dict_row) as connection:
            return connection.execute(
                "SELECT pid, state, query, xact_start, wait_event_type FROM pg_stat_activity"
                " WHERE datname = %s AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
                " AND query ILIKE %s ORDER BY pid",
                (self.database, query),
            ).fetchall()

    def waiting_for_locks(self, query: str = "%") -> bool:
        """Whether a worker's statement like *query* waits for somebody's lock."""
        return any(backend["wait_event_type"] == "Lock" for backend in self.backends(query))

    def terminate(self, backends: Sequence[dict[str, Any]]) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            for backend in backends:
                connection.execute("SELECT pg_terminate_backend(%s)", (backend["pid"],))

    def logs(self) -> str:
        """What all workers said, for the message of a test that fails."""
        return "\n".join(f"--- worker {worker.pid}\n{worker.log}" for worker in self.workers)

    def close(self) -> None:
        for worker in self.workers:
            worker.clean_up()
        self.tasks.close()
