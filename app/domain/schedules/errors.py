"""Errors about schedules that a caller may want to tell apart."""

from typing import Any

from app.domain.errors import InvalidInput, QueueError


class InvalidSchedule(InvalidInput):
    """A schedule is defined in a way that cannot work; ``schedule`` is its key, ``field`` what is wrong of it.

    Where the key itself is what is wrong, ``schedule`` is the type of its tasks.
    """

    def __init__(self, schedule: str, field: str, value: Any, rule: str) -> None:
        self.schedule = schedule
        super().__init__(field, value, rule)
        self.args = (f"schedule {schedule!r}: {self}",)


class InvalidOverride(InvalidSchedule):
    """A setting replaces a part of a schedule by what cannot work."""

    def __init__(self, error: InvalidSchedule) -> None:
        super().__init__(error.schedule, error.field, error.value, error.rule)
        self.args = (f"WORKER_SCHEDULES: {error}",)


class DuplicateSchedule(QueueError):
    """There is a schedule of this key already."""

    def __init__(self, schedule: str) -> None:
        self.schedule = schedule
        super().__init__(f"There is a schedule {schedule!r} already: give this one another key, or delete that one")


class ScheduleNotFound(QueueError, LookupError):
    """No schedule has this key: it was never made, was deleted, or belongs to another application."""

    def __init__(self, schedule: str, application: str) -> None:
        self.schedule = schedule
        self.application = application
        super().__init__(f"There is no schedule {schedule!r} of application {application!r}: `schedules list` has all")


class ScheduleInCode(QueueError):
    """What was asked for can only be done in the code that defines the schedule."""

    def __init__(self, schedule: str) -> None:
        self.schedule = schedule
        super().__init__(
            f"Schedule {schedule!r} is defined in code, which would bring it back: pause it, or remove it there"
        )


class ScheduleRetired(QueueError):
    """The code that defined the schedule defines it no longer; only its history is left."""

    def __init__(self, schedule: str) -> None:
        self.schedule = schedule
        super().__init__(f"Schedule {schedule!r} is retired: no code defines it any more, only its history is left")


class SchedulesForbidden(QueueError):
    """The role that is logged in has no rights on the tables of schedules."""

    def __init__(self, detail: str) -> None:
        self.detail = detail
        super().__init__(
            f"The database keeps schedules from this role ({detail}): grant it SELECT, INSERT, UPDATE and DELETE on the"
            " tables schedules and ticks, or log in as another"
        )
