"""Signals: who is told what, what a receiver may do wrong, and that nothing is built for nobody."""

import gc
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import Any

import pytest

from app import JobCatalog, TaskCancelled, TaskCreated, TaskQueueContainer
from app.domain.tasks.events import EVENTS, TaskEvent
from app.infra.events.signals import TaskSignals
from app.infra.settings import Settings
from tests.examples import EMAIL, REPORT, a_task


@pytest.fixture
def tasks() -> TaskQueueContainer:
    """A queue in this process's memory."""
    return TaskQueueContainer(settings=Settings(in_memory=True), jobs=JobCatalog())


class Ear:
    """A receiver that remembers."""

    def __init__(self) -> None:
        self.heard: list[tuple[str, str]] = []

    def __call__(self, sender: str, event: TaskEvent) -> None:
        self.heard.append((sender, event.signal))


def test_there_is_a_signal_for_every_event() -> None:
    """
    Under the name that the event itself says, and documented names are among them.
    """
    signals = TaskSignals()
    ears = {kind: Ear() for kind in EVENTS}
    for kind, ear in ears.items():
        getattr(signals, kind.signal).connect(ear)

    documented = {"created", "started", "progressed", "completed", "failed", "retried", "cancelled", "recovered"}
    assert documented <= {kind.signal for kind in EVENTS}
    assert [True] * len(EVENTS) == [signals.wants(kind) for kind in EVENTS]


def test_a_receiver_is_told_of_the_type_and_the_event(tasks: TaskQueueContainer) -> None:
    """
    The sender is the task's type; the event carries the task.
    """
    told: list[Any] = []

    @tasks.signals().created.connect
    def on_created(sender: str, event: TaskCreated) -> None:
        told.append((sender, event.task.id, type(event)))

    task = tasks.enqueue_task().execute(type=EMAIL)

    assert [(EMAIL, task.id, TaskCreated)] == told


def test_a_receiver_may_want_one_type_only(tasks: TaskQueueContainer) -> None:
    """
    ``connect_via`` filters by sender, and an equal text is the same sender whichever object it is.
    """
    ear = Ear()
    tasks.signals().created.connect_via("".join(["email", ":send"]))(ear)

    tasks.enqueue_task().execute(type=REPORT)
    tasks.enqueue_task().execute(type=EMAIL)

    assert [(EMAIL, "created")] == ear.heard


@dataclass
class Broken:
    """A receiver that raises."""

    error: BaseException

    def __call__(self, sender: str, event: TaskEvent) -> None:
        raise self.error


def test_a_receiver_that_raises_is_logged_and_the_others_are_told(
    tasks: TaskQueueContainer, caplog: pytest.LogCaptureFixture
) -> None:
    """
    Neither they nor the caller suffer from it.
    """
    first, broken, last = Ear(), Broken(ZeroDivisionError("on purpose")), Ear()
    for receiver in (first, broken, last):
        tasks.signals().created.connect(receiver)

    task = tasks.enqueue_task().execute(type=EMAIL)

    assert [(EMAIL, "created")] == first.heard == last.heard
    [line] = caplog.records
    assert ("app.events", logging.ERROR) == (line.name, line.levelno)
    assert [True] * 3 == [part in caplog.text for part in ("on purpose", str(task.id), "'created'")]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()])
def test_a_receiver_may_end_the_process(tasks: TaskQueueContainer, error: BaseException) -> None:
    """
    Ctrl-C during a receiver is a Ctrl-C.
    """
    receiver = Broken(error)
    tasks.signals().created.connect(receiver)

    with pytest.raises(type(error)):
        tasks.enqueue_task().execute(type=EMAIL)

    assert 1 == tasks.get_task_stats().execute().total


def test_a_receiver_with_the_wrong_parameters_is_logged(
    tasks: TaskQueueContainer, caplog: pytest.LogCaptureFixture
) -> None:
    """
    It is told of the event by name, so it has to call it that.
    """

    def on_created(sender: str, task: object) -> None:
        raise AssertionError("it cannot even be called")

    tasks.signals().created.connect(on_created)

    tasks.enqueue_task().execute(type=EMAIL)

    assert "unexpected keyword argument 'event'" in caplog.text


def test_receivers_are_held_weakly(tasks: TaskQueueContainer) -> None:
    """
    An object that is gone is told nothing, unless it was connected with ``weak=False``.
    """
    heard: list[str] = []
    tasks.signals().created.connect(lambda sender, event: heard.append("weak"))
    tasks.signals().created.connect(lambda sender, event: heard.append("strong"), weak=False)
    gc.collect()

    tasks.enqueue_task().execute(type=EMAIL)

    assert ["strong"] == heard


def test_a_receiver_may_connect_and_disconnect_while_it_is_told(tasks: TaskQueueContainer) -> None:
    """
    Those who were there at the moment of the event are told of it.
    """
    late, once = Ear(), Ear()
    created = tasks.signals().created

    def change(sender: str, event: TaskEvent) -> None:
        created.disconnect(change)
        created.connect(late)
        once(sender, event)

    created.connect(change)
    tasks.enqueue_task().execute(type=EMAIL)
    tasks.enqueue_task().execute(type=REPORT)

    assert ([(EMAIL, "created")], [(REPORT, "created")]) == (once.heard, late.heard)


def test_a_receiver_may_use_the_queue(tasks: TaskQueueContainer) -> None:
    """
    What it enqueues is told in its turn.
    """
    ear = Ear()

    @tasks.signals().created.connect_via(EMAIL)
    def follow_up(sender: str, event: TaskEvent) -> None:
        tasks.enqueue_task().execute(type=REPORT)

    tasks.signals().created.connect(ear)
    tasks.enqueue_task().execute(type=EMAIL)

    assert {(EMAIL, "created"), (REPORT, "created")} == {*ear.heard}


def test_each_container_has_signals_of_its_own(tasks: TaskQueueContainer) -> None:
    """
    Two queues in one process do not hear each other.
    """
    other = TaskQueueContainer(settings=Settings(in_memory=True), jobs=JobCatalog())
    ear, other_ear = Ear(), Ear()
    tasks.signals().created.connect(ear)
    other.signals().created.connect(other_ear)

    tasks.enqueue_task().execute(type=EMAIL)
    other.enqueue_task().execute(type=REPORT)

    assert ([(EMAIL, "created")], [(REPORT, "created")]) == (ear.heard, other_ear.heard)
    assert tasks.signals() is tasks.signals()


@contextmanager
def events_built() -> Iterator[list[str]]:
    """Which events are made meanwhile: every call of an ``__init__`` is looked at."""
    built: list[str] = []

    def look(frame: FrameType, what: str, argument: object) -> None:
        if what == "call" and frame.f_code.co_name == "__init__":
            made = frame.f_locals.get("self")
            if isinstance(made, TaskEvent):
                built.append(made.signal)

    sys.setprofile(look)
    try:
        yield built
    finally:
        sys.setprofile(None)


def test_no_event_is_built_when_nobody_listens(tasks: TaskQueueContainer) -> None:
    """
    Neither at an enqueue nor at a verb of an operator, until somebody connects, and again when they are gone.
    """
    ear = Ear()

    def enqueue_and_cancel() -> list[str]:
        with events_built() as built:
            tasks.cancel_task().execute(tasks.enqueue_task().execute(type=EMAIL).id)
        return built

    before = enqueue_and_cancel()
    tasks.signals().cancelled.connect(ear)
    while_listening = enqueue_and_cancel()
    tasks.signals().cancelled.disconnect(ear)
    after = enqueue_and_cancel()

    assert ([], ["cancelled"], []) == (before, while_listening, after)


def test_publishing_tells_in_order() -> None:
    """
    One event after the other, each to all of its receivers.
    """
    signals, ear = TaskSignals(), Ear()
    for signal in (signals.created, signals.cancelled):
        signal.connect(ear)

    signals.publish([TaskCreated(task=a_task()), TaskCancelled(task=a_task()), TaskCreated(task=a_task())])

    assert ["created", "cancelled", "created"] == [signal for _, signal in ear.heard]
