"""Grants: what a role needs that uses the queue through functions alone, and nothing beside."""

from collections.abc import Sequence

from sqlalchemy import Connection, Text, bindparam, func, select
from sqlalchemy.sql import column, table

from app.domain.errors import InvalidInput

PRODUCER = ("enqueue", "enqueue_many")
OPERATOR = ("cancel", "retry")

_roles = table("pg_roles", column("rolname", Text), schema="pg_catalog")
_KNOWN = select(func.count()).select_from(_roles).where(_roles.c.rolname == bindparam("role", type_=Text))


def grant(connection: Connection, schema: str, functions: Sequence[str], *, field: str, role: str) -> None:
    """Let *role* call *functions*. Granting again changes nothing. Raises InvalidInput for a role that is not there."""
    if not connection.scalar(_KNOWN, {"role": role}):
        raise InvalidInput(field, role, "must be a role that this database server has, see CREATE ROLE")
    quoted = connection.dialect.identifier_preparer.quote_identifier
    named = ", ".join(f"{quoted(schema)}.{quoted(function)}" for function in functions)
    for right in (f"USAGE ON SCHEMA {quoted(schema)}", f"EXECUTE ON FUNCTION {named}"):
        connection.exec_driver_sql(f"GRANT {right} TO {quoted(role)}".replace("%", "%%"))
