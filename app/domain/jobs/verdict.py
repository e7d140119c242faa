"""The verdict on a failed attempt: retry, fail, cancel or snooze, as pure rules."""

import math
from typing import Any

from app.domain.jobs.answers import CancelTask, FailForGood, PayloadInvalid, RetryLater, Snooze
from app.domain.jobs.job import Job
from app.domain.moments import MAX_DELAY
from app.domain.retries import DEFAULT_RETRY
from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.failures import MAX_MESSAGE, Failure, storable
from app.domain.tasks.outcomes import Failed, GivenUp, Outcome, RetryIn, Snoozed
from app.domain.tasks.task import WorkerTask


def verdict(error: BaseException, task: WorkerTask, job: Job[Any, Any]) -> Outcome:
    """How the attempt of *task* that raised *error* ends.

    The handler's own answer comes first, then the budget, then the job's ``should_retry`` and ``retry``. A policy that
    itself raises, or answers with something that is no wait, is replaced by the default one and the failure says so.
    """
    if isinstance(error, Snooze):
        return Snoozed(error.delay)
    if isinstance(error, CancelTask):
        return GivenUp(error.reason)
    failure = Failure.of(error)
    if isinstance(error, FailForGood) or task.is_last_attempt:
        return Failed(failure, job.death(_reason(error)))
    if isinstance(error, RetryLater):
        return RetryIn(failure, error.delay)
    try:
        delay = _policy_delay(error, task, job)
    except BaseException as broken:  # a user's policy may raise anything, and must not cost the task
        delay = DEFAULT_RETRY(task.attempts, error)
        failure = _with_note(failure, f"the job's retry policy failed, the default was used: {Failure.of(broken)}")
    if delay is None:
        return Failed(failure, job.death(DeathReason.REJECTED))
    return RetryIn(failure, min(delay, MAX_DELAY))


def _reason(error: BaseException) -> DeathReason:
    match error:
        case PayloadInvalid():
            return DeathReason.PAYLOAD_INVALID
        case FailForGood():
            return DeathReason.REJECTED
        case _:
            return DeathReason.EXHAUSTED


def _policy_delay(error: BaseException, task: WorkerTask, job: Job[Any, Any]) -> float | None:
    if job.should_retry is not None and not job.should_retry(error):
        return None
    delay: object = job.retry(task.attempts, error)
    if delay is None:
        return None
    if isinstance(delay, bool) or not isinstance(delay, int | float) or math.isnan(delay) or delay < 0:
        raise ValueError(f"it answered {delay!r}, which is no number of seconds")
    return float(delay)


def _with_note(failure: Failure, note: str) -> Failure:
    return Failure(failure.type, storable(f"{failure.message}\n{note}", MAX_MESSAGE), failure.traceback)
