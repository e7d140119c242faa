"""Several worker processes under one supervisor: started, started again, and stopped together."""

import os
import re
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest

from app import TaskQueueContainer, TaskStatus, WorkerTask
from app.infra.embedded import Cluster
from app.infra.settings import Settings
from tests.cli.running import PATIENCE, Ended, Running, run
from tests.faults.waiting import eventually

JOBS = "tests.journeys.processes:jobs"
Supervise = Callable[..., Running]


@pytest.fixture
def tasks(database_url: str) -> Iterator[TaskQueueContainer]:
    """The application's side."""
    tasks = TaskQueueContainer(settings=Settings(database_url=database_url, worker_jobs=JOBS))
    yield tasks
    tasks.close()


@pytest.fixture
def supervise(database_url: str, tmp_path: Path) -> Iterator[Supervise]:
    """Starts ``worker --processes``, of which nothing is left in the end."""
    with ExitStack() as running:

        def start(*arguments: str, **settings: object) -> Running:
            known: dict[str, object] = {"database_url": database_url, "worker_jobs": JOBS, "worker_lease": "2s"}
            known |= {"worker_stale_check_interval": "0.5s"} | settings
            started = Running(["worker", *arguments], folder=tmp_path, **known)
            running.enter_context(started)
            running.callback(kill_all, started)
            return started

        yield start


@pytest.fixture
def call_there(database_url: str, tmp_path: Path) -> Callable[..., Ended]:
    """Runs a command in an empty folder, to its end."""

    def call(*arguments: str, **settings: object) -> Ended:
        known: dict[str, Any] = {"database_url": database_url, "worker_jobs": JOBS}
        return run(arguments, folder=tmp_path, **known | settings)

    return call


def pids(supervisor: Running) -> list[int]:
    """Those of all worker processes it has started so far."""
    return [int(pid) for pid in re.findall(r"Worker process \d+ of \d+ is pid (\d+)", supervisor.log)]


def kill_all(supervisor: Running) -> None:
    for pid in filter(psutil.pid_exists, pids(supervisor)):
        psutil.Process(pid).kill()


def enqueue(tasks: TaskQueueContainer, type: str, payload: Any = None, **asked: Any) -> WorkerTask:
    return tasks.enqueue_task().execute(type=type, payload=payload, **asked)


def result(tasks: TaskQueueContainer, task: WorkerTask, supervisor: Running) -> Any:
    """That of a task which completes."""
    eventually(
        lambda: tasks.find_task().execute(task.id).status is TaskStatus.COMPLETED,
        within=PATIENCE,
        what=f"{task.type} completes",
        log=lambda: supervisor.log,
    )
    return tasks.find_task().execute(task.id).result


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_several_processes_work_and_end_together(
    tasks: TaskQueueContainer, supervise: Supervise, number: signal.Signals
) -> None:
    """Each is a worker of its own; one signal ends them all in good order, and the exit code is 0."""
    supervisor = supervise("--processes", "2", "--concurrency", "1")
    supervisor.wait_until_said(" runs ", times=2)
    made = [enqueue(tasks, "pid", 0.5) for _ in range(2)]

    assert set(pids(supervisor)) == {result(tasks, task, supervisor) for task in made}
    assert 2 == len(tasks.check_queue().execute().workers)
    running = enqueue(tasks, "pid", 2)
    eventually(
        lambda: tasks.find_task().execute(running.id).status is TaskStatus.RUNNING, within=PATIENCE, what="it runs"
    )
    os.killpg(supervisor.pid, number)  # as the terminal does
    eventually(lambda: psutil.Process(supervisor.pid).status() == "zombie", within=PATIENCE, what="it ends")
    assert 0 == supervisor.ended_by(number), supervisor.log
    assert TaskStatus.COMPLETED is tasks.find_task().execute(running.id).status
    assert 2 == supervisor.log.count("has stopped after")
    assert not any(map(psutil.pid_exists, pids(supervisor)))


def test_one_that_dies_is_replaced(tasks: TaskQueueContainer, supervise: Supervise) -> None:
    """It says so, its task is recovered, and the other has never stopped."""
    supervisor = supervise(worker_processes=2, worker_concurrency=1)
    supervisor.wait_until_said(" runs ", times=2)

    ran = result(tasks, enqueue(tasks, "deadly"), supervisor)
    supervisor.wait_until_said(" runs ", times=3)

    first, second, third = pids(supervisor)
    assert ran in (first, second, third)
    assert 1 == supervisor.log.count("was ended by SIGKILL: starting another in 1 s")
    assert 1 == [psutil.pid_exists(pid) for pid in (first, second)].count(True)
    assert psutil.pid_exists(third)
    assert 0 == supervisor.ended_by(signal.SIGTERM)


def test_the_pauses_grow_while_they_go_on_dying(supervise: Supervise) -> None:
    """And a signal ends the waiting."""
    supervisor = supervise("--processes=1", worker_jobs="tests.journeys.broken:jobs")

    supervisor.wait_until_said("ended with exit code 7: starting another in 1 s")
    supervisor.wait_until_said("ended with exit code 7: starting another in 2 s")
    supervisor.wait_until_said("ended with exit code 7: starting another in 4 s")

    assert 0 == supervisor.ended_by(signal.SIGTERM)


def test_a_second_signal_hurries_all_of_them(tasks: TaskQueueContainer, supervise: Supervise) -> None:
    """It is passed on as the first one was, and what runs is given back."""
    supervisor = supervise("--processes", "2", worker_shutdown_grace="600s")
    supervisor.wait_until_said(" runs ", times=2)
    task = enqueue(tasks, "pid", 600)
    eventually(lambda: tasks.find_task().execute(task.id).status is TaskStatus.RUNNING, what="it runs")

    supervisor.send(signal.SIGTERM)
    supervisor.wait_until_said("asked to stop", times=2)

    assert 0 == supervisor.ended_by(signal.SIGTERM), supervisor.log
    found = tasks.find_task().execute(task.id)
    assert (TaskStatus.PENDING, 0) == (found.status, found.attempts)


def test_a_signal_to_every_process_at_once_hurries_nobody(tasks: TaskQueueContainer, supervise: Supervise) -> None:
    """As service managers send it: to the supervisor, which passes it on, and to its workers."""
    supervisor = supervise("--processes=2", worker_shutdown_grace="60s")
    supervisor.wait_until_said(" runs ", times=2)
    task = enqueue(tasks, "pid", 2)
    eventually(lambda: tasks.find_task().execute(task.id).status is TaskStatus.RUNNING, what="it runs")

    for pid in pids(supervisor):
        os.kill(pid, signal.SIGTERM)

    assert 0 == supervisor.ended_by(signal.SIGTERM), supervisor.log
    assert TaskStatus.COMPLETED is tasks.find_task().execute(task.id).status


def test_workers_end_when_their_supervisor_is_killed(tasks: TaskQueueContainer, supervise: Supervise) -> None:
    """Nobody would stop them otherwise."""
    supervisor = supervise("--processes", "2")
    supervisor.wait_until_said(" runs ", times=2)

    supervisor.ended_by(signal.SIGKILL)

    eventually(lambda: supervisor.log.count("has stopped after") == 2, within=PATIENCE, what="both have stopped")
    eventually(lambda: not any(map(alive, pids(supervisor))), within=PATIENCE, what="both are gone")


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def test_drain_ends_when_all_have_drained(tasks: TaskQueueContainer, call_there: Callable[..., Ended]) -> None:
    """It tells the sum of their attempts, isolated ones included."""
    for _ in range(6):
        enqueue(tasks, "pid", 0.1)
    enqueue(tasks, "isolated")

    ended = call_there("worker", "--processes", "2", "--drain", "--json")

    assert {"attempts": 7} == ended.json
    assert 7 == tasks.get_task_stats().execute().completed


@pytest.mark.parametrize(
    ("command", "settings", "refusal"),
    [
        ("--processes 2 --reload", {}, (2, "not allowed with argument")),
        ("--reload", {"worker_processes": 2}, (1, "error: --reload is for one worker process")),
        ("--processes 0", {}, (2, "must be a whole number, 1 or more")),
        ("", {"worker_processes": 0}, (1, "error: WORKER_PROCESSES: ")),
        ("--processes 2", {"worker_jobs": "no.where:jobs"}, (1, "refused its start: stopping")),
    ],
)
def test_what_cannot_work_is_refused(
    call_there: Callable[..., Ended], command: str, settings: dict[str, Any], refusal: tuple[int, str]
) -> None:
    """With an exit code that says so, and nothing tried again and again."""
    ended = call_there("worker", *command.split(), **settings)

    assert refusal[0] == ended.code
    assert refusal[1] in ended.err


def test_several_processes_share_the_embedded_server(server_folder: Path) -> None:
    """Whoever comes first starts it, and the last one stops it; tasks are run once each."""
    home = server_folder / "several"
    home.mkdir()
    settings = {"worker_jobs": JOBS, "data_dir": home / ".data"}
    with Running(["worker", "--processes", "2", "--concurrency", "1"], folder=home, **settings) as supervisor:
        supervisor.wait_until_said(" runs ", times=2)
        tasks = TaskQueueContainer(settings=Settings(data_dir=home / ".data", worker_jobs=JOBS))
        made = [enqueue(tasks, "pid", 0.5) for _ in range(4)]
        ran = {result(tasks, task, supervisor) for task in made}
        tasks.close()
        code = supervisor.ended_by(signal.SIGTERM)

    cluster = Cluster(home / ".data" / "postgres")
    cluster.prepare()
    assert (0, set(pids(supervisor))) == (code, ran)
    assert cluster.postmaster() is None
