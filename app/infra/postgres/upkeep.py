"""PostgresUpkeep: partitions made ahead and dropped when empty, and tallies folded."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import BigInteger, Boolean, Text, case, cast, delete, func, insert, select
from sqlalchemy.dialects.postgresql import insert as pg_insert
from sqlalchemy.exc import DBAPIError

from app.domain.upkeep import StepDone, UpkeepForbidden
from app.infra.postgres.arrays import rows_of
from app.infra.postgres.failures import is_in_the_way
from app.infra.postgres.moments import NOW
from app.infra.postgres.partitions import (
    DAYS,
    TRY_LOCK,
    PartitionInUse,
    create,
    days_of,
    drop,
    is_empty,
    lies_in_rest,
    may_alter,
)
from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import Moment, tallies, upkeep
from app.infra.postgres.tasks.tally import KEY

LOCK_TIMEOUT = "200ms"
"""Whoever settles may have to queue behind us for that long, when a long query in turn holds us up."""

# By place, because nobody changes a row: and only the kinds that have several, so that old days are left alone.
_several = (
    select(func.unnest(func.array_agg(tallies.c.ctid)).label("place"))
    .group_by(*(tallies.c[name] for name in KEY))
    .having(func.count() > 1)
    .cte("several")
    .prefix_with("MATERIALIZED")
)
_gone = delete(tallies).where(tallies.c.ctid == _several.c.place).returning(*tallies.c).cte("gone")
_sum = func.sum(_gone.c.number)
_summed = (
    select(*(_gone.c[name] for name in KEY), cast(_sum, BigInteger))
    .group_by(*(_gone.c[name] for name in KEY))
    .having(_sum != 0)
)
_kept = insert(tallies).from_select([*KEY, "number"], _summed).cte("kept")
_done = rows_of("done", step=Text, succeeded=Boolean, error=Text)
_noted = pg_insert(upkeep).from_select(
    ["step", "succeeded_at", "error"],
    select(_done.c.step, case((_done.c.succeeded, cast(NOW, Moment))), _done.c.error),
)
NOTE = _noted.on_conflict_do_update(
    index_elements=[upkeep.c.step],
    set_={
        "succeeded_at": func.coalesce(_noted.excluded.succeeded_at, upkeep.c.succeeded_at),
        "error": _noted.excluded.error,
    },
)
FOLD = select(func.count()).select_from(_gone).add_cte(_kept)


class PostgresUpkeep:
    """Implements Upkeep."""

    def __init__(self, statements: Statements, now: Callable[[], datetime]) -> None:
        self._statements = statements
        self._now = now

    def make_days(self, ahead: int) -> Sequence[date]:
        there = set(days_of(self._statements))
        missing = [day for number in range(ahead + 1) if (day := self._today() + timedelta(days=number)) not in there]
        if not missing or not self._locked("partitions"):
            return []
        self._check("make partitions for the days to come")
        there = set(days_of(self._statements))  # of whoever had the lock
        return [day for day in missing if day not in there and self._made(day)]

    def drop_days(self) -> Sequence[date]:
        # Not yesterday's, which late ends may still come to.
        if not any(self._is_past(day) for day in days_of(self._statements)) or not self._locked("partitions"):
            return []
        # Looked for anew: whoever had the lock may have dropped some.
        past = [day for day in days_of(self._statements) if self._is_past(day) and is_empty(self._statements, day)]
        if not past:
            return []
        self._check("drop the partitions of days of which nothing is left")
        dropped = []
        for day in past:
            try:
                with self._statements.attempt(LOCK_TIMEOUT):
                    drop(self._statements, day)
                    dropped.append(day)
            except PartitionInUse:
                continue
            except DBAPIError as error:
                if not is_in_the_way(error):
                    raise
                break  # somebody looks into the history just now, and would be in the way of the next day too
        return dropped

    def fold_tallies(self) -> int:
        if not self._locked("tallies"):
            return 0
        folded: int = self._statements.run(FOLD)[0][0]
        return folded

    def note(self, done: Sequence[StepDone]) -> None:
        # In one order, so that two who note at once cannot deadlock.
        noted = sorted(done, key=lambda one: one.step)
        parameters = {
            "step_list": [one.step for one in noted],
            "succeeded_list": [one.succeeded for one in noted],
            "error_list": [one.error for one in noted],
        }
        self._statements.change(NOTE, parameters, timed=True)

    def _is_past(self, day: date) -> bool:
        return day < self._today() - timedelta(days=1)

    def _made(self, day: date) -> bool:
        if lies_in_rest(self._statements, day):
            # Moving it would hold up those who settle. It is found there as well, and retention deletes it there.
            return False
        try:
            with self._statements.attempt(LOCK_TIMEOUT):
                create(self._statements, day)
        except DBAPIError as error:
            if not is_in_the_way(error):
                raise
            return False
        return True

    def _check(self, what: str) -> None:
        if not may_alter(self._statements):
            raise UpkeepForbidden(what, self._statements.quoted(DAYS))

    def _today(self) -> date:
        return self._now().astimezone(UTC).date()

    def _locked(self, what: str) -> bool:
        return bool(self._statements.run(TRY_LOCK, self._statements.lock_key(what))[0][0])
