"""How long ago each step of the upkeep last went through, in whichever worker."""

from sqlalchemy import func, select

from app.infra.postgres.moments import NOW
from app.infra.postgres.tables import upkeep

UPKEEP = select(upkeep.c.step, func.date_part("epoch", NOW - upkeep.c.succeeded_at), upkeep.c.error).order_by(
    upkeep.c.step
)
