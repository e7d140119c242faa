"""Receivers: those who hear of what a worker does."""

from typing import Protocol


class EventReceivers(Protocol):
    """Those who may still be hearing of what this worker did when it ends."""

    async def aclose(self, timeout: float = 5) -> None: ...
