"""TaskContext and answers: what a handler is given, and what it may raise."""

import logging
import math
from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.jobs.answers import CancelTask, FailForGood, RetryLater, Snooze
from app.domain.jobs.context import TaskContext
from app.domain.tasks.failures import MAX_MESSAGE
from tests.examples import a_running_task


def test_progress_is_reported_as_a_percentage_with_a_clean_line() -> None:
    """
    Without what a database cannot hold.
    """
    reports: list[tuple[float, str | None]] = []
    context = TaskContext(a_running_task(), "w1", report=lambda *report: reports.append(report))

    context.progress(0)
    context.progress(100, "do\0ne")

    assert [(0.0, None), (100.0, "do\N{REPLACEMENT CHARACTER}ne")] == reports


@pytest.mark.parametrize(
    ("report", "field"),
    [
        ((-0.1,), "percent"),
        ((100.1,), "percent"),
        ((math.nan,), "percent"),
        (("50",), "percent"),
        ((True,), "percent"),
        ((50, 7), "message"),
    ],
)
def test_progress_that_is_none_is_refused(report: tuple[Any, ...], field: str) -> None:
    """
    To the handler's face.
    """
    context = TaskContext(a_running_task(), "w1")

    with pytest.raises(InvalidInput) as refused:
        context.progress(*report)

    assert field == refused.value.field


def test_a_context_knows_whether_it_is_time_to_end() -> None:
    """
    As its worker says; alone it never is.
    """
    assert TaskContext(a_running_task(), "w1", shutting_down=lambda: True).is_shutting_down()
    assert not TaskContext(a_running_task(), "w1").is_shutting_down()


def test_a_line_of_log_names_its_task(caplog: pytest.LogCaptureFixture) -> None:
    """
    In the text and as fields, beside the handler's own.
    """
    task = a_running_task(correlation_id="order 7")
    context = TaskContext(task, "w1")

    with caplog.at_level(logging.INFO, logger="app.jobs"):
        context.log.info("sent %d", 3, extra={"size": 9})

    [record] = caplog.records
    assert f"[email:send {task.id}] sent 3" == record.getMessage()
    assert (str(task.id), "email:send", 1, "w1", "order 7", 9) == tuple(
        getattr(record, name) for name in ("task_id", "task_type", "attempt", "worker_id", "correlation_id", "size")
    )


@pytest.mark.parametrize("delay", [-1, math.nan, math.inf, "5", None, pytest.param(10**400, id="huge")])
def test_an_answer_with_a_wait_that_is_none_is_refused(delay: Any) -> None:
    """
    Where the handler raises it, so that its own line is in the traceback.
    """
    for answer in (RetryLater, Snooze):
        with pytest.raises(InvalidInput) as refused:
            answer(delay)
        assert "delay" == refused.value.field


def test_the_reasons_of_answers_can_be_stored() -> None:
    """
    Cleaned and cut like any text of a handler.
    """
    assert "a\N{REPLACEMENT CHARACTER}b" == CancelTask("a\0b").reason
    assert len(CancelTask("x" * 1_000_000).reason) < MAX_MESSAGE + 60
    assert "a\N{REPLACEMENT CHARACTER}b" == str(FailForGood("a\0b"))
    assert ("busy", "the handler asked to be retried in 5 s") == (str(RetryLater(5, "busy")), str(RetryLater(5)))
