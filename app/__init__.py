"""A background task queue on PostgreSQL that a Python application embeds: the public names."""

from app.container import TaskQueueContainer
from app.domain.dead_letters.actions import LetterAction, LetterActionState, LetterBulk
from app.domain.dead_letters.errors import DeadLetterLoop, NobodyServes, NoSuchAction, NotADeadLetter
from app.domain.dead_letters.repository import LetterPlace
from app.domain.dead_letters.summary import LetterGroup, LetterSummary
from app.domain.errors import DatabaseUnavailable, InvalidInput, QueueError, SchemaMismatch
from app.domain.jobs.answers import CancelTask, FailForGood, RetryLater, Snooze
from app.domain.jobs.batch import BatchJob, BatchResult, ItemsFailed
from app.domain.jobs.catalog import JobCatalog
from app.domain.jobs.context import TaskContext
from app.domain.jobs.dead_letter import DeadLetter
from app.domain.jobs.errors import (
    AttemptCancelled,
    AttemptTimedOut,
    CatalogNotBound,
    DuplicateJob,
    InvalidJob,
    JobNotInCatalog,
    LoopIsRunning,
    NewerVersion,
    ResultExpired,
    SoftTimeout,
    TaskDidNotComplete,
    TaskNotFinished,
    UnknownType,
)
from app.domain.jobs.handle import TaskHandle
from app.domain.jobs.isolation import ProcessDied, RaisedInProcess
from app.domain.jobs.job import Job
from app.domain.jobs.keep import Keep
from app.domain.jobs.options import JobCall, Middleware
from app.domain.jobs.outcome import Outcome
from app.domain.jobs.schemas import Unfit
from app.domain.jobs.sessions import CommitRefused, NoDatabase, NoSessionForItems
from app.domain.jobs.unique import Unique
from app.domain.retries import Constant, Exponential, Linear, RetryPolicy
from app.domain.schedules.definition import ScheduleDefinition
from app.domain.schedules.errors import (
    DuplicateSchedule,
    InvalidOverride,
    InvalidSchedule,
    ScheduleInCode,
    ScheduleNotFound,
    ScheduleRetired,
)
from app.domain.schedules.misfire import Misfire, MisfireRule
from app.domain.schedules.overlap import Overlap
from app.domain.schedules.run import ScheduleRun
from app.domain.schedules.schedule import Schedule
from app.domain.schedules.tick import ScheduledTick
from app.domain.schedules.timetable import Dst
from app.domain.tasks.deaths import DeathReason
from app.domain.tasks.errors import IllegalTransition, LeaseLost, TaskExpired, TaskHeld, TaskNotFound
from app.domain.tasks.events import (
    TaskCancelled,
    TaskCompleted,
    TaskCreated,
    TaskDeadLettered,
    TaskEvent,
    TaskFailed,
    TaskLeaseLost,
    TaskProgressed,
    TaskRecovered,
    TaskRetried,
    TaskStarted,
)
from app.domain.tasks.existing import ExistingTask
from app.domain.tasks.failures import AttemptError
from app.domain.tasks.new import NewTask
from app.domain.tasks.statistics import Grouping, GroupStats, TaskStats
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.domain.uniques import TaskNotUnique
from app.usecases.schedules.list import ScheduleReport

__all__ = [
    "AttemptCancelled",
    "AttemptError",
    "AttemptTimedOut",
    "BatchJob",
    "BatchResult",
    "CancelTask",
    "CatalogNotBound",
    "CommitRefused",
    "Constant",
    "DatabaseUnavailable",
    "DeadLetter",
    "DeadLetterLoop",
    "DeathReason",
    "Dst",
    "DuplicateJob",
    "DuplicateSchedule",
    "ExistingTask",
    "Exponential",
    "FailForGood",
    "GroupStats",
    "Grouping",
    "IllegalTransition",
    "InvalidInput",
    "InvalidJob",
    "InvalidOverride",
    "InvalidSchedule",
    "ItemsFailed",
    "Job",
    "JobCall",
    "JobCatalog",
    "JobNotInCatalog",
    "Keep",
    "LeaseLost",
    "LetterAction",
    "LetterActionState",
    "LetterBulk",
    "LetterGroup",
    "LetterPlace",
    "LetterSummary",
    "Linear",
    "LoopIsRunning",
    "Middleware",
    "Misfire",
    "MisfireRule",
    "NewTask",
    "NewerVersion",
    "NoDatabase",
    "NoSessionForItems",
    "NoSuchAction",
    "NobodyServes",
    "NotADeadLetter",
    "Outcome",
    "Overlap",
    "ProcessDied",
    "QueueError",
    "RaisedInProcess",
    "ResultExpired",
    "RetryLater",
    "RetryPolicy",
    "Schedule",
    "ScheduleDefinition",
    "ScheduleInCode",
    "ScheduleNotFound",
    "ScheduleReport",
    "ScheduleRetired",
    "ScheduleRun",
    "ScheduledTick",
    "SchemaMismatch",
    "Snooze",
    "SoftTimeout",
    "TaskCancelled",
    "TaskCompleted",
    "TaskContext",
    "TaskCreated",
    "TaskDeadLettered",
    "TaskDidNotComplete",
    "TaskEvent",
    "TaskExpired",
    "TaskFailed",
    "TaskHandle",
    "TaskHeld",
    "TaskLeaseLost",
    "TaskNotFinished",
    "TaskNotFound",
    "TaskNotUnique",
    "TaskProgressed",
    "TaskQueueContainer",
    "TaskRecovered",
    "TaskRetried",
    "TaskStarted",
    "TaskStats",
    "TaskStatus",
    "Unfit",
    "Unique",
    "UnknownType",
    "WorkerTask",
]
