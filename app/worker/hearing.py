"""Hearing: what threads have to tell a worker of, brought onto its event loop."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import Any

from app.domain.identifiers import TaskId

_log = logging.getLogger("app.worker")


class Hearing:
    """What the listener for notifications and the heartbeat call, each from a thread of its own, from ``attach`` on.

    *wake* is called with the name of a queue of which there is something to see, *cancel* with running tasks that were
    cancelled, *lost* with the id of a worker that was taken for dead.
    """

    def __init__(
        self,
        *,
        wake: Callable[[str], None] = lambda queue: None,
        cancel: Callable[[Sequence[TaskId]], None],
        lost: Callable[[str], None],
    ) -> None:
        self._loop: asyncio.AbstractEventLoop | None = None
        self.wake = self._brought(wake)
        self.cancel = self._brought(cancel)
        self.lost = self._brought(lost)

    def attach(self) -> None:
        """From now on the running loop is where all this is called."""
        self._loop = asyncio.get_running_loop()

    def _brought(self, callback: Callable[..., None]) -> Callable[..., None]:
        def call(*arguments: Any) -> None:
            if self._loop is None:
                return
            try:
                self._loop.call_soon_threadsafe(callback, *arguments)
            except RuntimeError:
                _log.debug("The event loop has ended already")

        return call
