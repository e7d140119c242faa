"""How processes of handlers end: by force, by themselves, with their worker, and never as orphans."""

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from app import InvalidJob, Job, JobCatalog, TaskContext, TaskQueueContainer, TaskStatus
from app.infra.settings import InvalidSettings, Settings
from tests.cli.running import ROOT, environment
from tests.faults.waiting import soon
from tests.worker import isolated
from tests.worker.conftest import QUICK
from tests.worker.running import Rig

MakeRig = Callable[..., Rig]


@pytest.fixture
async def make() -> AsyncIterator[MakeRig]:
    """Makes queues in memory with the jobs that a process can import, and settings of one's own."""
    made: list[TaskQueueContainer] = []

    def make(**settings: Any) -> Rig:
        given = QUICK | {"worker_cpu_processes": 1} | settings
        made.append(TaskQueueContainer(settings=Settings(in_memory=True, **given), jobs=isolated.jobs))
        return Rig(made[-1], isolated.jobs)

    yield make
    for tasks in made:
        await tasks.aclose()


def is_gone(pid: int) -> bool:
    """Whether there is no such process, nor the zombie of one."""
    return not psutil.pid_exists(pid)


def is_dead(pid: int) -> bool:
    """Whether it has ended; whoever adopts orphans here may be slow to bury them."""
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


async def noted(file: Path) -> list[int]:
    """The process ids that a handler has written there."""
    await soon(file.exists, within=20, what="the handler has begun")
    return [int(pid) for pid in file.read_text().split()]


async def test_a_late_handler_is_killed_with_all_it_has_started(make: MakeRig, tmp_path: Path) -> None:
    """The attempt has timed out, the process and its own child are gone, and the next task gets a new process."""
    rig = make()
    task = rig.enqueue("sleeps", {"file": str(tmp_path / "pids")}, timeout=0.5, max_attempts=1)
    async with rig.working() as worker:
        pid, program = await noted(tmp_path / "pids")
        found = await rig.until(task, TaskStatus.FAILED)
        await soon(lambda: is_gone(pid) and is_dead(program), what="both processes are gone")
        next_one = await rig.until(rig.enqueue("pid"), TaskStatus.COMPLETED, within=20)

        assert 0 == worker.left_behind
    assert found.errors[0].type.endswith("AttemptTimedOut")
    assert "no result within 0.5 s" == found.errors[0].message
    assert pid != next_one.result


async def test_a_loop_without_end_is_ended(make: MakeRig) -> None:
    """No thread could be; the time counts from the call of the handler, not from the start of its process."""
    rig = make()

    found = await rig.drained(rig.enqueue("loops"))

    assert (TaskStatus.FAILED, "AttemptTimedOut: no result within 0.3 s") == (found.status, found.error)


async def test_an_attempt_that_waits_for_a_process_is_not_on_its_time(make: MakeRig) -> None:
    """Three naps of 1.5 s in one process: the last begins after its timeout of 3 s."""
    rig = make(worker_concurrency=3)
    tasks = [rig.enqueue("naps", 1.5) for _ in range(3)]

    await rig.tasks.worker().drain()

    assert [(TaskStatus.COMPLETED, 1)] * 3 == [(rig.find(task).status, rig.find(task).attempts) for task in tasks]


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("exit", "the process of the handler ended with exit code 3 before it did"),
        ("segfault", "the process of the handler was ended by SIGSEGV"),
        ("killed", "the process of the handler was ended by SIGKILL, perhaps for want of memory"),
    ],
)
async def test_a_process_that_dies_fails_one_attempt(make: MakeRig, how: str, says: str) -> None:
    """It says of what, and the others go on."""
    rig = make()
    dies, other = rig.enqueue("dies", how, priority=1), rig.enqueue("pid")

    await rig.tasks.worker().drain()

    assert (TaskStatus.PENDING, 1, f"ProcessDied: {says}") == (
        rig.find(dies).status,
        rig.find(dies).attempts,
        rig.find(dies).error,
    )
    assert TaskStatus.COMPLETED is rig.find(other).status


async def test_an_idle_process_that_dies_is_replaced(make: MakeRig) -> None:
    """Nobody hears of it."""
    rig = make()
    async with rig.working():
        first = (await rig.until(rig.enqueue("pid"), TaskStatus.COMPLETED, within=20)).result
        os.kill(first, signal.SIGKILL)
        await soon(lambda: is_gone(first), what="it is gone, and no zombie")
        second = await rig.until(rig.enqueue("pid"), TaskStatus.COMPLETED, within=20)

    assert (1, True) == (second.attempts, first != second.result)


async def test_memory_is_limited(make: MakeRig) -> None:
    """What would take more is a failed attempt with a traceback, and the process is replaced."""
    rig = make(worker_process_memory="1GB")
    too_much, enough = rig.enqueue("hungry", 2_000_000_000, priority=1), rig.enqueue("hungry", 1_000)

    await rig.tasks.worker().drain()

    assert (TaskStatus.PENDING, "MemoryError") == (rig.find(too_much).status, rig.find(too_much).errors[0].type)
    assert "len(bytearray(payload))" in rig.find(too_much).errors[0].traceback
    assert 1_000 == rig.find(enough).result


async def test_a_process_that_keeps_much_is_replaced(make: MakeRig) -> None:
    """So that a task does not fail for what others before it have left."""
    rig = make(worker_process_memory="2GB")
    tasks = [rig.enqueue("keeps", 200_000_000) for _ in range(12)]

    await rig.tasks.worker().drain()

    found = [rig.find(task) for task in tasks]
    assert {(TaskStatus.COMPLETED, 1)} == {(task.status, task.attempts) for task in found}
    assert len({task.result for task in found}) > 1


async def test_handlers_hear_of_the_shutdown(make: MakeRig, tmp_path: Path) -> None:
    """One that asks completes within the grace."""
    rig = make(worker_shutdown_grace=20)
    task = rig.enqueue("sleeps", {"file": str(tmp_path / "pids"), "polite": True})
    async with rig.working():
        pid, _ = await noted(tmp_path / "pids")

    assert (TaskStatus.COMPLETED, pid) == (rig.find(task).status, rig.find(task).result)
    assert is_gone(pid)


async def test_after_the_grace_the_process_is_killed_and_the_task_given_back(make: MakeRig, tmp_path: Path) -> None:
    """With no attempt spent, and nothing left running."""
    rig = make(worker_shutdown_grace=0.2)
    task = rig.enqueue("sleeps", {"file": str(tmp_path / "pids")})
    async with rig.working() as worker:
        pids = await noted(tmp_path / "pids")

    assert (TaskStatus.PENDING, 0, 0) == (rig.find(task).status, rig.find(task).attempts, worker.left_behind)
    await soon(lambda: all(map(is_dead, pids)), what="both processes are gone")
    assert is_gone(pids[0])


async def test_a_lost_lease_ends_the_process(database_url: str, tmp_path: Path) -> None:
    """Its task may run elsewhere by now."""
    tasks = TaskQueueContainer(
        settings=Settings(database_url=database_url, **QUICK | {"worker_lease": 1}), jobs=isolated.jobs
    )
    rig = Rig(tasks, isolated.jobs)
    rig.enqueue("sleeps", {"file": str(tmp_path / "pids")}, max_attempts=1)
    async with rig.working() as worker:
        pid, _ = await noted(tmp_path / "pids")
        before = worker.id
        with tasks.engines().sync.begin() as connection:
            connection.exec_driver_sql("DELETE FROM worker.workers")
        await soon(lambda: is_gone(pid), within=20, what="the process is gone")
        await soon(lambda: worker.id != before, what="the worker comes back")
    await tasks.aclose()


WORKER = """
import asyncio, sys
from app import TaskQueueContainer
from app.infra.settings import Settings
from tests.worker.isolated import jobs
tasks = TaskQueueContainer(settings=Settings(in_memory=True), jobs=jobs)
tasks.enqueue_task().execute(type=sys.argv[1], payload={"file": sys.argv[2]})
asyncio.run(tasks.worker().run())
"""


@pytest.mark.parametrize("job", ["sleeps", "computes"])
async def test_no_process_survives_a_worker_that_was_killed(job: str, tmp_path: Path) -> None:
    """Nor what it has started; not even a handler that never lets go of the interpreter's lock."""
    file = tmp_path / "pids"
    worker = subprocess.Popen([sys.executable, "-c", WORKER, job, str(file)], env=environment(), cwd=ROOT)
    try:
        pids = await noted(file)
        worker.kill()
        await soon(lambda: all(map(is_dead, pids)), within=5, what="they end with their worker")
    finally:
        worker.kill()
        worker.wait()


def test_a_worker_without_such_jobs_imports_nothing_for_them() -> None:
    """Nor does it start anything."""
    program = """
import asyncio, sys
from app import JobCatalog, TaskQueueContainer
from app.infra.settings import Settings
jobs = JobCatalog()
jobs.define("plain")(lambda payload, context: None)
tasks = TaskQueueContainer(settings=Settings(in_memory=True), jobs=jobs)
tasks.enqueue_task().execute(type="plain")
assert 1 == asyncio.run(tasks.worker().drain())
print([name for name in sys.modules if name.startswith("app.worker.isolation")])
"""
    done = subprocess.run(
        [sys.executable, "-c", program], check=False, env=environment(), cwd=ROOT, capture_output=True, text=True
    )

    assert (0, "[]\n") == (done.returncode, done.stdout), done.stderr


def test_what_no_process_can_find_is_refused_at_its_definition() -> None:
    """Functions in functions and lambdas, by name, with the rule; services and transactions, too."""
    jobs = JobCatalog()

    def inner(payload: Any, context: TaskContext) -> None: ...

    def with_service(payload: Any, context: TaskContext, mailer: Any) -> None: ...

    with_service.__qualname__ = "with_service"

    with pytest.raises(
        InvalidJob, match=r"'inner': another process cannot find .*inner; isolation needs a function or"
    ):
        jobs.define("inner", isolation="process")(inner)
    with pytest.raises(InvalidJob, match=r"'lambda': another process cannot find .*<lambda>"):
        jobs.define("lambda", isolation="process")(lambda payload, context: None)
    with pytest.raises(InvalidJob, match=r"'served': its handler asks for services .mailer., which stay"):
        jobs.define("served", isolation="process")(with_service)
    with pytest.raises(InvalidJob, match="'both': is transactional and isolated"):
        jobs.define("both", isolation="process", transactional=True)(isolated.computes_in_c.handler)
    assert 0 == len(jobs)


def test_what_its_module_does_not_hold_is_refused_at_the_start() -> None:
    """A job that was made of a function of another module, and one of the program that was started."""

    def refused(job: Job[Any, Any]) -> str:
        catalog = JobCatalog()
        catalog.add(job)
        with pytest.raises(InvalidJob) as error:
            TaskQueueContainer(settings=Settings(in_memory=True), jobs=catalog).worker()
        return str(error.value)

    def main(payload: Any, context: TaskContext) -> None: ...

    main.__module__, main.__qualname__ = "__main__", "main"

    assert "has neither a job 'elsewhere' nor a catalog" in refused(
        Job("elsewhere", isolated.computes_in_c.handler, isolation="process")
    )
    assert "would find another job" in refused(Job("pid", isolated.computes_in_c.handler, isolation="process"))
    assert "in the program that was started" in refused(Job("main", main, isolation="process"))


@pytest.mark.parametrize(
    "wrong", [{"worker_cpu_processes": 0}, {"worker_process_memory": "1MB"}, {"worker_process_tasks": 0}]
)
def test_wrong_settings_are_refused_by_name(wrong: dict[str, Any]) -> None:
    """As everywhere."""
    with pytest.raises(InvalidSettings, match=next(iter(wrong)).upper()):
        Settings(in_memory=True, **wrong)
