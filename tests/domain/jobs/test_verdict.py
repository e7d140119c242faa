"""The verdict: which outcome an error has, by the handler's word, the budget and the job's policy."""

import asyncio
import math
from typing import Any

import pytest

from app.domain.jobs.answers import CancelTask, FailForGood, RetryLater, Snooze
from app.domain.jobs.job import Job
from app.domain.jobs.verdict import verdict
from app.domain.moments import MAX_DELAY
from app.domain.retries import Constant
from app.domain.tasks.outcomes import Failed, GivenUp, Outcome, RetryIn, Snoozed
from tests.examples import a_running_task


def judged(error: BaseException, *, attempt: int = 1, budget: int = 3, **policy: Any) -> Outcome:
    """The outcome of the given *attempt* out of *budget*, of a job that waits 7 seconds unless *policy* differs."""
    job = Job(type="email:send", handler=lambda payload, context: None, **{"retry": Constant(7)} | policy)
    return verdict(error, a_running_task(attempts=attempt - 1, max_attempts=budget), job)


def delay_of(outcome: Outcome) -> float:
    assert isinstance(outcome, RetryIn)
    return outcome.delay


def test_an_error_is_retried_by_the_jobs_policy() -> None:
    """
    While attempts are left.
    """
    outcome = judged(ValueError("bad"), attempt=2)

    assert isinstance(outcome, RetryIn)
    assert (7, "ValueError: bad") == (outcome.delay, str(outcome.failure))


@pytest.mark.parametrize("error", [ValueError("bad"), RetryLater(5), FailForGood("no")], ids=repr)
def test_the_last_attempt_is_the_last(error: Exception) -> None:
    """
    Whatever policy and handler would like.
    """
    assert isinstance(judged(error, attempt=3), Failed)
    assert isinstance(judged(error, attempt=1, budget=1), Failed)


def test_a_handler_may_choose_its_wait() -> None:
    """
    Its word comes before the policy's.
    """
    outcome = judged(RetryLater(99, "busy"), should_retry=lambda error: False)

    assert isinstance(outcome, RetryIn)
    assert (99, "busy") == (outcome.delay, outcome.failure.message)


def test_a_handler_may_fail_for_good() -> None:
    """
    With attempts left.
    """
    outcome = judged(FailForGood("bad address"))

    assert isinstance(outcome, Failed)
    assert "bad address" == outcome.failure.message


@pytest.mark.parametrize("attempt", [1, 3])
def test_a_handler_may_cancel_or_snooze_on_any_attempt(attempt: int) -> None:
    """
    Neither is a failure, so the budget has no say.
    """
    assert GivenUp("gone") == judged(CancelTask("gone"), attempt=attempt)
    assert GivenUp("cancelled by its handler") == judged(CancelTask(), attempt=attempt)
    assert Snoozed(60) == judged(Snooze(60), attempt=attempt)


@pytest.mark.parametrize("error", [SystemExit(1), KeyboardInterrupt(), asyncio.CancelledError()], ids=repr)
def test_an_exit_raised_by_a_handler_is_a_failed_attempt(error: BaseException) -> None:
    """
    Judged by the same policy.
    """
    assert 7 == delay_of(judged(error))


def test_an_error_that_is_not_worth_it_is_not_retried() -> None:
    """
    The job's ``should_retry`` decides by the error.
    """

    def only_timeouts(error: BaseException) -> bool:
        return isinstance(error, TimeoutError)

    assert isinstance(judged(ValueError(), should_retry=only_timeouts), Failed)
    assert 7 == delay_of(judged(TimeoutError(), should_retry=only_timeouts))


def test_a_policy_may_answer_that_it_is_enough() -> None:
    """
    None ends the task.
    """
    assert isinstance(judged(ValueError(), retry=lambda failures, error: None), Failed)


def test_a_policy_is_told_how_many_failures_there_were() -> None:
    """
    Counted from one, with the error.
    """
    told: list[tuple[int, BaseException]] = []
    error = ValueError()

    def policy(failures: int, error: BaseException) -> float:
        told.append((failures, error))
        return 0

    judged(error, attempt=2, retry=policy)

    assert [(2, error)] == told


@pytest.mark.parametrize("wait", [math.inf, 1e300, MAX_DELAY + 1])
def test_a_wait_is_at_most_a_hundred_years(wait: float) -> None:
    """
    Longer ones no database could hold.
    """
    assert delay_of(judged(ValueError(), retry=lambda failures, error: wait)) == MAX_DELAY


def raises(*_: object) -> Any:
    raise LookupError("broken policy")


@pytest.mark.parametrize(
    "policy",
    [
        {"retry": raises},
        {"should_retry": raises},
        {"retry": lambda failures, error: -1},
        {"retry": lambda failures, error: math.nan},
        {"retry": lambda failures, error: "soon"},
        {"retry": lambda failures, error: True},
        {"retry": lambda failures, error: 10**400},
        {"retry": lambda: 5},
    ],
    ids=["raises", "should_retry raises", "negative", "nan", "text", "bool", "huge", "wrong parameters"],
)
def test_a_broken_policy_costs_the_task_nothing(policy: dict[str, Any]) -> None:
    """
    The default takes its place, and the failure says so after its own message.
    """
    outcome = judged(ValueError("bad"), **policy)

    assert isinstance(outcome, RetryIn)
    assert 0 <= outcome.delay <= 5
    assert outcome.failure.message.startswith("bad\nthe job's retry policy failed, the default was used: ")
