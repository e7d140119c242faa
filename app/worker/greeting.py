"""Greeting: what a worker says of itself in the log when it begins."""

import logging

from app.domain.jobs.catalog import JobCatalog
from app.domain.workers import WorkerNode

_log = logging.getLogger("app.worker")


def say_what_runs(node: WorkerNode, jobs: JobCatalog, patterns: tuple[str, ...]) -> None:
    """Which of *jobs* the worker runs, of those that fit *patterns*; a warning when that is nothing.

    The queue's own jobs, which every worker runs, go without saying, unless *patterns* fit them alone.
    """
    own = jobs.types(patterns)
    jobs = jobs.application
    if types := jobs.types(patterns) or (own if patterns else ()):
        _log.info("Worker %s runs %s", node.id, ", ".join(types))
    elif len(jobs):
        known = ", ".join(jobs.types())
        _log.warning("Worker %s runs nothing: %s fits none of its jobs, %s", node.id, ", ".join(patterns), known)
    else:
        _log.warning("Worker %s runs nothing: it knows no job", node.id)
