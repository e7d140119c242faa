"""Injection: what handlers ask for beside their payload, wherever the application keeps it."""

from collections.abc import Callable
from typing import Any, Protocol


class Services(Protocol):
    """The application's parts, by name or by type."""

    def find(self, name: str, annotation: Any) -> Callable[[], Any]:
        """Who gives the service called *name*, or else the one that is an *annotation*.

        Asked once for each parameter, before anything runs. Raises LookupError, which says what is missing.
        """
        ...


class NoServices:
    """Implements Services for those who have none."""

    def find(self, name: str, annotation: Any) -> Callable[[], Any]:
        raise LookupError("there are no services here: give TaskQueueContainer(services=…) a container, or a dict")
