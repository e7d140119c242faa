"""Models at their edges: what cannot be stored or read back is refused, and everybody hears of it."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import pytest
from pydantic import BaseModel, Field, SecretStr

from app import InvalidInput, InvalidJob, Job, JobCatalog, TaskContext, TaskQueueContainer, TaskStatus, Unfit
from app.infra.settings import Settings
from tests.worker.effects import WRITE, Effects
from tests.worker.running import Rig

T = TypeVar("T")
S = TypeVar("S")


class Aliased(BaseModel):
    number: int = Field(alias="No")


class Partly(BaseModel):
    kept: int
    left_out: int = Field(exclude=True)


class Raw(BaseModel):
    octets: bytes


class Hidden(BaseModel):
    password: SecretStr


def nothing(payload: Any, context: TaskContext) -> None:
    """Does nothing."""


async def test_models_with_aliases_are_stored_as_they_are_read(rig: Rig) -> None:
    """Payload and result alike."""

    @rig.jobs.define("aliased", payload=Aliased, result=Aliased)
    async def twice(payload: Aliased, context: TaskContext) -> Aliased:
        return Aliased(No=2 * payload.number)

    task = await twice.aenqueue(Aliased(No=4))
    await rig.tasks.worker().drain()

    assert 8 == (await task.aresult()).number


@pytest.mark.parametrize("result", [Partly(kept=1, left_out=2), Raw(octets=b"\xff")], ids=["not read back", "no text"])
async def test_a_result_that_cannot_be_kept_fails_for_good(rig: Rig, result: BaseModel) -> None:
    """Once, because its effects are done; and on_error hears of it."""
    ran: list[int] = []
    heard: list[str] = []

    async def handler(payload: Any, context: TaskContext) -> BaseModel:
        ran.append(1)
        return result

    def note(payload: Any, context: TaskContext, error: BaseException) -> None:
        heard.append(str(error))

    found = await rig.ran(handler, result=type(result), max_attempts=3, on_error=[note])

    assert (TaskStatus.FAILED, [1], 1) == (found.status, ran, len(heard))
    assert "with all its effects" in heard[0]


async def test_hooks_hear_of_a_payload_that_cannot_be_read(rig: Rig) -> None:
    """They get it as it is stored."""
    heard: list[Any] = []

    async def handler(payload: Raw, context: TaskContext) -> None: ...

    def note(payload: Any, context: TaskContext, error: BaseException) -> None:
        heard.append((payload, type(error).__name__))

    rig.define("later", handler)
    task = rig.enqueue("later", {"number": 1})
    job = rig.jobs.get("later")
    assert job is not None
    job.payload, job.errored = Raw, (note,)
    found = await rig.drained(task)

    assert (TaskStatus.FAILED, [({"number": 1}, "PayloadInvalid")]) == (found.status, heard)


def test_a_secret_is_no_payload() -> None:
    """It would be stored as asterisks, and the handler would get those; the error names job and model."""
    jobs = JobCatalog()
    job: Job[Any, Any] = jobs.add(Job("hides", nothing, payload=Hidden))
    tasks = TaskQueueContainer(settings=Settings(in_memory=True), jobs=jobs)

    with pytest.raises(InvalidJob, match=r"'hides': its model Hidden holds a secret"):
        job.enqueue(Hidden(password=SecretStr("x")))

    assert 0 == tasks.get_task_stats().execute().total


def test_bytes_that_are_no_text_are_unfit() -> None:
    """At the enqueue, as Unfit, with nothing stored."""
    jobs = JobCatalog()
    job: Job[Any, Any] = jobs.add(Job("raw", nothing, payload=Raw))
    tasks = TaskQueueContainer(settings=Settings(in_memory=True), jobs=jobs)

    with pytest.raises(Unfit, match="payload"):
        job.enqueue(Raw(octets=b"\xff"))

    assert 0 == tasks.get_task_stats().execute().total


@pytest.mark.parametrize("option", ["version", "type", "colour"])
def test_what_is_no_option_is_refused_by_name(option: str) -> None:
    """With the names of those that are."""
    jobs = JobCatalog()
    job = jobs.define("plain")(lambda payload, context: None)
    TaskQueueContainer(settings=Settings(in_memory=True), jobs=jobs)
    options: dict[str, Any] = {option: 1}

    with pytest.raises(InvalidInput, match=f"{option}: is no option .* correlation_id, delay"):
        job.enqueue({}, **options)


def test_models_are_read_through_generic_bases() -> None:
    """However the parameters are called, and in whatever order they come."""

    class OfText(Job[T, str], Generic[T]):
        def execute(self, payload: T, context: TaskContext) -> str:
            return ""

    class Turned(Job[S, T], Generic[T, S]):
        def execute(self, payload: S, context: TaskContext) -> T:
            raise NotImplementedError

    class Numbers(OfText[int]):
        pass

    class Both(Turned[int, str]):
        pass

    class Below(Both):
        pass

    jobs: list[Job[Any, Any]] = [Numbers("numbers"), Both("both"), Below("below")]

    assert [(int, str), (str, int), (str, int)] == [(job.payload, job.result) for job in jobs]


@pytest.mark.parametrize("kind", ["generator", "upcast", "version"])
def test_what_could_never_work_is_refused_at_its_definition(kind: str) -> None:
    """A generator of which nothing would run, an upcast that would have to be awaited, a version too large to store."""
    jobs = JobCatalog()

    def yields(payload: Any, context: TaskContext) -> Any:
        yield 1

    async def awaits(payload: Any) -> Any: ...

    define: dict[str, Callable[[], object]] = {
        "generator": lambda: jobs.define("yields")(yields),
        "upcast": lambda: jobs.define("old", version=2)(lambda payload, context: None).upcast(1)(awaits),
        "version": lambda: jobs.define("new", version=40_000)(lambda payload, context: None),
    }
    with pytest.raises((InvalidJob, InvalidInput)):
        define[kind]()


@pytest.mark.parametrize("transactional", [False, True])
async def test_a_session_that_its_handler_closes_keeps_what_was_written(
    database_url: str, effects: Effects, transactional: bool
) -> None:
    """Closed or left open: it ends with its attempt."""
    jobs = JobCatalog()

    @jobs.define("thread", transactional=transactional)
    def in_thread(payload: Any, context: TaskContext) -> None:
        context.session.execute(WRITE, {"note": "thread"})
        context.session.close()

    @jobs.define("loop", transactional=transactional)
    async def on_loop(payload: Any, context: TaskContext) -> None:
        await context.session.execute(WRITE, {"note": "loop"})
        await context.session.close()

    tasks = TaskQueueContainer(settings=Settings(database_url=database_url), jobs=jobs)
    handles = [await in_thread.aenqueue(None), await on_loop.aenqueue(None)]
    await tasks.worker().drain()

    found = [(await handle.arefresh()).status for handle in handles]
    assert ([TaskStatus.COMPLETED] * 2, ["loop", "thread"]) == (found, effects.notes)
    await tasks.aclose()
