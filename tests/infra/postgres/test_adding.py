"""Add: what the database answers with, and what is worked out from it."""

from datetime import timedelta

from sqlalchemy import Engine, create_engine

from app import JobCatalog, NewTask, TaskQueueContainer


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
