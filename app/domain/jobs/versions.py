"""Upcasts: the ways from the payloads of older versions to that of today."""

from collections.abc import Callable
from typing import Any

from app.domain.jobs.errors import InvalidJob

Upcast = Callable[[Any], Any]


class Upcasts:
    """Functions of JSON, each from one version to the next; together a chain that ends at *version*."""

    def __init__(self, type: str, version: int) -> None:
        self._type = type
        self._version = version
        self._steps: dict[int, Upcast] = {}

    def add(self, version: int) -> Callable[[Upcast], Upcast]:
        def register(step: Upcast) -> Upcast:
            if not 1 <= version < self._version:
                raise InvalidJob(self._type, f"cannot upcast from version {version!r}: its own is {self._version}")
            if version in self._steps:
                raise InvalidJob(self._type, f"has an upcast from version {version} already")
            if not callable(step):
                raise InvalidJob(self._type, f"the upcast from version {version} must be a function of the payload")
            self._steps[version] = step
            return step

        return register

    def check(self) -> None:
        """Raises InvalidJob when the chain has a hole."""
        if self._steps:
            missing = [version for version in range(min(self._steps), self._version) if version not in self._steps]
            if missing:
                hole = ", ".join(map(str, missing))
                raise InvalidJob(self._type, f"its upcasts have a hole: there is none from version {hole}")

    def upcast(self, payload: Any, version: int) -> Any:
        """*payload*, which is of *version*, as one of today. Raises LookupError where no way leads here."""
        for step in range(version, self._version):
            if step not in self._steps:
                raise LookupError(f"job {self._type!r} has no upcast from version {step} of its payload")
            payload = self._steps[step](payload)
        return payload
