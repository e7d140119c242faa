"""The upkeep in PostgreSQL, by a role that was not granted all that it writes."""

import pytest
from sqlalchemy import Engine, text

from app.infra.memory.upkeep import MemoryUpkeep
from app.worker.upkeep import UpkeepLoop
from tests.infra.postgres.callers import engine_of
from tests.infra.postgres.days import queue_of


def test_a_role_that_may_not_note_how_its_upkeep_went_does_it_all_the_same(
    engine: Engine, caplog: pytest.LogCaptureFixture
) -> None:
    """
    As one whose grants are older than that table; it is said once.
    """
    queue = queue_of(engine)
    queue.register(lease=1e9)
    for _ in range(2):
        queue.enqueue()
        queue.complete(queue.claim_one())
    name = f"{engine.url.database}_plain"
    with engine.begin() as connection:
        connection.execute(text(f"CREATE ROLE {name}"))
        connection.execute(text(f"GRANT USAGE ON SCHEMA worker TO {name}"))
        connection.execute(text(f"GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA worker TO {name}"))
        connection.execute(text(f"REVOKE ALL ON worker.upkeep FROM {name}"))
    try:
        with engine_of(engine, connect_args={"options": f"-c role={name}"}) as plain:
            loop = UpkeepLoop(queue_of(plain, queue.clock).uow, MemoryUpkeep())
            for _ in range(2):
                loop.round()
    finally:
        with engine.begin() as connection:
            connection.execute(text(f"DROP OWNED BY {name}"))
            connection.execute(text(f"DROP ROLE {name}"))

    warnings = [record.getMessage() for record in caplog.records if "table upkeep" in record.getMessage()]
    assert (True, 1) == (loop.succeeded_at is not None, len(warnings))
    with engine.connect() as connection:
        assert 1 == connection.scalar(text("SELECT count(*) FROM worker.tallies"))
