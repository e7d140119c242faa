"""PostgresSchedules: schedules and their runs kept in PostgreSQL; each verb is one statement."""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

from app.domain.identifiers import TaskId
from app.domain.schedules.repository import Known
from app.domain.schedules.run import RunState, ScheduleRun
from app.domain.schedules.schedule import TOLERANCE, Schedule
from app.infra.postgres.partitions import TRY_LOCK
from app.infra.postgres.schedules import rows, statements
from app.infra.postgres.schedules import runs as of_runs
from app.infra.postgres.schedules.guarded import GuardedStatements
from app.infra.postgres.statements import Statements


class PostgresSchedules:
    """Implements Schedules."""

    def __init__(self, statements: Statements) -> None:
        self._statements = GuardedStatements(statements)

    def look_in(self, known: Known) -> float | None:
        parameters = _known(known)
        seconds: float | None = self._statements.run(statements.LOOK, parameters, timed=True)[0][0]
        return seconds

    def lock_due(self, known: Known, limit: int, only: Collection[str] | None = None) -> list[Schedule]:
        parameters = {**_known(known), "limit": limit, "only": None if only is None else list(only)}
        return [rows.to_schedule(row) for row in self._statements.run(statements.LOCK_DUE, parameters, timed=True)]

    def lock_defined(self, application: str, keys: Sequence[str]) -> list[Schedule]:
        self._statements.run(statements.LOCK_APPLICATION, self._statements.lock_key(f"schedules {application}"))
        return self._schedules(statements.LOCK_DEFINED, whose=application, keys=list(keys))

    def lock(self, application: str, key: str) -> Schedule | None:
        found = self._schedules(statements.LOCK, whose=application, key=key)
        return found[0] if found else None

    def all(self, application: str, keys: Sequence[str] | None = None) -> list[Schedule]:
        return self._schedules(statements.ALL, whose=application, keys=None if keys is None else list(keys))

    def add(self, schedules: Sequence[Schedule]) -> list[str]:
        return [row[0] for row in self._statements.run(statements.ADD, rows.parameters(schedules))]

    def save(self, schedules: Sequence[Schedule]) -> None:
        # In one order, so that two who save several do not wait for each other.
        self._statements.run(statements.SAVE, rows.parameters(sorted(schedules, key=lambda one: one.key)))

    def remove(self, application: str, key: str) -> None:
        for statement in (statements.REMOVE_RUNS, statements.REMOVE):
            self._statements.change(statement, {"whose": application, "key": key})

    def add_runs(
        self, application: str, runs: Sequence[ScheduleRun], taking_over: Collection[RunState] = ()
    ) -> set[tuple[str, datetime]]:
        parameters = of_runs.parameters(application, runs) | {"states": [str(state) for state in taking_over]}
        # Python takes no moment in a zone for one in UTC where the wall of that zone shows it twice.
        return {(row[0], row[1].astimezone(UTC)) for row in self._statements.run(of_runs.ADD, parameters)}

    def save_runs(self, application: str, runs: Sequence[ScheduleRun]) -> None:
        self._statements.change(of_runs.SAVE, of_runs.parameters(application, runs))

    def waiting(self, application: str, keys: Sequence[str]) -> list[ScheduleRun]:
        return self._runs(of_runs.WAITING, whose=application, keys=list(keys))

    def running(self, application: str, keys: Sequence[str]) -> list[tuple[str, TaskId]]:
        parameters = {"whose": application, "key_list": list(keys)}
        return [(row[0], row[1]) for row in self._statements.run(of_runs.RUNNING, parameters, timed=True)]

    def latest(self, application: str) -> list[ScheduleRun]:
        return self._runs(of_runs.LATEST, whose=application)

    def history(self, application: str, key: str, limit: int) -> list[ScheduleRun]:
        return self._runs(of_runs.HISTORY, whose=application, key=key, limit=limit)

    def trim(self, application: str, keep: int) -> int:
        # One at a time, and the others need not wait for it.
        if not self._statements.run(TRY_LOCK, self._statements.lock_key(f"ticks {application}"))[0][0]:
            return 0
        return len(self._statements.run(of_runs.TRIM, {"whose": application, "keep": keep}, timed=True))

    def _schedules(self, statement: Any, **parameters: Any) -> list[Schedule]:
        return [rows.to_schedule(row) for row in self._statements.run(statement, parameters)]

    def _runs(self, statement: Any, **parameters: Any) -> list[ScheduleRun]:
        return [of_runs.to_run(row) for row in self._statements.run(statement, parameters)]


def _known(known: Known) -> dict[str, Any]:
    return {
        "whose": known.application,
        "type_list": list(known.types),
        "version_list": list(known.versions or [1] * len(known.types)),
        "tolerance": TOLERANCE.total_seconds(),
    }
