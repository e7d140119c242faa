"""What a type checker makes of an application that uses the public names."""

import subprocess
import sys
from pathlib import Path

from tests.cli.running import ROOT, environment

APPLICATION = '''
"""An application."""

from datetime import timedelta
from typing import Any

from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

from app import Exponential, JobCatalog, NewTask, TaskCompleted, TaskContext, TaskQueueContainer, TaskStats, WorkerTask
from app.infra.settings import Settings

engine = create_engine("postgresql+psycopg:///shop")
jobs = JobCatalog()
tasks = TaskQueueContainer(settings=Settings(in_memory=True), engine=engine, jobs=jobs)


@jobs.define("email:send", timeout=60, max_attempts=3, retry=Exponential(first=5))
async def send(payload: dict[str, Any], context: TaskContext) -> dict[str, Any] | None:
    context.progress(50, "half")
    return None


@jobs.define("email:sort")
def sort(payload: Any, context: TaskContext) -> None:
    context.log.info("%s", context.task.id)


@tasks.signals().completed.connect
def on_completed(sender: str, event: TaskCompleted) -> None:
    seconds: float = event.duration


async def use(session: Session, other: AsyncSession) -> None:
    one: WorkerTask = tasks.enqueue_task().execute(type="email:send", payload={}, priority=10, tags=["x"])
    one = await tasks.enqueue_task().aexecute(type="email:send", payload={}, delay=timedelta(minutes=5))
    one = tasks.enqueue_task().execute_in(session, type="email:send")
    one = await tasks.enqueue_task().aexecute_in(other, type="email:send")
    many: list[WorkerTask] = tasks.enqueue_tasks().execute([NewTask(type="email:send", payload={})])
    many = tasks.list_tasks().execute(status="failed", type="email:*", queue=None, limit=50)
    one = tasks.retry_task().execute(one.id, reset_attempts=True)
    one = tasks.cancel_task().execute(one.id)
    one = tasks.find_task().execute(one.id)
    counts: TaskStats = tasks.get_task_stats().execute()
    removed: int = tasks.cleanup_tasks().execute(older_than=timedelta(days=7))
    attempts: int = await tasks.worker().drain()
'''

MISTAKES = {
    "tasks.enqueue_task().execute(type=3)": "arg-type",
    'tasks.enqueue_task().execute(type="email:send", colour="red")': "call-arg",
    "tasks.cleanup_tasks().execute()": "call-arg",
    'wrong: str = tasks.enqueue_task().execute(type="email:send")': "assignment",
}


def test_strict_mypy_accepts_an_application_and_finds_its_mistakes(tmp_path: Path) -> None:
    """Not one complaint about the good code, and one about each mistake."""
    application = tmp_path / "application.py"
    application.write_text("\n".join([APPLICATION, *MISTAKES]) + "\n")
    first = APPLICATION.count("\n") + 2

    checked = subprocess.run(
        # The cache is the one of `make types`; it only makes this quick.
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", str(application)],
        check=False,
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=110,
    )

    errors = [line for line in checked.stdout.splitlines() if ": error: " in line]
    found = {int(line.split(":")[1]): line.rpartition("[")[2].rstrip("]") for line in errors}
    assert dict(zip(range(first, first + len(MISTAKES)), MISTAKES.values(), strict=True)) == found, checked.stdout
    assert "" == checked.stderr
