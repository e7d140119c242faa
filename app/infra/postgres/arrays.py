"""Arrays as parameters: lists of Python values, sent as PostgreSQL's own text for an array."""

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import (
    ARRAY,
    BigInteger,
    ColumnElement,
    Double,
    Integer,
    SmallInteger,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    column,
    func,
    select,
    type_coerce,
)
from sqlalchemy.sql.type_api import TypeEngine
from sqlalchemy.types import TypeDecorator


class ArrayText(TypeDecorator[Any]):
    """A list sent as text and cast by the server.

    Drivers turn each element into an object of theirs on the way: five to ten times the cost of a join, paid for every
    task. None stands for NULL.
    """

    impl = Text
    cache_ok = True

    def __init__(self, of: type[TypeEngine[Any]] | TypeEngine[Any]) -> None:
        super().__init__()
        self.of = of

    def process_bind_param(self, value: Sequence[Any] | None, dialect: Any) -> str | None:
        if value is None:
            return None
        return "{" + self._joined(value) + "}"

    def bind_expression(self, bindvalue: Any) -> Any:
        return cast(bindvalue, ARRAY(self.of))

    def _joined(self, values: Sequence[Any]) -> str:
        # All at once where that is possible: per element it is a third of what a new task costs here.
        if self.of is Uuid:
            return b"".join([value.int.to_bytes(16, "big") for value in values]).hex(",", 16)
        if self.of is Text and values and None not in values:
            joined = _SEPARATOR.join(values)
            if joined.count(_SEPARATOR) == len(values) - 1:
                return _quoted(joined).replace(_SEPARATOR, '","')
        return ",".join(self._elements(values))

    def _elements(self, values: Iterable[Any]) -> Iterable[str]:
        if self.of in (SmallInteger, Integer, BigInteger):
            # Not str(): an enumeration of numbers has words of its own for itself.
            return ["NULL" if value is None else int.__repr__(value) for value in values]
        if self.of is Double:
            return ["NULL" if value is None else float.__repr__(float(value)) for value in values]
        return ["NULL" if value is None else _quoted(str(value)) for value in values]


_SEPARATOR = "\x1f"
"""ASCII's own for this: in neither names nor JSON, which writes it as an escape."""


def _quoted(text: str) -> str:
    if "\\" in text:
        text = text.replace("\\", "\\\\")
    return '"' + (text.replace('"', '\\"') if '"' in text else text) + '"'


def rows_of(name: str, **columns: type[TypeEngine[Any]] | TypeEngine[Any]) -> Any:
    """A row for each element of array parameters, which are named ``<column>_list``."""
    arrays: list[Any] = [bindparam(f"{each}_list", type_=ArrayText(kind)) for each, kind in columns.items()]
    pairs = [column(each, kind) for each, kind in columns.items()]
    return func.unnest(*arrays).table_valued(*pairs, name=name).render_derived()


class ValuesById:
    """Array parameters that hold something for each of the ids in ``id_list``, which is sorted.

    What a join with ``rows_of`` would say, for statements that look for rows by their ids. A join leaves the planner a
    choice, and it chooses by how many rows it believes there are: of a table that was empty when its statistics were
    made, and is full of dead rows since, it would read the whole index. Here there is none: the ids are looked up, and
    for each row its place among them is found by bisection.
    """

    def __init__(self, name: str, **columns: type[TypeEngine[Any]] | TypeEngine[Any]) -> None:
        arrays = {"id": Uuid, **columns}
        # Each parameter is read once, whatever the number of rows.
        read = select(*(bindparam(f"{each}_list", type_=ArrayText(kind)).label(each) for each, kind in arrays.items()))
        given = read.cte(name).prefix_with("MATERIALIZED")
        self._lists = {
            each: select(type_coerce(given.c[each], ARRAY(kind))).scalar_subquery() for each, kind in arrays.items()
        }

    def names(self, id_: ColumnElement[Any]) -> ColumnElement[bool]:
        """Whether *id_* is among the ids."""
        # Cast, or it would be read as ANY of the rows of a subquery.
        return id_ == any_(cast(self._lists["id"], ARRAY(Uuid)))

    def of(self, id_: ColumnElement[Any], column: str) -> ColumnElement[Any]:
        """What *column* holds for *id_*."""
        element: ColumnElement[Any] = self._lists[column][func.width_bucket(id_, self._lists["id"])]
        return element
