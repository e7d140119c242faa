"""Generics: what stands in the brackets of a class form, however far up."""

from typing import Any, TypeVar, get_args, get_origin


def models_of(form: type, root: type) -> tuple[Any, ...]:
    """What *form* has put in the brackets of *root*, through all that lies between; None where it is Any, or open."""
    found = _arguments(form, root, {})
    return tuple(None if model is Any or isinstance(model, TypeVar) else model for model in found or ())


def _arguments(form: type, root: type, known: dict[Any, Any]) -> tuple[Any, ...] | None:
    written = form.__dict__.get("__orig_bases__", form.__bases__)
    for base in written:
        origin = get_origin(base) or base
        if not (isinstance(origin, type) and issubclass(origin, root)):
            continue
        given = tuple(known.get(argument, argument) for argument in get_args(base))
        if origin is root:
            return given
        parameters = getattr(origin, "__parameters__", ())
        return _arguments(origin, root, dict(zip(parameters, given, strict=False)))
    return None
