"""What the example jobs ask of a payload: a model each, and a sentence for whatever does not fit it."""

import unicodedata
from typing import Annotated, Any, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from app.domain.jobs.answers import FailForGood

_LINE_BREAKING = ("Cc", "Zl", "Zp")


class Payload(BaseModel):
    """A payload's fields, taken as they are: nothing is converted, and a field nobody knows is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    @classmethod
    def read(cls, payload: Any) -> Self:
        """*payload* as this model; None counts as an empty object.

        Raises FailForGood: the same payload will not fit next time either.
        """
        try:
            return cls.model_validate({} if payload is None else payload)
        except ValidationError as error:
            # `from None`: pydantic's own text quotes the values, and those may be secret.
            raise FailForGood(cls._sentence(error)) from None

    @classmethod
    def _sentence(cls, error: ValidationError) -> str:
        known = ", ".join(field.alias or name for name, field in cls.model_fields.items())
        wrong = "; ".join(
            f"{'.'.join(('payload', *map(str, detail['loc'])))}: {detail['msg'].removeprefix('Value error, ')}"
            for detail in error.errors(include_url=False, include_input=False)
        )
        return f"{wrong} (the fields are {known})"


def one_line(text: str) -> str:
    """*text*, unless something in it ends a line or steers a terminal. Raises ValueError."""
    if any(unicodedata.category(character) in _LINE_BREAKING for character in text):
        raise ValueError("must be one line without control characters")
    return text


Line = Annotated[str, AfterValidator(one_line)]
