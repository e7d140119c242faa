"""Grants: what a role needs that uses the queue through functions alone, and the rights that tables have in common."""

from collections.abc import Sequence

from sqlalchemy import Connection, Text, bindparam, func, select, text
from sqlalchemy.sql import column, table

from app.domain.errors import InvalidInput

PRODUCER = ("enqueue", "enqueue_many")
OPERATOR = ("cancel", "retry")

_roles = table("pg_roles", column("rolname", Text), schema="pg_catalog")
_KNOWN = select(func.count()).select_from(_roles).where(_roles.c.rolname == bindparam("role", type_=Text))

# Rights that differ only in who may pass them on are a statement each. Grantee 0 is PUBLIC.
_SAME_RIGHTS = text("""
    SELECT format(
        'GRANT %s ON TABLE %I.%I TO %s%s', string_agg(privilege_type, ', '), CAST(:schema AS text), CAST(:to AS text),
        CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END,
        CASE WHEN is_grantable THEN ' WITH GRANT OPTION' ELSE '' END
    )
    FROM pg_class AS had
    JOIN pg_namespace ON pg_namespace.oid = had.relnamespace
    JOIN pg_class AS given ON given.relnamespace = had.relnamespace AND given.relname = :to,
    aclexplode(had.relacl)
    WHERE nspname = :schema AND had.relname = :from AND grantee NOT IN (had.relowner, given.relowner)
    GROUP BY grantee, is_grantable
""")


def grant(connection: Connection, schema: str, functions: Sequence[str], *, field: str, role: str) -> None:
    """Let *role* call *functions*. Granting again changes nothing. Raises InvalidInput for a role that is not there."""
    if not connection.scalar(_KNOWN, {"role": role}):
        raise InvalidInput(field, role, "must be a role that this database server has, see CREATE ROLE")
    named = ", ".join(f"{_quoted(schema)}.{_quoted(function)}" for function in functions)
    for right in (f"USAGE ON SCHEMA {_quoted(schema)}", f"EXECUTE ON FUNCTION {named}"):
        _say(connection, f"GRANT {right} TO {_quoted(role)}")


def grant_alike(connection: Connection, schema: str, table: str, *tables: str) -> None:
    """Let every role do with *tables* what it may do with *table*, on top of what it might already.

    For migrations: a table that is new would be the owner's alone.
    """
    for one in tables:
        for statement in connection.scalars(_SAME_RIGHTS, {"schema": schema, "from": table, "to": one}).all():
            _say(connection, statement)


def _say(connection: Connection, statement: str) -> None:
    # Without parameters a percent sign in a name is one, whatever the driver.
    connection.exec_driver_sql(statement, execution_options={"no_parameters": True})


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
