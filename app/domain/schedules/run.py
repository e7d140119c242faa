"""ScheduleRun: what became of one tick."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from app.domain.identifiers import TaskId
from app.domain.tasks.existing import ExistingTask
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask


class RunState(StrEnum):
    FIRED = "fired"
    """Its task was enqueued."""
    WAITING = "waiting"
    """Its task will be enqueued when the run before it has ended."""
    SKIPPED = "skipped"
    """The rule for overlaps left it out."""
    MISSED = "missed"
    """Nobody was there in time, and the rule for misfires does not make up for it; stands for those after it, too."""
    REFUSED = "refused"
    """Its task could not be enqueued."""


class RunKind(StrEnum):
    TICK = "tick"
    MANUAL = "manual"
    """Asked for by an operator."""
    BACKFILL = "backfill"


NEVER_RUN = (RunState.SKIPPED, RunState.MISSED, RunState.REFUSED)
"""What a backfill makes up for."""


@dataclass(slots=True, kw_only=True)
class ScheduleRun:
    """``tick`` is nominal; ``fired_at`` when it was dealt with. ``task_status`` is None of a task that is gone."""

    schedule: str
    tick: datetime
    state: RunState
    fired_at: datetime
    kind: RunKind = RunKind.TICK
    task_id: TaskId | None = None
    reason: str | None = None
    task_status: TaskStatus | None = None

    def got(self, task: WorkerTask) -> None:
        """*task* was enqueued for it, or found there."""
        self.task_id = task.id
        if isinstance(task, ExistingTask):
            self.reason = "its job is unique: this task was there, and stands for it"

    @property
    def lateness(self) -> float | None:
        """Seconds from the tick to its firing; None of what was not fired, or was not meant to be at its tick."""
        if self.state is not RunState.FIRED or self.kind is not RunKind.TICK:
            return None
        return (self.fired_at - self.tick).total_seconds()
