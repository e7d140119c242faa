"""Services: what handlers ask for beside their payload, found in the application's container or dict."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from dependency_injector import containers, providers

from app import InvalidInput, InvalidJob, JobCatalog, TaskContext, TaskQueueContainer, TaskStatus, WorkerTask
from app.infra.settings import Settings
from tests.worker.conftest import QUICK
from tests.worker.running import Rig


class Mailer:
    def __init__(self, name: str = "mailer") -> None:
        self.name = name


class Ledger:
    name = "ledger"


class Shop(containers.DeclarativeContainer):
    mailer = providers.Singleton(Mailer, "of the shop")
    other = providers.Factory(Ledger)


async def ran(services: Any, handler: Callable[..., Any]) -> WorkerTask:
    """A task of this handler, once a worker with these services has drained its queue."""
    jobs = JobCatalog()
    tasks = TaskQueueContainer(settings=Settings(in_memory=True, **QUICK), jobs=jobs, services=services)
    found = await Rig(tasks, jobs).ran(handler, max_attempts=1)
    await tasks.aclose()
    return found


async def on_loop(payload: Any, context: TaskContext, mailer: Any) -> str:
    return str(mailer.name)


def in_thread(payload: Any, context: TaskContext, *, mailer: Any) -> str:
    return str(mailer.name)


@pytest.mark.parametrize("handler", [on_loop, in_thread])
@pytest.mark.parametrize(
    ("services", "name"),
    [
        (Shop(), "of the shop"),
        ({"mailer": providers.Factory(Mailer, "of a provider")}, "of a provider"),
        ({"mailer": lambda: Mailer("of a function")}, "of a function"),
        ({"mailer": Mailer("itself")}, "itself"),
    ],
    ids=["container", "provider", "function", "object"],
)
async def test_a_service_is_found_by_the_name_of_its_parameter(services: Any, name: str, handler: Any) -> None:
    """In a container or a dict, as a provider, a function that makes it, or the thing itself."""
    assert name == (await ran(services, handler)).result


async def _by_type(payload: Any, context: TaskContext, sender: Mailer) -> str:
    return sender.name


@pytest.mark.parametrize(
    "services",
    [
        Shop(),
        {"x": providers.Object(Mailer("of the shop")), "y": Ledger()},
        {"x": Mailer("of the shop")},
        {Mailer: lambda: Mailer("of the shop")},
    ],
    ids=["container", "provider", "object", "type"],
)
async def test_a_service_is_found_by_the_type_of_its_parameter(services: Any) -> None:
    """Where none has its name, and one alone is of its type."""
    assert "of the shop" == (await ran(services, _by_type)).result


async def test_a_name_goes_before_a_type() -> None:
    """Who names a parameter after a service means that one."""
    found = await ran({"sender": Mailer("named"), "other": Mailer("typed")}, _by_type)

    assert "named" == found.result


@pytest.mark.parametrize(
    ("services", "rule"),
    [
        (None, "'sender': there is none of that name, and none is a Mailer; there are no services: give"),
        ({"ledger": Ledger()}, "'sender': there is none of that name, and none is a Mailer; there are ledger"),
        ({"a": Mailer(), "b": Mailer()}, "'sender': several are a Mailer: a, b; name the parameter after one"),
    ],
    ids=["none", "missing", "ambiguous"],
)
def test_a_service_that_cannot_be_found_stops_the_worker_before_it_starts(services: Any, rule: str) -> None:
    """Naming the job and the parameter, and what there is instead."""
    jobs = JobCatalog()
    jobs.define("email:send")(_by_type)
    tasks = TaskQueueContainer(settings=Settings(in_memory=True, **QUICK), jobs=jobs, services=services)

    with pytest.raises(InvalidJob) as refused:
        tasks.worker()

    assert "email:send" == refused.value.type
    assert str(refused.value).startswith("job 'email:send': its handler asks for the service ")
    assert rule in str(refused.value)


def test_a_parameter_that_says_nothing_is_found_by_name_or_not_at_all() -> None:
    """Without an annotation there is nothing else to go by."""
    jobs = JobCatalog()
    jobs.define("email:send")(lambda payload, context, sender: None)
    tasks = TaskQueueContainer(settings=Settings(in_memory=True, **QUICK), jobs=jobs, services={"mailer": Mailer()})

    with pytest.raises(InvalidJob, match="there is none of that name, and its annotation says nothing"):
        tasks.worker()


async def test_an_asynchronous_service_is_awaited() -> None:
    """A function that is awaited for what it makes, or a provider of dependency_injector that is."""

    async def make() -> Mailer:
        return Mailer("awaited")

    for services in ({"mailer": make}, {"mailer": providers.Coroutine(make)}):
        assert "awaited" == (await ran(services, on_loop)).result


async def test_an_asynchronous_service_is_too_much_for_a_thread_which_says_so() -> None:
    """There is no loop to wait on; the way out is in the message."""

    async def make() -> Mailer:
        return Mailer("awaited")

    found = await ran({"mailer": make}, in_thread)

    assert TaskStatus.FAILED is found.status
    assert "the service 'mailer' must be awaited, which a handler in a thread cannot: make it async def" in (
        found.error or ""
    )


async def test_a_service_that_cannot_be_made_fails_the_attempt() -> None:
    """Like anything that goes wrong in it."""
    found = await ran({"mailer": providers.Factory(Mailer, nonsense=True)}, on_loop)

    assert (TaskStatus.FAILED, "TypeError") == (found.status, found.errors[0].type)


async def test_a_service_is_made_for_each_attempt_unless_its_provider_keeps_it() -> None:
    """Its provider decides, as everywhere in the application."""
    made: list[int] = []

    async def handler(payload: Any, context: TaskContext, mailer: Any, kept: Any) -> None:
        made.append(id(mailer))
        assert kept is shop.kept()

    class Keeping(containers.DeclarativeContainer):
        mailer = providers.Factory(Mailer)
        kept = providers.Singleton(Mailer)

    shop, jobs = Keeping(), JobCatalog()
    jobs.define("job")(handler)
    tasks = TaskQueueContainer(settings=Settings(in_memory=True, **QUICK), jobs=jobs, services=shop)
    alive = [tasks.enqueue_task().execute(type="job") for _ in range(2)]
    await tasks.worker().drain()

    assert {TaskStatus.COMPLETED} == {tasks.find_task().execute(task.id).status for task in alive}
    assert 2 == len(made)
    await tasks.aclose()


def test_services_that_are_no_services_are_refused() -> None:
    """A container, or a dict."""
    tasks = TaskQueueContainer(settings=Settings(in_memory=True, **QUICK), jobs=JobCatalog(), services=7)

    with pytest.raises(InvalidInput, match="services: must be a container, or a dict"):
        tasks.worker()


def _echo(payload: Any, context: TaskContext) -> Any:
    return payload


def test_who_runs_one_job_needs_no_services_of_others(settings: Settings) -> None:
    """Where it is called, stored or not; the other one says what it lacks, and nothing of it is stored."""
    jobs = JobCatalog()
    job = jobs.define("echo")(_echo)
    other = jobs.define("email:send")(_by_type)
    tasks = TaskQueueContainer(settings=settings, jobs=jobs)

    assert [1, 2] == [job.run(1).unwrap(), job.run(2, persist=True).unwrap()]
    task = tasks.enqueue_task().execute(type="email:send")
    for run in (
        partial(other.run, None),
        partial(other.run, None, persist=True),
        partial(tasks.run_task().execute, task.id),
    ):
        with pytest.raises(InvalidJob, match="its handler asks for the service 'sender'"):
            run()

    assert TaskStatus.PENDING is tasks.find_task().execute(task.id).status
    assert (2, []) == (tasks.get_task_stats().execute().total, list(tasks.check_queue().execute().workers))
    tasks.close()
