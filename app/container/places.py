"""Places in an application's code that a setting names, as ``package.module:name``."""

import sys
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

from app.domain.errors import QueueError


class WrongPlace(QueueError):
    """A setting does not lead to what it should."""

    def __init__(self, setting: str, place: str, reason: str) -> None:
        self.setting = setting
        self.place = place
        super().__init__(f"{setting}: {place!r} {reason}; it must be package.module:name, comma-separated")


def split(places: str) -> Iterator[str]:
    """The places of a comma-separated list."""
    return filter(None, (place.strip() for place in places.split(",")))


def found_at(setting: str, place: str) -> Any:
    """What is found at *place*; its module is imported. Raises WrongPlace, in the name of *setting*."""
    module_name, _, attribute = place.partition(":")
    if not module_name or not attribute:
        raise WrongPlace(setting, place, "names a module and nothing in it")
    # An installed script does not look in the working directory, `python -m` does; both shall find the same.
    here = str(Path.cwd())
    if here not in sys.path and "" not in sys.path:
        sys.path.insert(0, here)
    try:
        module = import_module(module_name)
    except Exception as error:  # a module may raise anything while it is imported
        raise WrongPlace(setting, place, f"cannot be imported ({type(error).__name__}: {error})") from error
    if not hasattr(module, attribute):
        raise WrongPlace(setting, place, "is not there")
    return getattr(module, attribute)
