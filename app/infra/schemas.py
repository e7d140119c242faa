"""PydanticSchemas: models of applications, read and written by pydantic."""

import json
from functools import lru_cache
from typing import Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError
from pydantic_core import PydanticSerializationError

from app.domain.jobs.errors import InvalidJob, named
from app.domain.jobs.schemas import Schema, Unfit

_SHOWN = 5
"""Faults of a payload that a message names; it says how many more there are."""


class PydanticSchema:
    """Implements domain.jobs.schemas.Schema for whatever pydantic takes for a type."""

    def __init__(self, model: Any) -> None:
        self._model = model
        try:
            self._adapter: TypeAdapter[Any] = TypeAdapter(model)
            # What cannot be described cannot be stored either: a field of a class that pydantic knows nothing of, say.
            written = self._adapter.json_schema(mode="serialization")
            self._adapter.json_schema(mode="validation")
        except PydanticUserError as error:
            first = str(error).splitlines()[0]
            raise InvalidJob(named(model), f"cannot be the model of a payload or result: {first}") from error
        if _hides_something(written):
            rule = (
                "holds a secret, which would be stored as asterisks: write it with a field_serializer, or keep it apart"
            )
            raise InvalidJob(named(model), rule)

    def to_json(self, value: Any, *, field: str) -> Any:
        try:
            # Strict: a dict is no instance of a model, nor "1" one of int.
            self._adapter.validate_python(value, strict=True)
        except ValidationError as error:
            raise Unfit(field, value, self._stranger(value) or self._explained(error)) from error
        try:
            # By alias, because that is how it is read.
            return self._adapter.dump_python(value, mode="json", by_alias=True, warnings="error")
        except (PydanticSerializationError, ValueError, TypeError, RecursionError) as error:
            # Of a model's fields as a dict, too, which even a strict validation takes for an instance.
            rule = self._stranger(value) or f"cannot be written as {named(self._model)}: {error}"
            raise Unfit(field, value, rule) from error

    def from_json(self, value: Any, *, field: str) -> Any:
        try:
            # By way of text, because models that are strict take text for a moment from JSON alone.
            return self._adapter.validate_json(json.dumps(value))
        except ValidationError as error:
            raise Unfit(field, value, self._explained(error)) from error

    def _stranger(self, value: Any) -> str | None:
        """What to say of a value that is no instance of the model at all."""
        if isinstance(self._model, type) and not isinstance(value, _checkable(self._model)):
            return f"must be an instance of {named(self._model)}, not {type(value).__qualname__}"
        return None

    def _explained(self, error: ValidationError) -> str:
        faults = error.errors(include_url=False, include_input=False, include_context=False)
        told = [f"{'.'.join(map(str, fault['loc'])) or 'it'}: {fault['msg']}" for fault in faults[:_SHOWN]]
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        return f"does not fit {named(self._model)}: {'; '.join(told)}{more}"


class PydanticSchemas:
    """Implements domain.jobs.schemas.Schemas; each model is read once in a process."""

    def of(self, model: Any) -> Schema:
        return _schema(model)


@lru_cache(maxsize=1024)
def _schema(model: Any) -> Schema:
    return PydanticSchema(model)


def _checkable(model: type) -> type:
    """A class that isinstance takes; a TypedDict is a dict, and refuses to be asked."""
    return dict if hasattr(model, "__required_keys__") else model


def _hides_something(schema: Any) -> bool:
    """Whether a JSON schema has a field that is written and never read: pydantic's secrets."""
    if isinstance(schema, dict):
        return schema.get("writeOnly") is True or any(map(_hides_something, schema.values()))
    return isinstance(schema, list) and any(map(_hides_something, schema))
