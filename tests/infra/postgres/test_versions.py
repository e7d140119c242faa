"""Versions: an application that is ahead of its database, on a copy of this one that has a migration more."""

import json
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

ROOT = Path(__file__).parents[3]
HEAD = max(path.name[:4] for path in (ROOT / "alembic" / "versions").glob("0*.py"))
NEXT = f"{int(HEAD) + 1:04}"
MIGRATION = f'''"""Something that a later version needs."""

import sqlalchemy as sa
from alembic import op

revision = "{NEXT}"
down_revision = "{HEAD}"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("tasks", sa.Column("mood", sa.Text), schema="worker")


def downgrade() -> None:
    op.drop_column("tasks", "mood", schema="worker")
'''
Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def later(tmp_path: Path, database_url: str) -> Run:
    """Runs the command line of the later version, whose migrations wait half a second for a lock and not ten."""
    for folder in ("app", "alembic"):
        shutil.copytree(ROOT / folder, tmp_path / folder)
    (tmp_path / "alembic" / "versions" / f"{NEXT}_mood.py").write_text(MIGRATION)
    environment = tmp_path / "alembic" / "env.py"
    patient, impatient = 'LOCK_TIMEOUT = "10s"', 'LOCK_TIMEOUT = "500ms"'
    assert 1 == environment.read_text().count(patient)
    environment.write_text(environment.read_text().replace(patient, impatient))

    def run(*arguments: str, schema: str = "worker") -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "app", *arguments],
            check=False, capture_output=True, text=True, cwd=tmp_path, timeout=60,
            env={"DATABASE_URL": database_url, "WORKER_SCHEMA": schema, "PATH": ""},
        )  # fmt: skip

    return run


def test_a_schema_that_is_older_is_not_worked_on(later: Run) -> None:
    """
    Worker and check refuse with a sentence that says what to run; after that has been run all is well.
    """
    with ThreadPoolExecutor(2) as at_once:
        refused = list(at_once.map(lambda arguments: later(*arguments), [("worker", "--drain"), ("check",)]))
    migrated = later("migrate", "--json")
    drained = later("worker", "--drain")

    said = (
        f"The schema 'worker' is at revision {HEAD}, older than the {NEXT} this version needs:"
        " run `python -m app migrate`."
    )
    assert [(1, "", f"error: {said}\n"), (1, f"{said}\n", "")] == [
        (run.returncode, run.stdout, run.stderr) for run in refused
    ]
    assert {"before": HEAD, "after": NEXT, "changed": True} == json.loads(migrated.stdout)
    assert 0 == drained.returncode


def test_a_migration_behind_somebodys_lock_gives_up_and_says_so(later: Run, engine: Engine) -> None:
    """
    It does not stand in the way of everybody else for longer than its timeout, and has changed nothing.
    """
    with engine.connect() as connection:
        connection.execute(text("LOCK TABLE worker.tasks IN ACCESS SHARE MODE"))
        began = time.monotonic()
        locked_out = later("migrate")
        took = time.monotonic() - began
        connection.rollback()
    again = later("migrate")

    assert (1, "") == (locked_out.returncode, locked_out.stdout)
    assert "somebody's transaction holds on to what must be changed" in locked_out.stderr
    assert 1 == len(locked_out.stderr.splitlines())
    assert took < 10
    assert (0, f"The schema is at revision {NEXT}, it was at {HEAD}\n") == (again.returncode, again.stdout)


def test_a_migration_reaches_the_schema_that_was_asked_for(later: Run, engine: Engine) -> None:
    """
    What is written as ``worker`` in a migration is the schema of the settings, and the other one stays as it is.
    """
    later("migrate", schema="user")

    with engine.connect() as connection:
        found = connection.execute(
            text("SELECT table_schema FROM information_schema.columns WHERE column_name = 'mood'")
        ).scalars()
        assert ["user"] == [*found]
