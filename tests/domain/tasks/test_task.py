"""WorkerTask: every verb in every state, and what each changes."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from app.domain.json import JsonText
from app.domain.tasks.errors import IllegalTransition
from app.domain.tasks.outcomes import Completed, Failed, GivenUp, Outcome, Released, RetryIn, Snoozed
from app.domain.tasks.status import FINAL, TaskStatus, Transition
from app.domain.tasks.task import MAX_ERRORS, WorkerTask
from tests.examples import NOON, a_failure, a_running_task, a_task

LATER = NOON + timedelta(seconds=10)
DONE = Completed(JsonText.of("done", field="result"))

VERBS: dict[str, Callable[[WorkerTask], None]] = {
    "claim": lambda task: task.claim("w2", now=LATER),
    "complete": lambda task: task.settle(DONE, now=LATER),
    "fail": lambda task: task.settle(Failed(a_failure()), now=LATER),
    "retry later": lambda task: task.settle(RetryIn(a_failure(), 5), now=LATER),
    "give up": lambda task: task.settle(GivenUp("why"), now=LATER),
    "snooze": lambda task: task.settle(Snoozed(5), now=LATER),
    "release": lambda task: task.settle(Released(), now=LATER),
    "cancel": lambda task: task.cancel(now=LATER),
    "retry": lambda task: task.retry(reset_attempts=False, now=LATER),
    "retry from zero": lambda task: task.retry(reset_attempts=True, now=LATER),
}

# The lifecycle written down a second time, so that a slip in the table shows here.
ALLOWED = {
    ("claim", "pending"): "running",
    ("complete", "running"): "completed",
    ("fail", "running"): "failed",
    ("retry later", "running"): "pending",
    ("give up", "running"): "cancelled",
    ("snooze", "running"): "pending",
    ("release", "running"): "pending",
    ("cancel", "blocked"): "cancelled",
    ("cancel", "pending"): "cancelled",
    ("cancel", "cancelled"): "cancelled",
    ("cancel", "running"): "running",
    ("retry", "failed"): "pending",
    ("retry", "cancelled"): "pending",
    ("retry from zero", "failed"): "pending",
    ("retry from zero", "cancelled"): "pending",
}


def state_of(task: WorkerTask) -> dict[str, object]:
    return {name: getattr(task, name) for name in task.__slots__}


@pytest.mark.parametrize("status", TaskStatus)
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_is_allowed_in_its_states_alone(verb: str, status: TaskStatus) -> None:
    """
    In each of the others it is refused with what would be allowed, and changes nothing.
    """
    task = a_task(status=status, attempts=1)
    before = state_of(task)
    expected = ALLOWED.get((verb, status.value))

    if expected is not None:
        VERBS[verb](task)
        assert expected == task.status
        return
    with pytest.raises(IllegalTransition) as refused:
        VERBS[verb](task)

    assert before == state_of(task)
    assert (task.id, status) == (refused.value.task_id, refused.value.status)
    states = {state for known, state in ALLOWED if known == verb}
    assert set(refused.value.allowed) == states - ({"cancelled"} if verb == "cancel" else set())


def test_a_refusal_says_everything_in_one_sentence() -> None:
    """
    The verb, the task, the state, and what is allowed.
    """
    task = a_task(status=TaskStatus.COMPLETED)

    with pytest.raises(IllegalTransition) as refused:
        task.cancel(now=NOON)

    said = f"Cannot cancel task {task.id}: it is completed, and must be blocked or pending or running"
    assert said == str(refused.value)


@pytest.mark.parametrize("verb", ["complete", "fail", "retry later", "give up", "snooze", "release"])
def test_however_its_attempt_ends_what_was_cancelled_ends_cancelled(verb: str) -> None:
    """
    For the reason that was given then; what failed is remembered all the same.
    """
    task = a_running_task(attempts=1)
    task.cancel(now=NOON, reason="ordered twice")

    VERBS[verb](task)

    failed = verb in ("fail", "retry later")
    assert (TaskStatus.CANCELLED, "ordered twice", LATER, None, None, int(failed)) == (
        task.status,
        task.error,
        task.finished_at,
        task.result,
        task.cancel_requested_at,
        len(task.errors),
    )


def test_final_states_are_those_that_only_a_person_leaves() -> None:
    """
    No transition but the operator's begins in them.
    """
    left = {source for one in Transition if one is not Transition.RETRY for source in one.sources}

    assert set(FINAL) == {status for status in TaskStatus if status.is_final} == set(TaskStatus) - left


def test_a_claim_spends_an_attempt_and_raises_the_fence() -> None:
    """
    And notes who and when.
    """
    task = a_task(attempts=1, lease_seq=4)

    task.claim("w2", now=LATER)

    assert (2, 5, "w2", LATER) == (task.attempts, task.lease_seq, task.worker_id, task.started_at)


def test_a_completion_stores_the_result_and_forgets_the_error() -> None:
    """
    The duration runs from the start of this attempt.
    """
    task = a_running_task(error="earlier")

    task.settle(DONE, now=LATER)

    assert ("done", None, LATER, 10, "w1") == (
        task.result,
        task.error,
        task.finished_at,
        task.duration,
        task.worker_id,
    )


def test_a_task_that_has_not_ended_has_no_duration() -> None:
    """
    Neither before it starts nor while it runs.
    """
    assert (None, None) == (a_task().duration, a_running_task().duration)


@pytest.mark.parametrize(
    ("outcome", "attempts", "errors", "worker_id", "due"),
    [
        (RetryIn(a_failure(), 5), 1, 1, None, LATER + timedelta(seconds=5)),
        (Snoozed(5), 0, 0, None, LATER + timedelta(seconds=5)),
        (Released(), 0, 0, None, NOON),
    ],
)
def test_a_task_that_goes_back_belongs_to_nobody(
    outcome: Outcome, attempts: int, errors: int, worker_id: str | None, due: object
) -> None:
    """
    A failure spends the attempt; a snooze and a release give it back; the fence stays.
    """
    task = a_running_task()

    task.settle(outcome, now=LATER)

    assert (attempts, errors, worker_id, due, 1, None) == (
        task.attempts,
        len(task.errors),
        task.worker_id,
        task.scheduled_at,
        task.lease_seq,
        task.finished_at,
    )


def test_a_failure_is_remembered_with_its_attempt() -> None:
    """
    In one line, and in full.
    """
    task = a_running_task(attempts=6)

    task.settle(Failed(a_failure("no")), now=LATER)

    assert ("SMTPException: no", LATER) == (task.error, task.finished_at)
    assert [a_failure("no").recorded(attempt=7, at=LATER)] == task.errors


def test_only_the_latest_errors_are_remembered() -> None:
    """
    The oldest are forgotten first.
    """
    known = [a_failure(str(number)).recorded(attempt=1, at=NOON) for number in range(MAX_ERRORS)]
    task = a_running_task(errors=known)

    task.settle(Failed(a_failure("new")), now=LATER)

    assert (MAX_ERRORS, "1", "new") == (len(task.errors), task.errors[0].message, task.errors[-1].message)


@pytest.mark.parametrize(
    ("attempts", "reset", "expected"),
    [(3, False, (3, 4)), (5, False, (5, 6)), (1, False, (1, 3)), (3, True, (0, 3)), (0, False, (0, 3))],
)
def test_a_retry_by_hand_leaves_at_least_one_attempt(attempts: int, reset: bool, expected: tuple[int, int]) -> None:
    """
    The budget grows by what is missing, or the count starts again.
    """
    task = a_task(status=TaskStatus.FAILED, attempts=attempts, max_attempts=3, finished_at=NOON, worker_id="w1")

    task.retry(reset_attempts=reset, now=LATER)

    assert expected == (task.attempts, task.max_attempts)
    assert (LATER, None, None) == (task.scheduled_at, task.finished_at, task.worker_id)


def test_cancelling_twice_changes_nothing() -> None:
    """
    The first end remains.
    """
    task = a_task()
    task.cancel(now=NOON)
    before = state_of(task)

    task.cancel(now=LATER)

    assert before == state_of(task)


@pytest.mark.parametrize(("attempts", "expected"), [(1, False), (2, False), (3, True), (4, True)])
def test_the_last_attempt_is_the_one_that_spends_the_budget(attempts: int, expected: bool) -> None:
    """
    Also when the budget was already overdrawn.
    """
    assert expected == a_task(attempts=attempts, max_attempts=3).is_last_attempt


def test_a_snapshot_is_not_reached_by_later_changes() -> None:
    """
    Nor does changing it reach the task.
    """
    task = a_running_task()
    before = task.snapshot()

    task.settle(Failed(a_failure()), now=LATER)

    assert (TaskStatus.RUNNING, [], None) == (before.status, before.errors, before.error)
    assert 1 == len(task.errors)


def test_two_tasks_are_the_same_only_when_they_are_one() -> None:
    """
    Entities are told apart by identity; a snapshot is another.
    """
    task = a_task()

    assert task != task.snapshot()
    assert 2 == len({task, task.snapshot()})
