"""Behind a transaction pooler with two server connections everything works, and what is missing is said."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy.orm import Session

from app import JobCatalog, NewTask, TaskContext, TaskQueueContainer, TaskStatus
from app.infra.settings import Settings
from tests.infra.postgres.callers import TYPE, until
from tests.infra.postgres.pooler import Pooler
from tests.server import OwnServer

SERVERS = 2
JOBS = """
from app import JobCatalog

jobs = JobCatalog()


@jobs.define("order:ship")
async def ship(payload, context):
    return payload
"""
jobs = JobCatalog()


@jobs.define(TYPE)
async def ship(payload: Any, context: TaskContext) -> Any:
    context.progress(50)
    return payload


@pytest.fixture(scope="module")
def server(server_folder: Path) -> Iterator[OwnServer]:
    server = OwnServer(server_folder / uuid4().hex[:8])
    server.start()
    yield server
    server.stop()


@pytest.fixture
def pooler(server: OwnServer) -> Iterator[Pooler]:
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("DROP SCHEMA IF EXISTS worker CASCADE")
        [folder] = connection.execute("SHOW unix_socket_directories").fetchone() or ()
    with Pooler(Path(folder.strip('"')) / ".s.PGSQL.5432", SERVERS) as pooler:
        yield pooler


def queue(pooler: Pooler) -> TaskQueueContainer:
    return TaskQueueContainer(settings=Settings(database_url=pooler.url(), worker_concurrency=10), jobs=jobs)


def test_the_pooler_gives_each_transaction_another_connection(pooler: Pooler) -> None:
    """
    Otherwise these tests would prove nothing: what a session leaves behind is not its own.
    """
    with psycopg.connect(pooler.url()) as one, psycopg.connect(pooler.url()) as two:
        one.execute("SET application_name TO 'of one'")
        first = one.info.backend_pid, one.execute("SELECT pg_backend_pid()").fetchone()
        two.execute("SELECT 1")
        one.commit()
        found = two.execute("SELECT pg_backend_pid()").fetchone()
        two.commit()
        after = one.execute("SELECT current_setting('application_name')").fetchone()

    assert first[1] != found
    assert (("of one",), SERVERS) == (after, pooler.most_servers)


async def test_producers_and_workers_share_two_connections(pooler: Pooler) -> None:
    """
    Migrate, enqueue in every way, run, and read: more clients than connections, and nothing is lost or prepared.
    """
    tasks, worker = queue(pooler), queue(pooler)
    await asyncio.to_thread(tasks.migrations().upgrade)
    await asyncio.to_thread(tasks.migrations().upgrade)

    def produce(number: int) -> None:
        for _ in range(8):
            tasks.enqueue_task().execute(type=TYPE, payload=number)
            with Session(tasks.sync_engine()) as session, session.begin():
                tasks.enqueue_task().execute_in(session, type=TYPE, payload=number)

    with ThreadPoolExecutor(5) as threads:
        producing = [asyncio.wrap_future(threads.submit(produce, number)) for number in range(5)]
        bulk = (tasks.enqueue_tasks().aexecute([NewTask(type=TYPE)] * 4) for _ in range(5))
        attempts, _, _ = await asyncio.gather(
            worker.worker().drain(), asyncio.gather(*producing), asyncio.gather(*bulk)
        )
    attempts += await worker.worker().drain()
    stats = await tasks.get_task_stats().aexecute()
    await tasks.aclose()
    await worker.aclose()

    assert (100, 100, SERVERS) == (attempts, stats.completed, pooler.most_servers)
    assert pooler.most_clients > 2 * SERVERS


def test_a_deaf_worker_says_so_and_polls(pooler: Pooler, tmp_path: Path) -> None:
    """
    It finds its tasks by looking, and check names what is missing.
    """
    (tmp_path / "shop.py").write_text(JOBS)
    environment = os.environ | {
        "DATABASE_URL": pooler.url(),
        "WORKER_JOBS": "shop:jobs",
        "WORKER_POLL_INTERVAL": "0.2",
        "WORKER_LEASE": "4",
    }

    tasks = queue(pooler)
    tasks.migrations().upgrade()
    log = tmp_path / "worker.log"
    with log.open("w") as lines:
        worker = subprocess.Popen([sys.executable, "-m", "app", "worker"], stderr=lines, cwd=tmp_path, env=environment)
    until(lambda: "Notifications do not arrive over this connection (a transaction pooler" in log.read_text())
    until(lambda: [False] == [one.hears_notifications for one in tasks.check_queue().execute().workers])
    task = tasks.enqueue_task().execute(type=TYPE)
    until(lambda: tasks.get_task_stats().execute().completed == 1)
    check = [sys.executable, "-m", "app", "check", "--json"]
    checked = subprocess.run(check, check=False, capture_output=True, text=True, cwd=tmp_path, env=environment)
    worker.terminate()
    code = worker.wait(20)
    tasks.close()

    facts = json.loads(checked.stdout)
    problems = facts["problems"]
    assert ("transaction pooler", False) == (facts["connection"], facts["notifications"])
    assert (0, 1, 2) == (code, checked.returncode, len(problems))
    assert [True, True] == ["(a transaction pooler in between?)" in problem for problem in problems]
    assert TaskStatus.PENDING is task.status
