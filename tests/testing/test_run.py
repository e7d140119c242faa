"""A job in isolation: one attempt, with all that its definition puts around the handler, and nothing stored."""

import asyncio
import logging
from typing import Any

import pytest
from pydantic import BaseModel

from app import (
    AttemptCancelled,
    BatchJob,
    FailForGood,
    InvalidJob,
    JobCatalog,
    RetryLater,
    Snooze,
    SoftTimeout,
    TaskContext,
    TaskStatus,
    Unfit,
)
from app.testing import arun_job, run_job
from tests.testing.shop import Carrier, Order, Shipped, place, plain, ship, thank

SEVEN = Order(number=7)


def test_a_run_brings_what_the_handler_returned_and_said() -> None:
    """Result, progress, and every line of the log, whatever its level."""
    carrier = Carrier()

    run = run_job(ship, SEVEN, services={"carrier": carrier}, attempt=2, correlation_id="request-1")

    assert (Shipped(number=7, attempt=2), None, [7]) == (run.result, run.error, carrier.taken)
    assert [(50, "packed"), (100, None)] == run.progress
    assert ["INFO shipping 7", "DEBUG packed"] == run.log
    assert (TaskStatus.COMPLETED, 2, "request-1") == (run.task.status, run.task.attempts, run.task.correlation_id)


async def test_a_run_can_be_awaited() -> None:
    """Sync and async handlers alike; and the plain form works beside a running loop as well."""
    assert "Thank you, Ada" == (await arun_job(thank, SEVEN)).unwrap()
    assert (await arun_job(ship, SEVEN, services={Carrier: Carrier()})).succeeded
    assert "Thank you, Ada" == run_job(thank, SEVEN).unwrap()


def test_what_the_handler_raises_is_in_the_run() -> None:
    """With the task as that leaves it: put back while attempts are left, failed after the last."""
    services = {Carrier: Carrier()}
    runs = [run_job(ship, Order(number=-1), services=services, attempt=attempt) for attempt in (1, 3)]

    for run in runs:
        assert isinstance(run.error, ValueError)
        with pytest.raises(ValueError, match="there is no order -1"):
            run.unwrap()
    assert [TaskStatus.PENDING, TaskStatus.FAILED] == [run.task.status for run in runs]


@pytest.mark.parametrize(
    ("answer", "status"), [(Snooze(5), TaskStatus.PENDING), (FailForGood("no"), TaskStatus.FAILED)]
)
def test_an_answer_is_heard(answer: Exception, status: TaskStatus) -> None:
    """As a worker would."""

    def handler(payload: Any, context: TaskContext) -> None:
        raise answer

    run = run_job(JobCatalog().define("job")(handler), None)

    assert (answer, status) == (run.error, run.task.status)


def test_a_handler_may_ask_whether_its_worker_stops() -> None:
    """And a test says what it hears."""

    def handler(payload: Any, context: TaskContext) -> bool:
        if context.is_shutting_down():
            raise RetryLater(0)
        return True

    job = JobCatalog().define("job")(handler)

    assert True is run_job(job, None).result
    assert isinstance(run_job(job, None, shutting_down=True).error, RetryLater)


def test_hooks_middleware_and_models_are_around_a_run() -> None:
    """Those of the catalog, too, which need not belong to a queue."""
    seen: list[str] = []

    async def around(call: Any, inner: Any) -> Any:
        seen.append(f"around {type(call.payload).__name__}")
        return await inner()

    jobs = JobCatalog(middleware=[around], before=[lambda payload, context: seen.append("before")])

    @jobs.define("job", payload=Order, result=Shipped, after=[lambda payload, context, result: seen.append("after")])
    def handler(payload: Order, context: TaskContext) -> Shipped:
        seen.append("handler")
        return Shipped(number=payload.number, attempt=1)

    run = run_job(handler, SEVEN)

    assert ["around Order", "before", "handler", "after"] == seen
    assert Shipped(number=7, attempt=1) == run.result


def test_what_does_not_fit_is_said() -> None:
    """A payload at once; a result, and one that is no JSON, as a failure for good."""
    jobs = JobCatalog()

    @jobs.define("model", result=Shipped)
    def wrong(payload: Any, context: TaskContext) -> Shipped:
        return "nothing"  # type: ignore[return-value]  # what is refused

    with pytest.raises(Unfit, match="must be an instance of Order, not dict"):
        run_job(ship, {"number": 7}, services={Carrier: Carrier()})  # type: ignore[misc]  # what is refused
    assert isinstance(run_job(wrong, None).error, FailForGood)
    assert "cannot be stored" in str(run_job(jobs.define("any")(lambda payload, context: object()), None).error)


def test_what_is_not_handed_in_is_not_there() -> None:
    """A service that is missing is named before anything runs; what enqueues needs a queue."""
    with pytest.raises(InvalidJob, match="asks for the service 'carrier'"):
        run_job(ship, SEVEN)
    with pytest.raises(InvalidJob, match="carrier"):
        run_job(ship, SEVEN, services={"mailer": 1})

    assert "does not know its queue" in str(run_job(place, SEVEN).error)


def test_a_session_is_the_one_handed_in() -> None:
    """Which stays the test's own; where there is none, the handler that asks for it fails."""

    def handler(payload: Any, context: Any) -> bool:
        return context.session is session

    session, job = object(), JobCatalog().define("job")(handler)

    assert True is run_job(job, None, session=session).unwrap()
    assert "session: must be handed to run_job" in str(run_job(job, None).error)


def test_a_payload_is_read_again_on_its_way() -> None:
    """The handler never gets the caller's own object."""

    class Bag(BaseModel):
        things: list[int]

    @JobCatalog().define("bag", payload=Bag)
    def fill(payload: Bag, context: TaskContext) -> list[int]:
        payload.things.append(1)
        return payload.things

    bag = Bag(things=[])

    assert [1] == run_job(fill, bag).result
    assert [] == bag.things


def test_a_log_still_reaches_the_loggers_that_would_have_heard_it(caplog: pytest.LogCaptureFixture) -> None:
    """At their levels."""
    with caplog.at_level(logging.INFO, "app.jobs"):
        run_job(ship, SEVEN, services={Carrier: Carrier()})

    [line] = [record.getMessage() for record in caplog.records if record.name == "app.jobs"]
    assert line.endswith("] shipping 7")


def test_a_plain_job_runs_as_it_is() -> None:
    """Any JSON in, any JSON out."""
    assert {"a": [1, None]} == run_job(plain, {"a": (1, None)}).result


def test_a_checkpoint_is_with_the_task() -> None:
    """And is no progress."""

    def handler(payload: Any, context: TaskContext) -> None:
        context.progress(50)
        context.save_checkpoint({"page": 2})
        raise RetryLater(0, str(context.checkpoint))

    run = run_job(JobCatalog().define("job")(handler), None)

    assert ({"page": 2}, "{'page': 2}") == (run.task.checkpoint, str(run.error))
    assert [(50, None)] == run.progress


def test_a_batch_job_runs_through() -> None:
    """It reports by itself how far it is, and saves which items have ended."""

    class Doubled(BatchJob[Any, int, int]):
        def items(self, payload: Any, context: TaskContext) -> list[int]:
            return [1, 2, 3]

        def process(self, item: int, context: TaskContext) -> int:
            return 2 * item

    run = run_job(Doubled("doubled"), None)

    assert {0: 2, 1: 4, 2: 6} == run.unwrap().results
    assert 100 == run.progress[-1][0]


def test_a_handler_may_be_cancelled_and_late() -> None:
    """The context answers as it would, and the soft timeout is thrown as it would be, at once."""

    def in_thread(payload: Any, context: TaskContext) -> Any:
        context.check()
        return [context.is_cancelled(), context.is_shutting_down(), round(context.time_left() or 0)]

    async def on_loop(payload: Any, context: TaskContext) -> str:
        try:
            await asyncio.sleep(60)
        except SoftTimeout as error:
            return f"finished after {error.seconds:g} s"
        return "slept"

    jobs = JobCatalog()
    asks = jobs.define("asks", soft_timeout=50, timeout=60)(in_thread)
    waits = jobs.define("waits", soft_timeout=50, timeout=60)(on_loop)

    assert [False, False, 60] == run_job(asks, None).result
    assert [False, False, 20] == run_job(asks, None, elapsed=40).result
    assert isinstance((run := run_job(asks, None, cancelled=True)).error, AttemptCancelled)
    assert TaskStatus.CANCELLED is run.task.status
    assert isinstance(run_job(asks, None, elapsed=50).error, SoftTimeout)
    assert "finished after 50 s" == run_job(waits, None, elapsed=50).result
    assert run_job(jobs.define("plain")(lambda payload, context: context.time_left()), None).result is None
