"""Upcasts: the ways from the payloads of older versions to that of today."""

import copy
import inspect
from collections.abc import Callable
from typing import Any

from app.domain.errors import QueueError
from app.domain.jobs.answers import HandlerAnswer
from app.domain.jobs.errors import InvalidJob

Upcast = Callable[[Any], Any]


class UpcastFailed(QueueError):
    """A payload cannot be brought to today's version: it failed on its way from *version* to the next."""

    def __init__(self, type: str, version: int, rule: str) -> None:
        self.type = type
        self.version = version
        super().__init__(f"job {type!r}: {rule}")


class Upcasts:
    """Functions of JSON, each from one version to the next; together a chain that ends at *version*."""

    def __init__(self, type: str, version: int) -> None:
        self._type = type
        self._version = version
        self._steps: dict[int, Upcast] = {}

    def add(self, version: int) -> Callable[[Upcast], Upcast]:
        if type(version) is not int or not 1 <= version < self._version:
            raise InvalidJob(self._type, f"cannot upcast from version {version!r}: its own is {self._version}")

        def register(step: Upcast) -> Upcast:
            if version in self._steps:
                raise InvalidJob(self._type, f"has an upcast from version {version} already")
            if not callable(step):
                raise InvalidJob(self._type, f"the upcast from version {version} must be a function of the payload")
            if inspect.iscoroutinefunction(step):
                raise InvalidJob(
                    self._type, f"the upcast from version {version} must be a plain function, not async def"
                )
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
        """*payload*, which is of *version*, as one of today; a copy, that upcasts may change. Raises UpcastFailed."""
        if version > self._version:
            rule = f"its payload is of version {version}, and only {self._version} is known here"
            raise UpcastFailed(self._type, version, rule)
        if version < self._version:
            payload = copy.deepcopy(payload)
        for step in range(version, self._version):
            if step not in self._steps:
                raise UpcastFailed(self._type, step, f"has no upcast from version {step} of its payload")
            try:
                payload = self._steps[step](payload)
            except HandlerAnswer:
                raise
            except Exception as error:
                rule = f"the upcast from version {step} of its payload raised {type(error).__name__}: {error}"
                raise UpcastFailed(self._type, step, rule) from error
        return payload
