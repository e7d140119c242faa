"""Retention rules: the first that is about a task says how long it is kept, and wrong ones are refused."""

from datetime import timedelta
from typing import Any

import pytest

from app.domain.errors import InvalidInput
from app.domain.retention_rules import RetentionRule, RetentionRules
from app.domain.tasks.status import TaskStatus

DAY = 86_400.0
ENDED = [
    ("completed", "email:send", "default"),
    ("completed", "email:send", "bulk"),
    ("failed", "email:send", "bulk"),
    ("cancelled", "audit:login", "default"),
]


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("", [None, None, None, None]),
        ("completed=7d", [7, 7, None, None]),
        ("completed=7d, failed=30d ,cancelled=1d,", [7, 7, 30, 1]),
        ("*=7d", [7, 7, 7, 7]),
        ("*:audit:*=365d, *=7d", [7, 7, 7, 365]),
        ("*:audit:*=forever, *=7d", [7, 7, 7, None]),
        ("completed@bulk=12h, *=7d", [7, 0.5, 7, 7]),
        ("failed:email:*@b*=3d, *@bulk=1d, *=forever", [None, 1, 3, None]),
        ("completed : email:send @ bulk = 86400", [None, 1, None, None]),
    ],
)
def test_the_first_rule_that_is_about_a_task_counts(text: str, days: list[float | None]) -> None:
    """
    By status, type and queue; one that none is about is kept, and so is one that is kept for ever.
    """
    rules = RetentionRules.of(text)

    assert days == [None if (age := rules.age_of(*kind)) is None else age / DAY for kind in ENDED]


def test_rules_are_written_in_three_ways() -> None:
    """
    As text, as selectors with ages, and as values; they are the same.
    """
    rules = RetentionRules(
        (
            RetentionRule(None, type="audit:*"),
            RetentionRule(DAY, TaskStatus.FAILED, queue="bulk"),
            RetentionRule(timedelta(hours=1)),
        )
    )

    assert [rules] * 4 == [
        RetentionRules.of("*:audit:*=forever, failed@bulk=1d, *=1h"),
        RetentionRules.of({"*:audit:*": None, "failed@bulk": timedelta(days=1), "*": 3600}),
        RetentionRules.of(list(rules.rules)),
        RetentionRules.of(rules),
    ]
    assert ["*:audit:*", "failed@bulk", "*"] == [rule.selector for rule in rules.rules]


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ("7d", "must read status"),
        ("completed", "must read status"),
        ("=7d", "must read status"),
        ("completed:=7d", "must read status"),
        ("complete=7d", r"cancelled, completed, failed, or \*"),
        ("running=7d", r"cancelled, completed, failed, or \*"),
        ("email:*=7d", r"cancelled, completed, failed, or \*"),
        ("dead=7d", "WORKER_DEAD_LETTER_TTL"),
        ("completed=7 days", "forever, seconds, or a duration"),
        ("completed=", "forever, seconds, or a duration"),
        ("completed=-1d", "forever, seconds, or a duration"),
        ("*=7d, failed=30d", r"can never apply, because \* stands before it"),
        ("failed=7d, failed=30d", "can never apply, because failed stands before it"),
        ({"completed": "soon"}, "forever, seconds, or a duration"),
        ({"completed": True}, "number of seconds"),
        (7, "must be text"),
        (["completed=7d"], "must be text"),
    ],
)
def test_wrong_rules_are_refused(given: Any, said: str) -> None:
    """
    With the rule, and what is allowed.
    """
    with pytest.raises(InvalidInput, match=said):
        RetentionRules.of(given)


@pytest.mark.parametrize("wrong", [{"status": TaskStatus.RUNNING}, {"type": ""}, {"queue": "a\nb"}, {"age": -1}])
def test_a_rule_made_in_code_is_checked_as_well(wrong: dict[str, Any]) -> None:
    """
    Nothing goes by a rule that means nothing.
    """
    with pytest.raises(InvalidInput):
        RetentionRule(**{"age": 1.0} | wrong)
