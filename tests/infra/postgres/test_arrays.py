"""Arrays as text: what PostgreSQL reads is what was given."""

from typing import Any

import pytest
from sqlalchemy import Engine, Integer, Text, Uuid, bindparam, select
from sqlalchemy.types import TypeEngine

from app.infra.postgres.arrays import ArrayText
from tests.examples import new_ids


@pytest.mark.parametrize(
    ("of", "values"),
    [
        (Text, []),
        (Text, [""]),
        (Text, ["", "NULL", None, "a"]),
        (Text, ['"', "\\", "{a,b}", '\\"', "ä 🐘", "\n"]),
        (Text, ["a\x1fb"]),
        (Text, ["a", "\x1f", "b"]),
        (Text, ["\x1f", None]),
        (Integer, [1, None, -3]),
        (Uuid, new_ids(3)),
        (Uuid, []),
    ],
    ids=repr,
)
def test_an_array_arrives_as_it_was_given(engine: Engine, of: type[TypeEngine[Any]], values: list[Any]) -> None:
    """Quotes, separators and words that mean something to PostgreSQL included."""
    with engine.connect() as connection:
        read = connection.execute(select(bindparam("given", type_=ArrayText(of))), {"given": values}).scalar_one()

    assert values == [*read]
