"""Receivers for worker processes, as WORKER_LISTENERS names them: they write down every event that they are told."""

import os

from app import TaskEvent
from app.domain.tasks.events import EVENTS
from app.infra.events.signals import TaskSignals
from tests.faults.ledger import Ledger

_ledger = Ledger(os.environ["FAULTS_LEDGER"])


def connect(signals: TaskSignals) -> None:
    """One that writes, and two that raise: all tests with listening workers run beside those."""
    for kind in EVENTS:
        for receiver in (write_down, raises, raises_later):
            getattr(signals, kind.signal).connect(receiver)


def write_down(sender: str, event: TaskEvent) -> None:
    _ledger.write(event.task.id, f"told {event.signal}", os.getpid())


def raises(sender: str, event: TaskEvent) -> None:
    raise RuntimeError("a receiver's own trouble")


async def raises_later(sender: str, event: TaskEvent) -> None:
    raise RuntimeError("an asynchronous receiver's own trouble")
