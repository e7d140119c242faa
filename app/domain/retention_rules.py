"""Retention rules: how long what has ended is kept, by its status, its type and its queue."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Self

from app.domain.errors import InvalidInput
from app.domain.moments import checked_seconds, duration
from app.domain.names import checked_name, matches
from app.domain.tasks.status import FINAL, TaskStatus

FOREVER = "forever"
_ANY = "*"
_STATUSES = ", ".join(sorted(map(str, FINAL)))
_FORM = "must read status[:type][@queue]=age, for example completed=7d, failed:email:*@bulk=30d or *:audit:*=forever"
_RULE = re.compile(r"(?P<status>[^:@=]+)(?::(?P<type>[^@=]+))?(?:@(?P<queue>[^=]+))?")


@dataclass(frozen=True, slots=True)
class RetentionRule:
    """Tasks that ended as *status* (None: as any), of a type and a queue that fit the patterns, are kept *age* seconds.

    None keeps them for ever, whatever a later rule says. Raises InvalidInput.
    """

    age: float | timedelta | None
    status: TaskStatus | None = None
    type: str = _ANY
    queue: str = _ANY

    def __post_init__(self) -> None:
        if self.status is not None and self.status not in FINAL:
            raise InvalidInput("retention.status", self.status, f"must be one of {_STATUSES}, or * for all of them")
        object.__setattr__(self, "status", None if self.status is None else TaskStatus(self.status))
        checked_name("retention.type", self.type, wildcard=True)
        checked_name("retention.queue", self.queue, wildcard=True)
        if self.age is not None:
            object.__setattr__(self, "age", checked_seconds("retention.age", self.age))

    @classmethod
    def of(cls, selector: str, age: object) -> Self:
        """Of ``status[:type][@queue]`` and an age: seconds, a timedelta, or text such as ``7d`` or ``forever``.

        Raises InvalidInput.
        """
        found = _RULE.fullmatch(selector.strip())
        if found is None:
            raise InvalidInput("retention", selector, _FORM)
        status = found["status"].strip()
        if status == "dead":
            rule = f"must begin with one of {_STATUSES} or *; for dead letters there is WORKER_DEAD_LETTER_TTL"
            raise InvalidInput("retention", selector, rule)
        if status != _ANY and status not in {str(one) for one in FINAL}:
            raise InvalidInput("retention", selector, f"must begin with one of {_STATUSES}, or * for all of them")
        return cls(
            _age(age),
            None if status == _ANY else TaskStatus(status),
            (found["type"] or _ANY).strip(),
            (found["queue"] or _ANY).strip(),
        )

    @property
    def selector(self) -> str:
        """Whom it is about, as it is written in the settings."""
        type_ = "" if self.type == _ANY else f":{self.type}"
        queue = "" if self.queue == _ANY else f"@{self.queue}"
        return f"{self.status or _ANY}{type_}{queue}"

    def is_about(self, status: str, type: str, queue: str) -> bool:
        return self.status in (None, status) and matches(self.type, type) and matches(self.queue, queue)

    def covers(self, other: "RetentionRule") -> bool:
        """Whether nothing is left for *other* behind it; not every such case is seen."""
        return (
            self.status in (None, other.status)
            and self.type in (_ANY, other.type)
            and self.queue in (_ANY, other.queue)
        )


@dataclass(frozen=True, slots=True)
class RetentionRules:
    """Rules in order: for each task the first that is about it; one that none is about is kept. Raises InvalidInput."""

    rules: tuple[RetentionRule, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "rules", tuple(self.rules))
        for index, rule in enumerate(self.rules):
            if (first := next((one for one in self.rules[:index] if one.covers(rule)), None)) is not None:
                reason = f"can never apply, because {first.selector} stands before it: put the narrower rule first"
                raise InvalidInput("retention", rule.selector, reason)

    @classmethod
    def of(cls, given: object) -> Self:
        """Of text (``completed=7d, failed=30d``), of a mapping from selectors to ages, or of rules.

        Raises InvalidInput.
        """
        if isinstance(given, cls):
            return given
        if isinstance(given, str):
            return cls(tuple(_rule(part) for part in given.split(",") if part.strip()))
        if isinstance(given, Mapping):
            return cls(tuple(RetentionRule.of(str(selector), age) for selector, age in given.items()))
        if isinstance(given, Iterable):
            rules = tuple(given)
            if all(isinstance(rule, RetentionRule) for rule in rules):
                return cls(rules)
        raise InvalidInput("retention", given, "must be text, a mapping from selectors to ages, or retention rules")

    def __bool__(self) -> bool:
        return bool(self.rules)

    def age_of(self, status: str, type: str, queue: str) -> float | None:
        """The seconds that such a task is kept, None for ever."""
        rule = next((one for one in self.rules if one.is_about(status, type, queue)), None)
        return None if rule is None or rule.age is None else checked_seconds("retention.age", rule.age)


KEEP_ALL = RetentionRules()


def _rule(text: str) -> RetentionRule:
    selector, is_there, age = text.strip().rpartition("=")
    if not is_there:
        raise InvalidInput("retention", text.strip(), _FORM)
    return RetentionRule.of(selector, age)


def _age(given: object) -> float | None:
    if isinstance(given, str):
        if given.strip().lower() == FOREVER:
            return None
        try:
            return duration(given)
        except InvalidInput as error:
            rule = f"must be {FOREVER}, seconds, or a duration such as 12h, 7d or 52d12h"
            raise InvalidInput("retention", given.strip(), rule) from error
    return None if given is None else checked_seconds("retention.age", given)
