"""Injection: the services that handlers ask for, found in the application's own container, or in a dict."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from dependency_injector import providers

from app.domain.errors import InvalidInput


class ContainerServices:
    """Implements domain.jobs.services.Services.

    *given* is a container, or a mapping from names or types to providers, functions without parameters, or the
    services themselves. Raises InvalidInput for anything else.
    """

    def __init__(self, given: Any) -> None:
        if given is None:
            self._given: Mapping[Any, Any] = {}
        elif isinstance(given, Mapping):
            self._given = given
        elif isinstance(getattr(given, "providers", None), Mapping):
            self._given = given.providers
        else:
            raise InvalidInput("services", given, "must be a container, or a dict of providers by name or type")

    def find(self, name: str, annotation: Any) -> Callable[[], Any]:
        if name in self._given:
            return _asked(self._given[name])
        if annotation in self._given:
            return _asked(self._given[annotation])
        if not inspect.isclass(annotation):
            raise LookupError(f"there is none of that name, and its annotation says nothing; there are {self._names()}")
        fitting = {key: provider for key, provider in self._given.items() if _gives(provider, annotation)}
        if len(fitting) == 1:
            return _asked(next(iter(fitting.values())))
        if fitting:
            raise LookupError(
                f"several are a {annotation.__qualname__}: {_listed(fitting)}; name the parameter after one"
            )
        raise LookupError(
            f"there is none of that name, and none is a {annotation.__qualname__}; there are {self._names()}"
        )

    def _names(self) -> str:
        return _listed(self._given) or "no services: give TaskQueueContainer(services=…) some"


def _asked(provider: Any) -> Callable[[], Any]:
    if isinstance(provider, providers.Provider) or inspect.isfunction(provider):
        return provider
    return lambda: provider


def _gives(provider: Any, wanted: type) -> bool:
    if isinstance(provider, providers.Provider):
        made = getattr(provider, "provides", None)
        if isinstance(provider, providers.Object):
            return isinstance(made, wanted)
        return inspect.isclass(made) and issubclass(made, wanted)
    return isinstance(provider, wanted)


def _listed(names: Iterable[Any]) -> str:
    return ", ".join(
        sorted(name if isinstance(name, str) else getattr(name, "__qualname__", repr(name)) for name in names)
    )
