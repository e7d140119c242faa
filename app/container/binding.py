"""Binding use cases to the unit of work of a container."""

from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from dependency_injector import providers

from app.usecases.bound import Bound
from app.usecases.transaction import Transaction, UnitOfWork

P = ParamSpec("P")
R = TypeVar("R")


def bound(
    unit_of_work: providers.Provider[UnitOfWork],
    use_case: Callable[..., Callable[Concatenate[Transaction, P], R]],
    *args: Any,
    **kwargs: Any,
) -> providers.Provider[Bound[P, R]]:
    """A provider of *use_case*, made of the other arguments, with the four ways to call it."""
    return providers.Factory(Bound, unit_of_work, providers.Factory(use_case, *args, **kwargs))
