"""Who listens to the events of a worker that is started from the command line: what WORKER_LISTENERS names."""

from app.container.places import WrongPlace, found_at, split
from app.infra.events.signals import TaskSignals


def connect_listeners(places: str | None, signals: TaskSignals) -> None:
    """Call every function found at *places* with *signals*, to which it connects its receivers.

    Raises WrongPlace. What a function raises ends the start: a worker that nobody listens to as meant must not run.
    """
    for place in split(places or ""):
        listen = found_at("WORKER_LISTENERS", place)
        if not callable(listen):
            raise WrongPlace("WORKER_LISTENERS", place, "is no function of the signals")
        listen(signals)
