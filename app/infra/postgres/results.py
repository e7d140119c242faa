"""PostgresResults: what became of tasks, and the one connection on which a process hears of their ends."""

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import ARRAY, Engine, Row, Table, Uuid, bindparam, func, select

from app.domain.identifiers import TaskId
from app.domain.results import Ended, Look
from app.domain.tasks.status import TaskStatus
from app.infra.postgres.herald import Herald
from app.infra.postgres.hints import WAITING, Hints, ids_in, results_channel_of
from app.infra.postgres.notifications import PostgresNotifications
from app.infra.postgres.statements import Statements
from app.infra.postgres.tables import SCHEMA, finished, tasks
from app.infra.postgres.tasks.rows import columns_of, to_task

# An array and not a list, so that one cached statement serves one id and a thousand.
_IDS = bindparam("ids", type_=ARRAY(Uuid))


def _asked_for(table: Table) -> Any:
    return table.c.id == func.any(_IDS)


GOING_ON = select(tasks.c.id, tasks.c.status).where(_asked_for(tasks))
ENDED = select(*columns_of(finished)).where(_asked_for(finished))


class PostgresResults:
    """Implements TaskResults."""

    def __init__(self, statements: Statements) -> None:
        self._statements = statements

    def look(self, ids: Sequence[TaskId]) -> Look:
        # Where nearly all that are waited for still are, a small table, then in the history, of which every partition
        # would have to be asked; and here again, for what was on its way back from there.
        going_on = self._going_on(ids)
        missing = [task_id for task_id in ids if task_id not in going_on]
        rows: Sequence[Row[*tuple[Any, ...]]] = []
        if missing:
            rows = self._statements.run(ENDED, {"ids": missing})
            if len(rows) < len(missing):
                found = {row[0] for row in rows}
                going_on |= self._going_on([task_id for task_id in missing if task_id not in found])
        return Look([to_task(row) for row in rows], going_on)

    def _going_on(self, ids: Sequence[TaskId]) -> dict[TaskId, TaskStatus]:
        return {row[0]: TaskStatus(row[1]) for row in self._statements.run(GOING_ON, {"ids": list(ids)})}


class PostgresResultNotifications:
    """Implements ResultNotifications."""

    def __init__(self, engine: Engine, herald: Herald, schema: str = SCHEMA) -> None:
        self._herald = herald
        self._listener = PostgresNotifications(
            engine, schema, channel=results_channel_of(schema), otherwise="results that are waited for come by polling"
        )

    def start(self, on_end: Callable[[Ended], None]) -> None:
        self._listener.start(lambda payload: on_end(_ended(payload)))

    def ask(self) -> None:
        # This process may be the one that ends them: it need not hear of itself by way of the database.
        self._herald.somebody_waits()
        if self._listener.hears is not False:
            self._herald.tell(Hints([WAITING]))

    def stop(self) -> None:
        self._listener.stop()


def _ended(payload: str) -> Ended:
    try:
        return frozenset(ids_in(payload)) if payload else None
    except ValueError:  # whoever says that, something was said
        return None
