"""The statements about what became of ticks."""

from collections.abc import Sequence
from datetime import UTC
from typing import Any

from sqlalchemy import (
    ARRAY,
    Integer,
    Text,
    Uuid,
    any_,
    bindparam,
    cast,
    delete,
    func,
    literal_column,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from app.domain.schedules.run import RunKind, RunState, ScheduleRun
from app.infra.postgres.arrays import rows_of
from app.infra.postgres.moments import NOW
from app.infra.postgres.tables import Moment, schedules, tasks, ticks
from app.infra.postgres.tasks.operate import HAS_EXPIRED

LOOKED_BACK = 100
"""Runs of a schedule among which one that has not ended is looked for."""

_ours = ticks.c.application == bindparam("whose", type_=Text)
_run: Any = rows_of(
    "run", schedule=Text, tick=Moment, state=Text, kind=Text, fired_at=Moment, task_id=Text, reason=Text
)
_task_id = cast(_run.c.task_id, Uuid)
_COLUMNS = (
    ticks.c.schedule,
    ticks.c.tick,
    ticks.c.state,
    ticks.c.kind,
    ticks.c.fired_at,
    ticks.c.task_id,
    ticks.c.reason,
)

_adding = insert(ticks).from_select(
    ["application", "schedule", "tick", "state", "kind", "fired_at", "task_id", "reason"],
    select(
        bindparam("whose", type_=Text),
        _run.c.schedule,
        _run.c.tick,
        _run.c.state,
        _run.c.kind,
        _run.c.fired_at,
        _task_id,
        _run.c.reason,
    ),
)
ADD = _adding.on_conflict_do_update(
    index_elements=["application", "schedule", "tick"],
    set_={name: _adding.excluded[name] for name in ("state", "kind", "fired_at", "task_id", "reason")},
    where=(ticks.c.state == any_(bindparam("states", type_=ARRAY(Text)))) & ticks.c.task_id.is_(None),
).returning(ticks.c.schedule, ticks.c.tick)

SAVE = (
    update(ticks)
    .where(_ours, ticks.c.schedule == _run.c.schedule, ticks.c.tick == _run.c.tick)
    .values(state=_run.c.state, kind=_run.c.kind, fired_at=_run.c.fired_at, task_id=_task_id, reason=_run.c.reason)
)

WAITING = (
    select(*_COLUMNS)
    .where(
        _ours,
        ticks.c.schedule == any_(bindparam("keys", type_=ARRAY(Text))),
        ticks.c.state == literal_column(f"'{RunState.WAITING}'"),
    )
    .order_by(ticks.c.schedule, ticks.c.tick)
)

_wanted = rows_of("wanted", key=Text)
_recent = (
    select(ticks.c.schedule, ticks.c.task_id)
    .where(
        _ours,
        ticks.c.schedule == _wanted.c.key,
        ticks.c.task_id.is_not(None),
        ticks.c.kind != literal_column(f"'{RunKind.BACKFILL}'"),
    )
    .order_by(ticks.c.tick.desc())
    .limit(LOOKED_BACK)
    .lateral("recent")
)
# Whatever has ended is in another table; what was not started in time never will be, and is taken there before long.
RUNNING = (
    select(_recent.c.schedule, _recent.c.task_id)
    .select_from(_wanted)
    .join(_recent, true())
    .join(tasks, tasks.c.id == _recent.c.task_id)
    .where(HAS_EXPIRED.is_not(true()))
)

_last = (
    select(*_COLUMNS)
    .where(
        _ours,
        ticks.c.schedule == schedules.c.key,
        ticks.c.kind == literal_column(f"'{RunKind.TICK}'"),
    )
    .order_by(ticks.c.tick.desc())
    .limit(1)
    .lateral("last")
)
LATEST = (
    select(*_last.c)
    .select_from(schedules)
    .join(_last, true())
    .where(schedules.c.application == bindparam("whose", type_=Text))
)

HISTORY = (
    select(*_COLUMNS)
    .where(_ours, ticks.c.schedule == bindparam("key", type_=Text))
    .order_by(ticks.c.tick.desc())
    .limit(bindparam("limit", type_=Integer))
)

_first_gone = (
    select(ticks.c.tick)
    .where(_ours, ticks.c.schedule == schedules.c.key)
    .order_by(ticks.c.tick.desc())
    .offset(bindparam("keep", type_=Integer))
    .limit(1)
    .lateral("first_gone")
)
_cut = (
    select(schedules.c.key, _first_gone.c.tick)
    .select_from(schedules)
    .join(_first_gone, true())
    .where(schedules.c.application == bindparam("whose", type_=Text), _first_gone.c.tick <= NOW)
    .cte("cut")
    .prefix_with("MATERIALIZED")
)
# Locked by this, so that nobody fires a tick of which it is about to be forgotten whether it was fired.
_noted = (
    update(schedules)
    .where(schedules.c.application == bindparam("whose", type_=Text), schedules.c.key == _cut.c.key)
    .values(trimmed_to=func.greatest(schedules.c.trimmed_to, _cut.c.tick))
    .returning(schedules.c.key, schedules.c.trimmed_to)
    .cte("noted")
)
TRIM = (
    delete(ticks)
    .where(
        _ours,
        ticks.c.schedule == _noted.c.key,
        ticks.c.tick <= _noted.c.trimmed_to,
        ticks.c.state != literal_column(f"'{RunState.WAITING}'"),
    )
    .returning(ticks.c.tick)
)


def parameters(application: str, runs: Sequence[ScheduleRun]) -> dict[str, Any]:
    return {
        "whose": application,
        "schedule_list": [run.schedule for run in runs],
        "tick_list": [run.tick for run in runs],
        "state_list": [str(run.state) for run in runs],
        "kind_list": [str(run.kind) for run in runs],
        "fired_at_list": [run.fired_at for run in runs],
        "task_id_list": [run.task_id and str(run.task_id) for run in runs],
        "reason_list": [run.reason for run in runs],
    }


def to_run(row: Sequence[Any]) -> ScheduleRun:
    schedule, tick, state, kind, fired_at, task_id, reason = row
    return ScheduleRun(
        schedule=schedule,
        tick=tick.astimezone(UTC),
        state=RunState(state),
        kind=RunKind(kind),
        fired_at=fired_at.astimezone(UTC),
        task_id=task_id,
        reason=reason,
    )
