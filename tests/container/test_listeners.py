"""WORKER_LISTENERS: functions that are called with the signals before a worker starts."""

from collections.abc import Iterator

import pytest

from app import JobCatalog, TaskQueueContainer
from app.container.listeners import connect_listeners
from app.container.places import WrongPlace
from app.infra.events.signals import TaskSignals
from app.infra.settings import Settings
from tests.container import listening

HERE = "tests.container.listening"


@pytest.fixture
def heard() -> Iterator[list[str]]:
    """What the listeners were told."""
    listening.created.clear()
    yield listening.created
    listening.created.clear()


def _queue(listeners: str | None) -> TaskQueueContainer:
    return TaskQueueContainer(settings=Settings(in_memory=True, worker_listeners=listeners), jobs=JobCatalog())


def test_every_function_named_is_connected_once(heard: list[str]) -> None:
    """Several places with commas between; what they connect is told as if the application had connected it."""
    tasks = _queue(f"{HERE}:listen , {HERE}:listen_to_reports,")

    tasks.listeners()
    tasks.enqueue_task().execute(type="a:b")
    tasks.enqueue_task().execute(type="report:x")
    tasks.close()

    assert ["a:b", "report report:x", "report:x"] == sorted(heard)


def test_nobody_listens_before_the_listeners_are_asked_for(heard: list[str]) -> None:
    """An application that embeds the queue connects what it wants itself."""
    tasks = _queue(f"{HERE}:listen")

    tasks.enqueue_task().execute(type="a:b")
    tasks.close()

    assert [] == heard


@pytest.mark.parametrize("unset", [None, "", " , "])
def test_no_listeners_are_no_trouble(unset: str | None) -> None:
    """The setting may be left out or empty."""
    connect_listeners(unset, TaskSignals())


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("nowhere.at_all:listen", "cannot be imported"),
        (f"{HERE}:nothing", "is not there"),
        (HERE, "names a module and nothing in it"),
        (":listen", "names a module and nothing in it"),
        (f"{HERE}:created", "is no function of the signals"),
    ],
)
def test_a_wrong_place_is_refused_by_its_name(place: str, reason: str) -> None:
    """The sentence has the variable, what was given, what is wrong with it, and what it must be."""
    with pytest.raises(WrongPlace, match=f"^WORKER_LISTENERS: '{place}' {reason}.*package.module:name"):
        connect_listeners(place, TaskSignals())


def test_what_a_listener_raises_ends_the_start() -> None:
    """A worker that nobody listens to as meant must not run."""
    with pytest.raises(RuntimeError, match="no place to write to"):
        _queue(f"{HERE}:refuse").listeners()
