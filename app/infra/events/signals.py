"""TaskSignals: lifecycle events as blinker signals; the sender is the task's type."""

import asyncio
import logging
from collections.abc import Awaitable, Sequence
from typing import Any

from blinker import Signal

from app.domain.tasks.events import EVENTS, TaskEvent
from app.infra.events.relay import Relay

_log = logging.getLogger("app.events")


class TaskSignals:
    """One signal per kind of event, and the publisher that feeds them; every container has its own.

    A receiver is called as ``receiver(sender, event=event)`` with the task's type as sender, after the commit, in this
    process only: what must not be lost belongs in a task. One that raises is logged and the others still run. An
    ``async def`` receiver runs on the publisher's event loop, or, when there is none, on a loop kept for that purpose.

    blinker holds receivers weakly: a lambda or a nested function is forgotten unless connected with ``weak=False``.
    """

    def __init__(self) -> None:
        self.created = Signal("A task was enqueued.")
        self.started = Signal("A worker claimed a task.")
        self.progressed = Signal("A running task reported how far it has come.")
        self.completed = Signal("A task completed.")
        self.failed = Signal("An attempt failed.")
        self.retried = Signal("A task was put back for another try.")
        self.cancelled = Signal("A task was cancelled.")
        self.recovered = Signal("A task was taken back from a worker that died.")
        self.dead_lettered = Signal("A task ended for good and waits, as a dead letter, for somebody to look at it.")
        self.lease_lost = Signal("An outcome of this worker was refused.")
        self._of: dict[type[TaskEvent], Signal] = {kind: getattr(self, kind.signal) for kind in EVENTS}
        self._relay = Relay()

    def wants(self, *kinds: type[TaskEvent]) -> bool:
        # blinker promises that ``receivers`` is falsy when nobody is connected.
        return any(self._of[kind].receivers for kind in kinds)

    def publish(self, events: Sequence[TaskEvent]) -> None:
        """Implements usecases.transaction.Publisher."""
        for event in events:
            sender = event.task.type
            # Not Signal.send: there, one receiver that raises stops the rest and reaches the sender.
            for receiver in list(self._of[type(event)].receivers_for(sender)):
                self._call(receiver, sender, event)

    def close(self, timeout: float = 5) -> None:
        """Wait up to *timeout* seconds for asynchronous receivers handed over by threads without a loop."""
        self._relay.close(timeout)

    async def aclose(self, timeout: float = 5) -> None:
        """Wait up to *timeout* seconds for asynchronous receivers, those on this loop included."""
        await self._relay.settle(timeout)
        self._relay.close(timeout)

    def _call(self, receiver: Any, sender: str, event: TaskEvent) -> None:
        try:
            answer = receiver(sender, event=event)
            if isinstance(answer, Awaitable):
                self._relay.hand_over(answer, f"{receiver!r} of {event.signal!r}")
        except BaseException as error:  # SystemExit or CancelledError of a receiver would end the worker's own loops
            if isinstance(error, KeyboardInterrupt | SystemExit) and not _is_on_a_loop():
                raise  # a plain script may be ended so; on a loop it would end whatever else lives there
            _log.exception("A receiver of %r failed for task %s: %r", event.signal, event.task.id, receiver)


def _is_on_a_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
