"""Python's garbage collector, told to wait while many objects are made that are all kept."""

import gc
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


def left_alone(make: Callable[P, R]) -> Callable[P, R]:
    """Run *make* without collections: for plain functions that make objects in bulk, wait for nothing, and are brief.

    Ten thousand new objects set off a search through every object of the process, which finds nothing and takes longer
    than making them. Where an application has switched the collector off, it stays off.
    """

    @wraps(make)
    def making(*args: P.args, **kwargs: P.kwargs) -> R:
        if not gc.isenabled():
            return make(*args, **kwargs)
        gc.disable()
        try:
            return make(*args, **kwargs)
        finally:
            gc.enable()

    return making
