"""The statements about schedules themselves."""

from typing import Any

from sqlalchemy import (
    ARRAY,
    Double,
    Integer,
    Text,
    and_,
    any_,
    bindparam,
    case,
    cast,
    delete,
    exists,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from app.domain.schedules.schedule import Source
from app.infra.postgres.arrays import rows_of
from app.infra.postgres.moments import NOW, after, seconds_until
from app.infra.postgres.schedules.rows import COLUMNS, KINDS, NAMES
from app.infra.postgres.tables import schedules, ticks

_ours = schedules.c.application == bindparam("whose", type_=Text)
_this = schedules.c.key == bindparam("key", type_=Text)
_known = rows_of("known", type=Text, version=Integer)
_is_known = exists().where(_known.c.type == schedules.c.type, _known.c.version >= schedules.c.version)
# The clock was put back since somebody looked.
_is_ahead = schedules.c.looked_at > after(bindparam("tolerance", type_=Double))
_ticks = and_(_ours, schedules.c.look_at.is_not(None), _is_known)

# NULL where nothing ticks; greatest alone would pass over it.
LOOK = select(
    case(
        (func.count() == 0, None),
        (func.bool_or(_is_ahead), 0.0),
        else_=func.greatest(0.0, seconds_until(func.min(schedules.c.look_at))),
    )
).where(_ticks)

_only = bindparam("only", type_=ARRAY(Text))
_due = (
    select(*COLUMNS)
    .where(
        _ticks,
        or_(schedules.c.look_at <= NOW, _is_ahead),
        or_(_only.is_(None), schedules.c.key == any_(_only)),
    )
    .order_by(schedules.c.look_at)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True, of=schedules)
    .cte("due")
    .prefix_with("MATERIALIZED")
)
# The columns of the locked rows themselves: the statement's snapshot may be older than the lock.
LOCK_DUE = select(*_due.c)

LOCK_APPLICATION = select(func.pg_advisory_xact_lock(func.hashtextextended(bindparam("key", type_=Text), 0)))
_keys = bindparam("keys", type_=ARRAY(Text))
_named = schedules.c.key == any_(_keys)
_ordered = select(*COLUMNS).where(_ours).order_by(schedules.c.key)
ALL = _ordered.where(or_(_keys.is_(None), _named))
LOCK_DEFINED = _ordered.where(or_(schedules.c.source == literal(str(Source.CODE), Text), _named)).with_for_update()
LOCK = select(*COLUMNS).where(_ours, _this).with_for_update()

_given: Any = rows_of("given", **KINDS)
_writing = insert(schedules).from_select(
    list(NAMES), select(*(cast(_given.c[name], schedules.c[name].type).label(name) for name in NAMES))
)
_KEY = ("application", "key")
ADD = _writing.on_conflict_do_nothing(index_elements=_KEY).returning(schedules.c.key)
SAVE = _writing.on_conflict_do_update(
    index_elements=_KEY,
    set_={name: _writing.excluded[name] for name in NAMES if name not in (*_KEY, "created_at")},
).returning(schedules.c.key)

REMOVE = delete(schedules).where(_ours, _this)
REMOVE_RUNS = delete(ticks).where(
    ticks.c.application == bindparam("whose", type_=Text), ticks.c.schedule == bindparam("key", type_=Text)
)
