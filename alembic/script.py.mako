"""${message}."""

from alembic import context, op
import sqlalchemy as sa
${imports if imports else ""}
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None

# Written as "worker" and translated to the configured schema; in text it must be this:
schema = context.config.attributes["schema"] if "schema" in context.config.attributes else "worker"


def upgrade() -> None:
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    ${downgrades if downgrades else "pass"}
