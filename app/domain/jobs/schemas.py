"""Schemas: what a model of an application says of JSON; how models are read is an adapter's business."""

from typing import Any, Protocol

from app.domain.errors import InvalidInput
from app.domain.jobs.errors import InvalidJob, named


class Unfit(InvalidInput):
    """A value does not fit its model; ``rule`` carries the model's own words."""


class Schema(Protocol):
    """One model: a pydantic model, a dataclass, a TypedDict, any type that describes data."""

    def to_json(self, value: Any, *, field: str) -> Any:
        """*value*, an instance of the model, as JSON. Raises Unfit, naming *field*."""
        ...

    def from_json(self, value: Any, *, field: str) -> Any:
        """The instance that the JSON *value* describes. Raises Unfit, naming *field*."""
        ...


class Schemas(Protocol):
    """Reads models."""

    def of(self, model: Any) -> Schema:
        """The schema of *model*. Raises InvalidJob for one of which no JSON can be made."""
        ...


def schema_for(type: str, model: Any, schemas: Schemas) -> Schema:
    """The schema of *model*, which the job of this type has. Raises InvalidJob, which names both."""
    try:
        return schemas.of(model)
    except InvalidJob as error:
        raise InvalidJob(type, f"its model {named(model)} {error.rule}") from error
