"""Tally: what enters and leaves ``finished``, counted in the very statement that moves it."""

from typing import Any

from sqlalchemy import CTE, ColumnElement, Date, Float, SmallInteger, case, cast, func, insert, literal_column, select

from app.domain.tasks.durations import SCALE, SHORTEST
from app.domain.tasks.status import TaskStatus
from app.infra.postgres.tables import tallies

KEY = ("day", "type", "queue", "status", "bucket", "shelf")


def tallied(
    moved: CTE,
    *,
    sign: int,
    status: ColumnElement[Any] | None = None,
    finished_at: ColumnElement[Any] | None = None,
    shelf: ColumnElement[Any] | None = None,
    name: str = "tallied",
) -> CTE:
    """Append how many of the rows *moved* there are of each kind, as many more (*sign* 1) or fewer (-1).

    One row for each kind in the batch, and nobody's row is changed, so that settling waits for nobody who settles.
    ``finished_at``, ``status`` and ``shelf`` are those that the rows have in ``finished``, where *moved* does not say
    so. Two of them in one statement need a *name* each.
    """
    ended = moved.c.finished_at if finished_at is None else finished_at
    became = moved.c.status if status is None else status
    kinds = select(
        cast(func.timezone("UTC", ended), Date).label("day"),
        moved.c.type,
        moved.c.queue,
        became.label("status"),
        case((became == str(TaskStatus.COMPLETED), _bucket(ended - moved.c.started_at))).label("bucket"),
        cast(moved.c.shelf if shelf is None else shelf, SmallInteger).label("shelf"),
    ).subquery("kinds")
    number = func.count() * literal_column(str(sign))
    changes = select(*kinds.c, number).group_by(*kinds.c)
    return insert(tallies).from_select([*KEY, "number"], changes).cte(name)


def _bucket(duration: ColumnElement[Any]) -> ColumnElement[Any]:
    """As domain.tasks.durations.bucket_of."""
    seconds = func.greatest(func.date_part("epoch", duration), literal_column(f"{SHORTEST:.6f}::float8", Float))
    return cast(func.floor(func.ln(seconds) * literal_column(f"{SCALE!r}::float8", Float)), SmallInteger)
