"""Enqueue: put tasks on their queues."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar

from app.domain.errors import InvalidInput
from app.domain.garbage import left_alone
from app.domain.identifiers import TaskId
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.schemas import Schemas
from app.domain.tasks.events import TaskCreated
from app.domain.tasks.new import NewTask
from app.domain.tasks.repository import Addition
from app.domain.tasks.task import WorkerTask
from app.usecases.transaction import Transaction
from app.usecases.uniques import Placed, PlaceTasks

NOTHING: dict[str, Any] = {}
"""The payload when none is given; it is encoded at once, so nobody can put anything in."""


@dataclass(frozen=True, slots=True)
class EnqueueTasks:
    """Put many tasks on their queues, all or none.

    ``max_attempts`` is the settings' default; ``max_payload`` the most bytes a payload may have as JSON.
    """

    needs_transaction: ClassVar[bool] = False
    outlives_its_caller: ClassVar[bool] = True

    jobs: JobCatalog
    new_ids: Callable[[int], list[TaskId]]
    max_attempts: int
    max_payload: int
    schemas: Schemas

    def __call__(self, tx: Transaction, new: Iterable[NewTask]) -> list[WorkerTask]:
        """Enqueue *new* and return the tasks in the order given.

        Of a unique job an existing task may be returned (an ExistingTask), see Unique. Raises TaskNotUnique, and
        InvalidInput for a payload that is too large or does not fit the model of its job, a unique key that cannot be
        had, or an element that is no NewTask; nothing is stored then.
        """
        if not isinstance(new, Iterable):
            raise InvalidInput("new", new, "must be a list of NewTask")
        new = list(new)
        self._check(new)
        return self.put(tx, new)

    def needs_transaction_for(self, new: Iterable[NewTask] = (), *_: object, **__: object) -> bool:
        """As in UnitOfWork: a single statement stores plain tasks, and several those that are unique."""
        if not any(job.unique for job in self.jobs):
            return False
        # What can be read only once is read by the verb; what is no NewTask it refuses before anything is stored.
        return not isinstance(new, Sequence) or any(
            self.is_unique(type) for type in {one.type for one in new if isinstance(one, NewTask)}
        )

    def is_unique(self, type: str) -> bool:
        job = self.jobs.get(type)
        return job is not None and job.unique is not None

    def check(self, new: NewTask) -> None:
        """Raises InvalidInput for what may not be stored here."""
        self._check([new])

    def put(self, tx: Transaction, new: Sequence[NewTask]) -> list[WorkerTask]:
        """Enqueue *new*, which has been checked."""
        placed = self.place(tx, new)
        tx.wake({task.queue for task in (*placed.created, *placed.changed)})
        return placed.tasks

    def place(self, tx: Transaction, new: Sequence[NewTask]) -> Placed:
        """As ``put``, and no worker is woken."""
        additions, is_unique = self._additions(new)
        if not additions:
            return Placed([], [], [], [])
        if is_unique:
            placed = PlaceTasks(self.jobs, self.schemas)(tx, additions)
        else:
            tasks = tx.tasks.add(additions)
            placed = Placed(tasks, tasks, [], [])
        if tx.wants(TaskCreated):
            for task in placed.created:
                tx.record(TaskCreated(task=task.snapshot()))
        return placed

    def _check(self, new: Sequence[NewTask]) -> None:
        for index, one in enumerate(new):
            if not isinstance(one, NewTask):
                raise InvalidInput(f"new[{index}]", one, "must be a NewTask")
            if one.size > self.max_payload:
                rule = f"must be at most {self.max_payload} bytes as JSON, not {one.size}"
                raise InvalidInput("payload", one.payload, rule)
            job = self.jobs.get(one.type)
            # Of another version, nobody here can say what it must be like.
            if job is not None and job.payload is not None and one.version in (None, job.version):
                self.schemas.of(job.payload).from_json(one.payload, field="payload")

    @left_alone
    def _additions(self, new: Sequence[NewTask]) -> tuple[list[Addition], bool]:
        """What is stored, and whether any of it is of a unique job."""
        said: dict[str, tuple[int, int, float | None]] = {}
        additions = []
        for task_id, one in zip(self.new_ids(len(new)), new, strict=True):
            known = said.get(one.type)
            if known is None:
                known = said[one.type] = self._said_of(one.type)
            max_attempts, version, ttl = known
            if one.ttl is not None or one.expires_at is not None:
                ttl = one.ttl  # type: ignore[assignment]  # NewTask keeps seconds; only its parameter takes more
            additions.append(Addition(task_id, one, one.max_attempts or max_attempts, one.version or version, ttl))
        return additions, any(map(self.is_unique, said))

    def _said_of(self, type: str) -> tuple[int, int, float | None]:
        """The attempts, the version and the ttl that a new task of *type* has unless its caller says otherwise."""
        job = self.jobs.get(type)
        if job is None:
            return self.max_attempts, 1, None
        return job.max_attempts or self.max_attempts, job.version, job.ttl


@dataclass(frozen=True, slots=True)
class EnqueueTask:
    """Put one task on its queue."""

    needs_transaction: ClassVar[bool] = False

    enqueue_tasks: EnqueueTasks

    def __call__(
        self,
        tx: Transaction,
        *,
        type: str,
        payload: Any = NOTHING,
        queue: str = "default",
        priority: int = 0,
        max_attempts: int | None = None,
        timeout: float | timedelta | None = None,
        scheduled_at: datetime | None = None,
        delay: float | timedelta | None = None,
        correlation_id: str | None = None,
        tags: Sequence[str] = (),
        version: int | None = None,
        expires_at: datetime | None = None,
        ttl: float | timedelta | None = None,
    ) -> WorkerTask:
        """Parameters as in NewTask. A type that is unknown here may be enqueued: another
        application may know it. Of a job that is unique an existing task may be returned (an ExistingTask), see
        Unique. Raises InvalidInput and TaskNotUnique, with nothing stored."""
        new = self.prepared(
            type=type,
            payload=payload,
            queue=queue,
            priority=priority,
            max_attempts=max_attempts,
            timeout=timeout,
            scheduled_at=scheduled_at,
            delay=delay,
            correlation_id=correlation_id,
            tags=tags,
            version=version,
            expires_at=expires_at,
            ttl=ttl,
        )
        return self.together(tx, [new])[0]

    def needs_transaction_for(self, *_: object, type: object = None, **__: object) -> bool:
        """As in EnqueueTasks."""
        return isinstance(type, str) and self.enqueue_tasks.is_unique(type)

    told_of: ClassVar[tuple[type[TaskCreated], ...]] = (TaskCreated,)

    def prepared(self, *, payload: Any = NOTHING, **asked: Any) -> NewTask:
        """As in Gatherable."""
        new = NewTask(payload=payload, **asked)
        self.enqueue_tasks.check(new)
        return new

    def goes_alone(self, prepared: NewTask) -> bool:
        """As in Gatherable: who waits for another's key must not hold up those who gathered."""
        return self.enqueue_tasks.is_unique(prepared.type)

    def together(self, tx: Transaction, prepared: Sequence[NewTask]) -> Sequence[WorkerTask]:
        """As in Gatherable."""
        return self.enqueue_tasks.put(tx, prepared)
