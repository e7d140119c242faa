"""WorkerTask: one request to run a job, with the rules by which it changes."""

import copy
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Self

from app.domain.identifiers import TaskId
from app.domain.tasks.deaths import Death, DeathReason
from app.domain.tasks.errors import IllegalTransition
from app.domain.tasks.failures import AttemptError, Failure
from app.domain.tasks.outcomes import TRANSITION_OF, Completed, Failed, GivenUp, Outcome, Released, RetryIn, Snoozed
from app.domain.tasks.status import TaskStatus, Transition

MAX_ERRORS = 100
"""How many failed attempts a task remembers; the oldest are forgotten first."""


@dataclass(slots=True, kw_only=True, eq=False)
class WorkerTask:
    """One request to run a job. Only its own verbs change it; all moments are the database's.

    ``attempts`` is raised by a claim and given back by a release or a snooze; ``lease_seq`` is raised by every claim
    and never falls, so it tells one lease from another. ``started_at`` is the start of the latest attempt,
    ``worker_id`` whoever runs or last finished it. ``timeout`` is in seconds, ``progress`` a percentage. ``version`` is
    that of the payload's model, ``checkpoint`` what an attempt saved for the next one. ``error`` is the last failure in
    one line, or the reason of a cancellation; ``errors`` holds the latest hundred failed attempts, oldest first.

    A task that was not started by ``expires_at`` is not started any more. ``origin`` says what it comes of, where that
    is no caller: the tick of a schedule. ``cancel_requested_at`` is when somebody cancelled it while it ran; it is
    ``running`` until its attempt has ended, and cancelled then, whatever came of that. ``reason`` says why it failed or
    expired; where it ``is_dead_letter``, it is kept for somebody to look at, filed under ``letter_queue`` (None: its
    own), and ``requeues`` counts how often it came back from there.
    """

    id: TaskId
    type: str
    payload: Any
    queue: str = "default"
    priority: int = 0
    status: TaskStatus = TaskStatus.PENDING
    attempts: int = 0
    max_attempts: int = 3
    timeout: float | None = None
    scheduled_at: datetime
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    result: Any = None
    error: str | None = None
    errors: list[AttemptError] = field(default_factory=list)
    worker_id: str | None = None
    lease_seq: int = 0
    correlation_id: str | None = None
    tags: tuple[str, ...] = ()
    version: int = 1
    progress: float | None = None
    progress_message: str | None = None
    checkpoint: Any = None
    expires_at: datetime | None = None
    origin: Any = None
    requeues: int = 0
    cancel_requested_at: datetime | None = None
    reason: DeathReason | None = None
    is_dead_letter: bool = False
    letter_queue: str | None = None

    @property
    def is_last_attempt(self) -> bool:
        """Whether the budget of ``max_attempts`` is spent once the running attempt fails."""
        return self.attempts >= self.max_attempts

    @property
    def duration(self) -> float | None:
        """Seconds from the start of the latest attempt to the end, once there is one."""
        if self.started_at is None or self.finished_at is None:
            return None
        return (self.finished_at - self.started_at).total_seconds()

    def claim(self, worker_id: str, *, now: datetime) -> None:
        self._become(Transition.CLAIM)
        self.attempts += 1
        self.lease_seq += 1
        self.worker_id = worker_id
        self.started_at = now

    def settle(self, outcome: Outcome, *, now: datetime) -> None:
        """Apply the *outcome* of the running attempt; of one that was to be cancelled, only what failed is kept."""
        if self.cancel_requested_at is not None:
            self._end_cancelled(outcome, now)
            return
        self._become(TRANSITION_OF[type(outcome)])
        match outcome:
            case Completed(result):
                self.result = result.decoded()
                self.checkpoint = None
                self.error = None
                self.finished_at = now
            case Failed(failure, death):
                self._remember(failure, now)
                self._die(death)
                self.finished_at = now
            case RetryIn(failure, delay):
                self._remember(failure, now)
                self._put_back(now, delay)
            case GivenUp(reason):
                self.error = reason
                self.finished_at = now
            case Snoozed(delay):
                self.attempts -= 1
                self._put_back(now, delay)
            case Released():
                self.attempts -= 1
                self.worker_id = None

    def take_back(self, outcome: Outcome, *, now: datetime) -> None:
        """Apply *outcome* in the place of a worker that died, and raise the fence as a claim would.

        Without that, a worker which was only cut off could take the end of its run under the old ``lease_seq`` for its
        own outcome, stored after all.
        """
        self.settle(outcome, now=now)
        self.lease_seq += 1

    def report(self, percent: float | None, message: str | None, checkpoint: Any = None) -> None:
        """Note how far the running attempt has come, and what it saved; without a value what was noted stays."""
        if percent is not None:
            self.progress = percent
            self.progress_message = message
        if checkpoint is not None:
            self.checkpoint = checkpoint

    def cancel(self, *, now: datetime, reason: str | None = None) -> None:
        """Take the task off its queue; one that runs is to be cancelled once its attempt has ended.

        Of a task that is cancelled, or is to be: nothing changes.
        """
        if self.status is TaskStatus.CANCELLED or self.cancel_requested_at is not None:
            return
        self._check(Transition.CANCEL)
        self.error = reason or self.error
        if self.status is TaskStatus.RUNNING:
            self.cancel_requested_at = now
            return
        self._become(Transition.CANCEL)
        self.finished_at = now

    def has_expired(self, *, now: datetime) -> bool:
        """Whether it was to be started by now, and never was; what has begun once has begun in time."""
        return self.expires_at is not None and self.expires_at <= now and self.started_at is None

    def expire(self, death: Death, *, now: datetime) -> None:
        """End the task, which was not started in time."""
        self.cancel(now=now, reason=f"expired: not started by {self.expires_at}")
        self._die(death)

    def retry(self, *, reset_attempts: bool, now: datetime) -> None:
        """Make the task due now; its errors are kept. Without *reset_attempts* a spent budget grows by one attempt."""
        self._become(Transition.RETRY)
        if reset_attempts:
            self.attempts = 0
        else:
            self.max_attempts = max(self.max_attempts, self.attempts + 1)
        # Whoever wants it done now wants it done late.
        self.expires_at = self.finished_at = self.reason = self.letter_queue = None
        self.is_dead_letter = False
        self._put_back(now, 0)

    def requeue(self, *, now: datetime) -> None:
        """Come back from the dead letters, with the whole budget, due now; its errors are kept."""
        self.retry(reset_attempts=True, now=now)
        self.requeues += 1

    def snapshot(self) -> Self:
        """A copy that later changes of this task do not reach, for events."""
        copied = copy.copy(self)
        copied.errors = list(self.errors)
        return copied

    def _remember(self, failure: Failure, now: datetime) -> None:
        self.error = str(failure)
        self.errors.append(failure.recorded(attempt=self.attempts, at=now))
        del self.errors[:-MAX_ERRORS]

    def _end_cancelled(self, outcome: Outcome, now: datetime) -> None:
        self._become(Transition.GIVE_UP)
        if isinstance(outcome, Failed | RetryIn):
            asked = self.error
            self._remember(outcome.failure, now)
            self.error = asked
        self.cancel_requested_at = None
        self.finished_at = now

    def _die(self, death: Death) -> None:
        self.reason = death.reason
        self.is_dead_letter = death.is_letter
        self.letter_queue = death.queue

    def _put_back(self, now: datetime, delay: float) -> None:
        self.scheduled_at = now + timedelta(seconds=delay)
        self.worker_id = None

    def _become(self, transition: Transition) -> None:
        self._check(transition)
        self.status = transition.target

    def _check(self, transition: Transition) -> None:
        if self.status not in transition.sources:
            raise IllegalTransition(self.id, transition, self.status)
