"""Vacuum: what autovacuum is late with is done by us, and nothing else."""

import pytest
from sqlalchemy import Engine, text

from app.domain.upkeep import UpkeepForbidden
from app.infra.postgres.vacuum import PostgresVacuum
from tests.infra.postgres.callers import engine_of, until


@pytest.fixture
def littered(engine: Engine) -> Engine:
    """A database with a hundred dead rows in ``tasks``, which autovacuum does not look at."""
    with engine.begin() as connection:
        connection.execute(text("ALTER TABLE worker.tasks SET (autovacuum_enabled = off)"))
        connection.execute(
            text(
                "INSERT INTO worker.tasks (id, type, queue, status, priority, max_attempts, scheduled_at, created_at,"
                " payload) SELECT gen_random_uuid(), 't', 'q', 'pending', 0, 1, now(), now(), '1'"
                " FROM generate_series(1, 100)"
            )
        )
    with engine.begin() as connection:
        connection.execute(text("DELETE FROM worker.tasks"))
    engine.dispose()  # a session reports what it did when it ends, if not sooner
    until(lambda: dead(engine) == 100)
    return engine


def dead(engine: Engine) -> int:
    with engine.connect() as connection:
        asked = text("SELECT n_dead_tup FROM pg_stat_user_tables WHERE schemaname = 'worker' AND relname = 'tasks'")
        return int(connection.execute(asked).scalar_one())


def test_a_table_with_many_dead_rows_is_vacuumed_and_left_alone_for_a_while(littered: Engine) -> None:
    """
    Once; and with fewer dead rows than it takes, not at all.
    """
    patient, eager = PostgresVacuum(littered, many=101), PostgresVacuum(littered, many=50)

    done = [patient.vacuum_if_late(), eager.vacuum_if_late(), eager.vacuum_if_late()]

    assert [[], ["tasks"], []] == done
    until(lambda: dead(littered) == 0)


def test_whoever_holds_the_table_is_not_waited_for(littered: Engine) -> None:
    """
    Another vacuum, most of all.
    """
    with littered.begin() as other:
        other.execute(text("LOCK TABLE worker.tasks IN SHARE UPDATE EXCLUSIVE MODE"))
        PostgresVacuum(littered, many=50).vacuum_if_late()

    assert 100 == dead(littered)


def test_a_role_that_may_not_vacuum_is_told_so(littered: Engine) -> None:
    """
    PostgreSQL itself would only warn, where nobody reads it.
    """
    name = f"{littered.url.database}_plain"
    with littered.begin() as connection:
        connection.execute(text(f"CREATE ROLE {name}"))
    try:
        refusal = pytest.raises(UpkeepForbidden, match=r'may not vacuum: only the owner of "worker"\."tasks" may')
        with engine_of(littered, connect_args={"options": f"-c role={name}"}) as plain, refusal:
            PostgresVacuum(plain, many=50).vacuum_if_late()
    finally:
        with littered.begin() as connection:
            connection.execute(text(f"DROP ROLE {name}"))
