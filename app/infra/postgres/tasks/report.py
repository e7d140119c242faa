"""Report: how far running attempts have come, and what they save, each behind the fence of its lease."""

from collections.abc import Iterable
from typing import Any

from sqlalchemy import ARRAY, Double, Text, Uuid, any_, case, cast, func, select, update

from app.domain.tasks.repository import Progress
from app.infra.postgres.arrays import ValuesById
from app.infra.postgres.tables import tasks
from app.infra.postgres.tasks.settle import LEASE, checkpoint_of, checkpoint_parameters, fenced, holds_lease


def _report() -> Any:
    reported = ValuesById("reported", **LEASE, percent=Double, message=Text, checkpoint=Text)
    percent, message = reported.of(tasks.c.id, "percent"), reported.of(tasks.c.id, "message")
    # A session that completes its task holds the row until it has committed, and nobody's outcome waits for that here.
    free = (
        select(tasks.c.id)
        .where(holds_lease(reported))
        .with_for_update(key_share=True, skip_locked=True)
        .cte("free")
        .prefix_with("MATERIALIZED")
    )
    # As one array again, for there is nothing to choose about how its rows are found: see ValuesById.
    ids = select(func.array_agg(free.c.id)).scalar_subquery()
    return (
        update(tasks)
        .where(tasks.c.id == any_(cast(ids, ARRAY(Uuid))), fenced(reported))
        .values(
            progress=func.coalesce(percent, tasks.c.progress),
            progress_message=case((percent.is_(None), tasks.c.progress_message), else_=message),
            checkpoint=checkpoint_of(reported),
        )
        .returning(tasks.c.id)
    )


REPORT = _report()


def progress_parameters(reports: Iterable[Progress]) -> dict[str, list[Any]]:
    reports = sorted(reports, key=lambda report: report.task_id.int)
    return {
        "id_list": [report.task_id for report in reports],
        "lease_seq_list": [report.lease_seq for report in reports],
        "percent_list": [report.percent for report in reports],
        "message_list": [report.message for report in reports],
        **checkpoint_parameters(reports),
    }
