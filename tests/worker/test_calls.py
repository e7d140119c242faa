"""Calls: what a job and its catalog put around a handler, in which order, and what becomes of what they raise."""

import asyncio
import logging
import threading
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from app import (
    AttemptTimedOut,
    CancelTask,
    Constant,
    FailForGood,
    InvalidJob,
    Job,
    JobCall,
    JobCatalog,
    RetryLater,
    Snooze,
    TaskContext,
    TaskQueueContainer,
    TaskStatus,
)
from app.infra.settings import Settings
from tests.faults.waiting import soon
from tests.worker.conftest import QUICK
from tests.worker.running import Rig

BOTH = pytest.mark.parametrize("asynchronous", [True, False], ids=["async", "thread"])


@pytest.fixture
def settings() -> Settings:
    """Short times, in memory: nothing here is about the database."""
    return Settings(in_memory=True, **QUICK)


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """What hanging threads of a test wait for; open afterwards, whatever happened."""
    gate = threading.Event()
    yield gate
    gate.set()


class Story:
    """What happened, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def middleware(self, name: str) -> Any:
        async def middleware(attempt: JobCall, inner: Callable[[], Awaitable[Any]]) -> Any:
            self.lines.append(f"{name} in")
            try:
                return await inner()
            finally:
                self.lines.append(f"{name} out")

        return middleware

    def before(self, name: str) -> Any:
        return lambda payload, context: self.lines.append(f"before {name}")

    def after(self, name: str) -> Any:
        return lambda payload, context, result: self.lines.append(f"after {name}")

    def on_error(self, name: str) -> Any:
        return lambda payload, context, error: self.lines.append(f"{name}: {type(error).__name__}")

    def handler(self, *, asynchronous: bool, raises: BaseException | None = None) -> Any:
        def in_thread(payload: Any, context: TaskContext) -> str:
            self.lines.append("handler")
            if raises is not None:
                raise raises
            return "result"

        async def on_loop(payload: Any, context: TaskContext) -> str:
            return in_thread(payload, context)

        return on_loop if asynchronous else in_thread


@pytest.fixture
def story() -> Story:
    return Story()


async def ran(settings: Settings, jobs: JobCatalog, type: str = "job", payload: Any = None, **asked: Any) -> Any:
    """The task of this job, once a worker has drained a new queue of these *jobs*."""
    tasks = TaskQueueContainer(settings=settings, jobs=jobs)
    found = await Rig(tasks, jobs).drained(tasks.enqueue_task().execute(type=type, payload=payload, **asked))
    await tasks.aclose()
    return found


@BOTH
async def test_what_is_around_a_handler_is_called_from_the_outside_in(
    settings: Settings, story: Story, asynchronous: bool
) -> None:
    """The catalog's before the job's, each in the order given; what comes afterwards is told inside out."""
    jobs = JobCatalog(
        middleware=[story.middleware("catalog 1"), story.middleware("catalog 2")],
        before=[story.before("of the catalog")],
        after=[story.after("of the catalog")],
    )
    jobs.define(
        "job",
        middleware=[story.middleware("job")],
        before=[story.before("of the job"), story.before("of the job, too")],
        after=[story.after("of the job"), story.after("of the job, too")],
    )(story.handler(asynchronous=asynchronous))

    found = await ran(settings, jobs)

    assert (TaskStatus.COMPLETED, "result") == (found.status, found.result)
    assert [
        "catalog 1 in",
        "catalog 2 in",
        "job in",
        "before of the catalog",
        "before of the job",
        "before of the job, too",
        "handler",
        "after of the job",
        "after of the job, too",
        "after of the catalog",
        "job out",
        "catalog 2 out",
        "catalog 1 out",
    ] == story.lines


@BOTH
async def test_hooks_are_told_of_a_failure_inside_out(settings: Settings, story: Story, asynchronous: bool) -> None:
    """With the error itself; those for the end of a good attempt are not called."""
    jobs = JobCatalog(on_error=[story.on_error("catalog")], after=[story.after("of the catalog")])
    jobs.define("job", on_error=[story.on_error("job")])(
        story.handler(asynchronous=asynchronous, raises=ZeroDivisionError())
    )

    found = await ran(settings, jobs, max_attempts=1)

    assert (TaskStatus.FAILED, "ZeroDivisionError") == (found.status, found.errors[0].type)
    assert ["handler", "job: ZeroDivisionError", "catalog: ZeroDivisionError"] == story.lines


class Payload(BaseModel):
    number: int


@pytest.mark.parametrize("hooks", ["async", "plain"])
@BOTH
async def test_the_class_form_has_the_same_hooks(settings: Settings, asynchronous: bool, hooks: str) -> None:
    """They get the payload as execute does; plain ones beside a plain handler are called in its thread."""
    told: list[tuple[Any, ...]] = []

    class Told(Job[Payload, Any]):
        def before_execute(self, payload: Payload, context: TaskContext) -> Awaitable[None] | None:
            return self._tell("before", payload)

        def after_execute(self, payload: Payload, context: TaskContext, result: Any) -> Awaitable[None] | None:
            return self._tell("after", payload, result)

        def on_error(self, payload: Payload, context: TaskContext, error: BaseException) -> Awaitable[None] | None:
            return self._tell("error", payload, str(error))

        def _tell(self, *line: Any) -> Awaitable[None] | None:
            async def tell() -> None:
                told.append(line)

            if hooks == "async":
                return tell()
            told.append(line)
            return None

    class Awaited(Told):
        async def execute(self, payload: Payload, context: TaskContext) -> int:
            return 10 // payload.number

    class Threaded(Told):
        def execute(self, payload: Payload, context: TaskContext) -> int:
            return 10 // payload.number

    class ThreadedWithAwaitedHook(Threaded):
        async def before_execute(self, payload: Payload, context: TaskContext) -> None:
            told.append(("before", payload))

    form = Awaited if asynchronous else Threaded if hooks == "plain" else ThreadedWithAwaitedHook
    jobs = JobCatalog()
    jobs.add(form("job"))
    good = await ran(settings, jobs, payload={"number": 5})
    await ran(settings, jobs, payload={"number": 0}, max_attempts=1)

    five, zero = Payload(number=5), Payload(number=0)
    assert 2 == good.result
    assert [
        ("before", five),
        ("after", five, 2),
        ("before", zero),
        ("error", zero, "integer division or modulo by zero"),
    ] == told


def _raises(*arguments: Any) -> None:
    raise ZeroDivisionError("in a hook")


async def _araises(*arguments: Any) -> None:
    raise ZeroDivisionError("in a hook")


@BOTH
@pytest.mark.parametrize("where", ["before", "after", "middleware"])
@pytest.mark.parametrize("hook", [_raises, _araises])
async def test_a_hook_or_middleware_that_raises_fails_the_attempt(
    settings: Settings, story: Story, asynchronous: bool, where: str, hook: Any
) -> None:
    """Visibly: the task shows its error and where it came from, and hooks of failures hear of it."""
    jobs = JobCatalog(on_error=[story.on_error("catalog")])
    policies: Any = {where: [hook]}
    jobs.define("job", **policies)(story.handler(asynchronous=asynchronous))

    found = await ran(settings, jobs, max_attempts=1)

    assert (TaskStatus.FAILED, "in a hook") == (found.status, found.errors[0].message)
    assert hook.__name__ in found.errors[0].traceback
    assert (["handler"] if where == "after" else []) + ["catalog: ZeroDivisionError"] == story.lines


@BOTH
async def test_an_error_hook_that_raises_is_noted_and_changes_nothing(
    settings: Settings, story: Story, asynchronous: bool
) -> None:
    """The others are still told, and the task shows both errors."""
    jobs = JobCatalog(on_error=[story.on_error("catalog")])
    jobs.define("job", on_error=[_raises])(story.handler(asynchronous=asynchronous, raises=KeyError("gone")))

    found = await ran(settings, jobs, max_attempts=1)

    assert "KeyError" == found.errors[0].type
    assert "an on_error hook failed, too: ZeroDivisionError: in a hook" in found.errors[0].traceback
    assert ["handler", "catalog: KeyError"] == story.lines


@BOTH
@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (Snooze(60), []),
        (CancelTask("not wanted"), []),
        (RetryLater(60), ["catalog: RetryLater"]),
        (FailForGood("enough"), ["catalog: FailForGood"]),
        (SystemExit(1), ["catalog: SystemExit"]),
    ],
    ids=lambda value: type(value).__name__,
)
async def test_hooks_are_told_of_failures_and_of_nothing_else(
    settings: Settings, story: Story, asynchronous: bool, answer: BaseException, told: list[str]
) -> None:
    """Who snoozes or cancels a task has not failed."""
    jobs = JobCatalog(on_error=[story.on_error("catalog")])
    jobs.define("job")(story.handler(asynchronous=asynchronous, raises=answer))

    await ran(settings, jobs)

    assert ["handler", *told] == story.lines


@BOTH
async def test_a_middleware_may_answer_in_the_place_of_the_handler(
    settings: Settings, story: Story, asynchronous: bool
) -> None:
    """It may leave it out, replace what it returned, or make a result of what it raised."""

    async def swallows(attempt: JobCall, inner: Callable[[], Awaitable[Any]]) -> Any:
        return attempt.payload

    async def replaces(attempt: JobCall, inner: Callable[[], Awaitable[Any]]) -> Any:
        return [await inner(), attempt.task.type]

    async def forgives(attempt: JobCall, inner: Callable[[], Awaitable[Any]]) -> Any:
        try:
            return await inner()
        except ZeroDivisionError as error:
            return str(error)

    jobs = JobCatalog(on_error=[story.on_error("catalog")])
    raising = story.handler(asynchronous=asynchronous, raises=ZeroDivisionError("forgiven"))
    jobs.define("swallowed", middleware=[swallows])(raising)
    jobs.define("replaced", middleware=[replaces])(story.handler(asynchronous=asynchronous))
    jobs.define("forgiven", middleware=[forgives])(raising)

    results = [(await ran(settings, jobs, type, "payload")).result for type in ("swallowed", "replaced", "forgiven")]

    assert ["payload", ["result", "replaced"], "forgiven"] == results
    assert ["handler", "handler"] == story.lines


async def test_a_result_that_a_middleware_replaced_must_fit_the_model(settings: Settings, story: Story) -> None:
    """What is stored is what comes out of the outermost layer."""

    async def replaces(attempt: JobCall, inner: Callable[[], Awaitable[Any]]) -> Any:
        return "no payload"

    jobs = JobCatalog()
    jobs.define("job", result=Payload, middleware=[replaces])(story.handler(asynchronous=True))

    found = await ran(settings, jobs)

    assert (TaskStatus.FAILED, 1) == (found.status, found.attempts)
    assert "the handler ran, with all its effects, and returned what does not fit" in (found.error or "")


async def test_a_plain_handler_with_an_asynchronous_hook_runs_in_a_thread(rig: Rig) -> None:
    """It may block; the loop goes on meanwhile."""
    loop_thread, seen = threading.get_ident(), list[int]()
    met = threading.Barrier(2)

    async def hook(payload: Any, context: TaskContext) -> None:
        seen.append(threading.get_ident())

    def handler(payload: Any, context: TaskContext) -> None:
        seen.append(threading.get_ident())
        met.wait(10)

    rig.define("job", handler, before=[hook])
    tasks = [rig.enqueue("job") for _ in range(2)]
    await rig.tasks.worker().drain()

    assert [TaskStatus.COMPLETED] * 2 == [rig.find(task).status for task in tasks]
    assert 2 == seen.count(loop_thread)
    assert 2 == len(set(seen) - {loop_thread})


async def test_a_plain_handler_among_asynchronous_hooks_that_hangs_is_left_behind_and_counted(
    rig: Rig, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    """As any thread that cannot be stopped: reported by its task, counted until it ends, and nothing follows it."""
    story = Story()

    async def hook(*arguments: Any) -> None:
        story.lines.append("hook")

    def hangs(payload: Any, context: TaskContext) -> str:
        gate.wait()
        return "too late"

    rig.define("hangs", hangs, timeout=0.2, before=[hook], after=[hook], on_error=[story.on_error("job")])
    with caplog.at_level(logging.INFO, logger="app.worker"):
        async with rig.working() as worker:
            task = rig.enqueue("hangs", max_attempts=1)
            found = await rig.until(task, TaskStatus.FAILED)
            assert found.errors[0].type.endswith("AttemptTimedOut")
            assert 1 == worker.left_behind
            assert f"The handler of task {task.id} (hangs) cannot be stopped" in caplog.text

            gate.set()
            await soon(lambda: worker.left_behind == 0, what="the thread that was left has ended")
            assert f"The handler left behind by task {task.id} (hangs) has ended" in caplog.text

    assert (TaskStatus.FAILED, None) == (rig.find(task).status, rig.find(task).result)
    assert ["hook", "job: AttemptTimedOut"] == story.lines


async def test_hanging_threads_among_asynchronous_hooks_are_bounded(rig: Rig, gate: threading.Event) -> None:
    """Five slots: five may hang beside them, each further one takes a slot away, until nothing is taken."""
    started: list[int] = []

    async def hook(*arguments: Any) -> None: ...

    def hangs(payload: Any, context: TaskContext) -> None:
        started.append(payload)
        gate.wait()

    rig.define("hangs", hangs, timeout=0.1, before=[hook])
    async with rig.working() as worker:
        for number in range(15):
            rig.enqueue("hangs", number, max_attempts=1)
        await soon(lambda: worker.left_behind == 10, what="ten threads hang")
        last = rig.enqueue("hangs", 15, max_attempts=1)
        assert (10, TaskStatus.PENDING) == (len(started), rig.find(last).status)

        gate.set()
        await rig.until(last, TaskStatus.COMPLETED)
        await soon(lambda: len(started) == 16, what="the others were begun")


@pytest.mark.parametrize("kind", ["coroutine", "stubborn", "thread"])
async def test_hooks_are_told_of_a_timeout_as_one(rig: Rig, gate: threading.Event, kind: str) -> None:
    """Not of the cancellation by which it comes, nor twice; of a handler that does not come back, too."""
    told: list[tuple[Any, str]] = []

    def on_error(payload: Any, context: TaskContext, error: BaseException) -> None:
        told.append((payload, repr(error)))

    async def hangs(payload: Any, context: TaskContext) -> None:
        await asyncio.sleep(60)

    async def stubborn(payload: Any, context: TaskContext) -> None:
        while not gate.is_set():
            try:
                await asyncio.sleep(0.01)
            except asyncio.CancelledError:
                continue

    def in_thread(payload: Any, context: TaskContext) -> None:
        gate.wait()
        raise ZeroDivisionError("too late")

    handlers: dict[str, Any] = {"coroutine": hangs, "stubborn": stubborn, "thread": in_thread}
    rig.define("job", handlers[kind], timeout=0.2, on_error=[on_error], payload=Payload)
    async with rig.working() as worker:
        await rig.until(rig.enqueue("job", {"number": 7}, max_attempts=1), TaskStatus.FAILED)
        await soon(lambda: told, what="the hook is told")
        gate.set()
        await soon(lambda: worker.left_behind == 0, what="the handler has ended")

    assert [(Payload(number=7), repr(AttemptTimedOut(0.2)))] == told


async def test_hooks_are_not_told_of_a_shutdown(rig: Rig) -> None:
    """The task is given back, and nothing has failed."""
    story, began = Story(), asyncio.Event()

    async def hangs(payload: Any, context: TaskContext) -> None:
        began.set()
        await asyncio.sleep(60)

    rig.define("job", hangs, on_error=[story.on_error("job")])
    task = rig.enqueue("job")
    async with rig.working() as worker:
        await began.wait()
        worker.stop()
        worker.stop()

    assert (TaskStatus.PENDING, 0, []) == (rig.find(task).status, rig.find(task).attempts, story.lines)


async def test_a_cancellation_of_the_handler_s_own_is_a_failure_that_hooks_hear_of(
    settings: Settings, story: Story
) -> None:
    """Nobody has asked for it from outside."""
    jobs = JobCatalog(on_error=[story.on_error("catalog")])
    jobs.define("job")(story.handler(asynchronous=True, raises=asyncio.CancelledError()))

    found = await ran(settings, jobs, max_attempts=1)

    assert (TaskStatus.FAILED, ["handler", "catalog: CancelledError"]) == (found.status, story.lines)


@pytest.mark.parametrize("around", ["nothing", "a hook", "an asynchronous hook", "a model"])
async def test_a_plain_handler_that_returns_a_coroutine_fails_for_good_and_hears_why(
    settings: Settings, around: str
) -> None:
    """Nobody would await it, on no attempt."""
    told: list[Any] = []

    async def work() -> None:
        told.append("ran")

    async def hook(payload: Any, context: TaskContext) -> None: ...

    options: dict[str, Any] = {
        "nothing": {},
        "a hook": {"after": [lambda payload, context, result: told.append(result)]},
        "an asynchronous hook": {"before": [hook]},
        "a model": {"result": Payload},
    }
    jobs = JobCatalog()
    jobs.define("job", retry=Constant(0), **options[around])(lambda payload, context: work())

    found = await ran(settings, jobs)

    assert (TaskStatus.FAILED, 1, []) == (found.status, found.attempts, told)
    assert found.errors[0].type.endswith("FailForGood")
    assert "returned a coroutine, which nobody awaits: make it `async def`" in found.errors[0].message


@pytest.mark.parametrize(
    ("handler", "rule"),
    [
        (lambda: None, "must take payload and context"),
        (lambda payload: None, "must take payload and context"),
        (lambda *, payload, context: None, "must take payload and context"),
        (lambda payload, context, service, /: None, "services are given by name"),
    ],
)
def test_a_handler_with_another_signature_is_refused_at_its_definition(handler: Any, rule: str) -> None:
    """Naming the job and what is wanted of it."""
    with pytest.raises(InvalidJob, match=f"'email:send'.*{rule}") as refused:
        JobCatalog().define("email:send")(handler)

    assert "email:send" == refused.value.type


def test_a_handler_that_takes_anything_is_a_handler() -> None:
    """A decorated function often has no other signature; what has a default is nobody's business."""

    def anything(*args: Any, **kwargs: Any) -> None: ...

    def with_default(payload: Any, context: TaskContext, limit: int = 5) -> None: ...

    jobs = JobCatalog()
    assert [{}, {}] == [jobs.define(str(number))(form).services for number, form in enumerate([anything, with_default])]
