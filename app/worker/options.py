"""WorkerOptions: how a worker behaves, as values."""

from dataclasses import dataclass

from app.domain.retention_rules import KEEP_ALL, RetentionRules


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """``name`` is for people; ``queues`` and ``types`` (patterns) restrict what is claimed, empty ones do not.

    All durations are seconds: the longest wait between looks (``poll_interval``), the timeout of jobs that state none
    (``task_timeout``), the silence after which this worker is taken for dead (``lease``), how often it looks for dead
    ones (``stale_check_interval``), how long running attempts have when it stops (``shutdown_grace``), and how long
    handlers in threads and processes have to end by themselves when their task is cancelled (``cancel_grace``).

    A task that cost ``poison_after`` workers their lives is given up. What has ended is kept as ``retention`` says,
    dead letters until they are ``dead_letter_ttl`` seconds old (None: for good).

    Handlers that are isolated run in ``cpu_processes`` processes at most (None: one for each core), of which each may
    take ``process_memory`` bytes of address space (None: any) and is replaced after ``process_tasks`` tasks.
    """

    name: str
    concurrency: int = 5
    poll_interval: float = 1.0
    task_timeout: float = 300.0
    lease: float = 60.0
    stale_check_interval: float = 15.0
    shutdown_grace: float = 25.0
    cancel_grace: float = 10.0
    queues: tuple[str, ...] = ()
    types: tuple[str, ...] = ()
    cpu_processes: int | None = None
    process_memory: int | None = None
    process_tasks: int = 1000
    poison_after: int = 3
    retention: RetentionRules = KEEP_ALL
    dead_letter_ttl: float | None = None
