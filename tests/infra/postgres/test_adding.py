"""Add: what the database answers with, and what is worked out from it."""

from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, event

from app import DatabaseUnavailable, JobCatalog, NewTask, TaskQueueContainer, Unique


def test_a_delay_is_no_time_on_the_clock_of_the_session(engine: Engine) -> None:
    """
    Half a year on, clocks in Berlin have been put forward or back, and the task is due when the database says so.
    """
    berlin = create_engine(engine.url, connect_args={"options": "-c TimeZone=Europe/Berlin"})
    tasks = TaskQueueContainer(engine=berlin, jobs=JobCatalog())
    delays = [timedelta(days=days) for days in range(0, 365, 60)]

    added = tasks.enqueue_tasks().execute([NewTask(type="a:b", delay=delay) for delay in delays])

    found = [tasks.find_task().execute(task.id) for task in added]
    assert [task.scheduled_at.timestamp() for task in found] == [task.scheduled_at.timestamp() for task in added]
    assert delays == [timedelta(seconds=task.scheduled_at.timestamp() - task.created_at.timestamp()) for task in added]
    tasks.close()
    berlin.dispose()


@pytest.mark.parametrize("unique", [False, True], ids=["plain", "beside a unique job"])
def test_what_can_be_read_only_once_is_there_when_the_work_is_done_again(engine: Engine, unique: bool) -> None:
    """
    The connection breaks under the first INSERT, before anything is committed; the second finds all that was given.
    """
    jobs = JobCatalog()
    jobs.define("a:b", unique=Unique(key=lambda payload: payload) if unique else None)(lambda payload, context: None)
    tasks = TaskQueueContainer(engine=engine, jobs=jobs)
    broken: list[int] = []

    def break_once(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "INSERT INTO worker.tasks" in statement and not broken:
            broken.append(1)
            with engine.connect() as other:
                pid = connection.connection.driver_connection.info.backend_pid
                other.exec_driver_sql(f"SELECT pg_terminate_backend({pid}, 5000)")

    event.listen(engine, "before_cursor_execute", break_once)
    try:
        added = tasks.enqueue_tasks().execute(NewTask(type="a:b", payload=number) for number in range(3))
    except DatabaseUnavailable:
        added = None  # by itself a statement may have been committed, and is not sent again
    finally:
        event.remove(engine, "before_cursor_execute", break_once)

    assert [1] == broken
    assert tasks.get_task_stats().execute().pending == (0 if added is None else 3)
    assert (added is None) is not unique
    tasks.close()
