"""Signature: what a handler asks for, read off its parameters."""

import inspect
import types
import typing
from collections.abc import Callable, Mapping
from typing import Any

from app.domain.jobs.errors import InvalidJob, named

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
GIVEN = 2
"""Payload and context are given by position."""


def is_coroutine_function(function: Any) -> bool:
    """Whether *function* is ``async def``, as a function or as the ``__call__`` of an object."""
    call = getattr(function, "__call__", None)  # noqa: B004
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(call)


def services_of(handler: Callable[..., Any], type: str) -> Mapping[str, Any]:
    """The parameters of *handler* after payload and context that have no default, with their annotations.

    Raises InvalidJob when payload and context cannot be given to it.
    """
    try:
        parameters = list(inspect.signature(handler).parameters.values())
    except (TypeError, ValueError):  # a builtin, say, of which nothing is known
        return {}
    positional = [each for each in parameters if each.kind in _POSITIONAL]
    takes_any = any(each.kind is inspect.Parameter.VAR_POSITIONAL for each in parameters)
    if len(positional) < GIVEN and not takes_any:
        raise InvalidJob(type, f"the handler {named(handler)} must take payload and context")
    wanted = [
        each
        for each in (*positional[GIVEN:], *(each for each in parameters if each.kind is each.KEYWORD_ONLY))
        if each.default is inspect.Parameter.empty
    ]
    if any(each.kind is inspect.Parameter.POSITIONAL_ONLY for each in wanted):
        raise InvalidJob(type, f"the handler {named(handler)} takes a service by position; services are given by name")
    return {each.name: _annotation(handler, each) for each in wanted}


def result_of(handler: Callable[..., Any]) -> Any:
    """The model of what *handler* says it returns; None when that is plain JSON, nothing, or not said."""
    function = getattr(handler, "__func__", handler)
    if not inspect.isroutine(function):
        function = getattr(type(handler), "__call__", None)  # noqa: B004
    try:
        said = typing.get_type_hints(function).get("return")
    except Exception:  # an annotation may name what is not there, or be no type at all
        return None
    return None if _is_json(said) else said


_JSON = (
    None,
    types.NoneType,
    Any,
    object,
    str,
    int,
    float,
    bool,
    dict,
    list,
    tuple,
    typing.Never,
    typing.NoReturn,
    ...,
)


def _is_json(said: Any) -> bool:
    """Whether values of the type *said* are JSON as they are, or whatever they happen to be."""
    if isinstance(said, typing.TypeVar) or typing.is_typeddict(said):
        return True
    origin = typing.get_origin(said)
    if origin is typing.Literal:
        return True
    if origin in (typing.Union, types.UnionType, *_JSON[6:]):
        return all(map(_is_json, typing.get_args(said)))
    return any(said is plain for plain in _JSON)


def _annotation(handler: Any, parameter: inspect.Parameter) -> Any:
    """The annotation itself where it can be read; its text where what it names is not there yet."""
    annotation = parameter.annotation
    if not isinstance(annotation, str):
        return None if annotation is inspect.Parameter.empty else annotation
    function = inspect.unwrap(getattr(handler, "__func__", handler))
    return getattr(function, "__globals__", {}).get(annotation, annotation)
