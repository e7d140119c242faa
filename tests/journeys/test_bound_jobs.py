"""Which queue the jobs of a catalog belong to, and whose services they get."""

from typing import Any

import pytest
from dependency_injector import containers, providers

from app import JobCatalog, TaskContext, TaskQueueContainer, TaskStatus
from app.infra.settings import Settings
from tests.journeys.typed import LETTER, Jobs, Letter, stored


async def test_a_catalog_belongs_to_the_container_that_was_built_last(settings: Settings, jobs: Jobs) -> None:
    """Whatever is done with an earlier one meanwhile, which keeps what it has."""
    first = TaskQueueContainer(settings=Settings(in_memory=True), jobs=jobs.catalog)
    jobs.numbers.enqueue([1])
    second = TaskQueueContainer(settings=settings, jobs=jobs.catalog)

    handle = jobs.numbers.enqueue([2])
    ran = await first.worker().drain()
    another = jobs.numbers.enqueue([3])

    assert (1, 1, 2) == (ran, stored(first), stored(second))
    assert 2 == await second.worker().drain()
    assert [{"sum": 2}, {"sum": 3}] == [await handle.aresult(0), await another.aresult(0)]
    for container in (first, second):
        await container.aclose()


async def test_a_job_of_another_catalog_is_run_by_nobody_here(tasks: TaskQueueContainer, jobs: Jobs) -> None:
    """It goes to its own queue, and is unknown to this one's workers."""
    others = JobCatalog()
    other = others.define("other")(lambda payload, context: None)
    elsewhere = TaskQueueContainer(settings=Settings(in_memory=True), jobs=others)

    other.enqueue([1])
    task = tasks.enqueue_task().execute(type="other", payload={"any": "thing"})

    assert 0 == await tasks.worker().drain()
    assert (1, TaskStatus.PENDING) == (stored(elsewhere), tasks.find_task().execute(task.id).status)


@pytest.mark.parametrize("given", ["itself", "an object", "a provider"])
async def test_jobs_find_their_queue_in_an_embedded_container(settings: Settings, jobs: Jobs, given: str) -> None:
    """That of the container that was made, not of the class it was made of, however the catalog is handed in."""
    catalog: Any = {
        "itself": jobs.catalog,
        "an object": providers.Object(jobs.catalog),
        "a provider": providers.Singleton(lambda: jobs.catalog),
    }[given]

    class Shop(containers.DeclarativeContainer):
        tasks = providers.Container(TaskQueueContainer, settings=providers.Object(settings), jobs=catalog)

    Shop()
    shop = Shop()
    if given == "a provider":
        shop.tasks.catalog()  # made when it is first needed, and told then

    handle = jobs.numbers.enqueue([1, 2])

    @jobs.catalog.define("later", payload=Letter)
    def later(payload: Letter, context: TaskContext) -> None:
        jobs.effects.append(payload)

    shop.tasks.enqueue_task().execute(type="later", payload={"to": LETTER.to})

    assert 2 == await shop.tasks.worker().drain()
    assert {"sum": 3} == await handle.aresult(timeout=0)
    assert [LETTER] == jobs.effects
    await shop.tasks.aclose()


async def test_services_are_given_by_name_or_type(settings: Settings) -> None:
    """To functions and classes alike."""

    class Scale:
        def weigh(self, payload: Letter) -> int:
            return len(payload.to)

    catalog = JobCatalog()

    @catalog.define("weigh", payload=Letter)
    def weigh(payload: Letter, context: TaskContext, scale: Scale, unit: str) -> str:
        return f"{scale.weigh(payload)} {unit}"

    tasks = TaskQueueContainer(settings=settings, jobs=catalog, services={Scale: Scale(), "unit": "g"})
    handle = weigh.enqueue(LETTER)
    await tasks.worker().drain()

    assert "8 g" == await handle.aresult(timeout=0)
    await tasks.aclose()
