"""The database's clock in a statement, which tests may replace by a time of theirs."""

from sqlalchemy import ColumnElement, DateTime, bindparam, func

NOW: ColumnElement[object] = func.coalesce(bindparam("now", type_=DateTime(timezone=True)), func.statement_timestamp())
"""The moment of the statement. Every statement that uses it takes a parameter ``now``, None outside of tests."""


def after(seconds: ColumnElement[float]) -> ColumnElement[object]:
    """The moment so many *seconds* from now; not ``make_interval``, whose named argument Core cannot write."""
    return NOW + seconds * func.make_interval(0, 0, 0, 0, 0, 0, 1)


def seconds_until(moment: ColumnElement[object]) -> ColumnElement[float]:
    return func.date_part("epoch", moment - NOW)
