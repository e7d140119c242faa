"""Functions that a setting may name as listeners."""

from app import TaskCreated
from app.infra.events.signals import TaskSignals

created: list[str] = []
"""The types of the tasks that were told of."""


def listen(signals: TaskSignals) -> None:
    signals.created.connect(_note)


def listen_to_reports(signals: TaskSignals) -> None:
    signals.created.connect(_note_report, sender="report:x")


def refuse(signals: TaskSignals) -> None:
    raise RuntimeError("no place to write to")


def _note(sender: str, event: TaskCreated) -> None:
    created.append(sender)


def _note_report(sender: str, event: TaskCreated) -> None:
    created.append(f"report {event.task.type}")
