"""What the settings say to a worker."""

from app.infra.settings import Settings
from app.worker.options import WorkerOptions


def options_of(settings: Settings) -> WorkerOptions:
    return WorkerOptions(
        name=settings.worker_id,
        concurrency=settings.worker_concurrency,
        poll_interval=settings.worker_poll_interval,
        task_timeout=settings.worker_task_timeout,
        lease=settings.worker_lease,
        stale_check_interval=settings.worker_stale_check_interval,
        shutdown_grace=settings.worker_shutdown_grace,
        cancel_grace=settings.worker_cancel_grace,
        queues=settings.worker_queues,
        types=settings.worker_task_types,
        cpu_processes=settings.worker_cpu_processes,
        process_memory=settings.worker_process_memory,
        process_tasks=settings.worker_process_tasks,
        poison_after=settings.worker_poison_after,
        retention=settings.worker_retention,
        dead_letter_ttl=settings.worker_dead_letter_ttl,
    )
