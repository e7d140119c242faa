"""What may be enqueued and what may not, as data: the same for Python, for SQL, in memory and in PostgreSQL."""

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone
from typing import Any, Literal

Way = Literal["typed", "json"]
"""In SQL: with parameters of SQL's types, or as an object of ``enqueue_many``."""
BOTH: tuple[Way, ...] = ("typed", "json")

DAY = 86_400.0
HUNDRED_YEARS = 36_500 * DAY
INT32 = 2**31 - 1


@dataclass(frozen=True)
class Case:
    """What a caller asks for, under the names of NewTask; ``payload`` as the text of its JSON.

    ``refused`` is the field that is named, None for what is stored. ``ways`` are those in which SQL can say it at all:
    its text holds no NUL, its moments always have a zone, and a number is no text there.
    """

    name: str
    asked: dict[str, Any]
    refused: str | None = None
    ways: tuple[Way, ...] = field(default=BOTH, kw_only=True)

    @property
    def in_python(self) -> dict[str, Any]:
        payload = {"payload": json.loads(self.asked["payload"])} if "payload" in self.asked else {}
        return {"type": "a:b"} | self.asked | payload


def _zone(hours: int, minutes: int = 0) -> timezone:
    return timezone(timedelta(hours=hours, minutes=minutes))


def _nested(depth: int) -> str:
    return "[" * depth + "]" * depth


def _cut(path: str) -> str:
    return f"{path[:200]}…"


GOOD = [
    Case("nothing but a type", {}),
    Case("a type with anything in it", {"type": "rapport: générer%_\\'\"${}"}),
    Case("a type of 200 characters", {"type": "ü" * 200}),
    Case("a type of elephants", {"type": "🐘" * 200}),
    Case("a type of one blank", {"type": " "}),
    Case("a queue", {"queue": "ключ"}),
    Case("a queue beyond the control characters", {"queue": "\u00a0 ~"}),
    Case("the highest priority", {"priority": INT32}),
    Case("the lowest priority", {"priority": -INT32 - 1}),
    Case("one attempt", {"max_attempts": 1}),
    Case("all attempts", {"max_attempts": INT32}),
    Case("attempts unsaid", {"max_attempts": None}),
    Case("a timeout", {"timeout": 1.5}),
    Case("a whole timeout", {"timeout": 60}),
    Case("the shortest timeout", {"timeout": 5e-324}),
    Case("a timeout of many digits", {"timeout": 0.1 + 0.2}),
    Case("the longest timeout", {"timeout": HUNDRED_YEARS}),
    Case("no delay", {"delay": 0}),
    Case("a delay", {"delay": 30}),
    Case("a delay of microseconds", {"delay": 0.000_001}),
    Case("a delay of half a second", {"delay": 1.5}),
    Case("a delay over the change of clocks", {"delay": 180 * DAY}),
    Case("the longest delay", {"delay": HUNDRED_YEARS}),
    Case("a moment", {"scheduled_at": datetime(2030, 1, 31, 9, tzinfo=UTC)}),
    Case("a moment in the past", {"scheduled_at": datetime(2001, 1, 1, tzinfo=UTC)}),
    Case("a moment of another zone", {"scheduled_at": datetime(2030, 7, 1, 3, 0, 0, 1, tzinfo=_zone(-11, -30))}),
    Case("the first moment", {"scheduled_at": datetime(1900, 1, 1, tzinfo=UTC)}),
    Case("the last moment", {"scheduled_at": datetime(9990, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)}),
    Case("a correlation id with a star", {"correlation_id": "order *7*"}),
    Case("no tags", {"tags": ()}),
    Case("tags", {"tags": ["a,b", '"quoted"', "{braces}", "back\\slash", "NULL", "ünï 🐘", "*", " "]}),
    Case("fifty tags", {"tags": [f"t{number}" for number in range(50)]}),
    Case("one tag twice", {"tags": ["a", "a"]}),
    Case("the first version", {"version": 1}),
    Case("a version", {"version": 2}),
    Case("the last version", {"version": 32_767}),
    Case("a payload of null", {"payload": "null"}),
    Case("a payload of text", {"payload": '"text"'}),
    Case("keys in no order", {"payload": '{"b":1,"a":2,"aa":3,"10":4}'}),
    Case("floats that stay what they are", {"payload": "[1e22,-0.0,1e-300,0.1,1.7976931348623157e308,5e-324,1.0]"}),
    Case("a float too small to be told from zero", {"payload": "[1e-400,1e-99999,0e99999]"}),
    Case("big integers", {"payload": f"[{10**400},{-(2**64)},{10**4299}]"}),
    Case("what looks like an escape", {"payload": r'"\\u0000 \\ud800 \\\\u0000"'}),
    Case("a pair of surrogates", {"payload": r'"\ud83d\udc18\uD83D\uDC18"'}),
    Case("control characters", {"payload": r'"\u0001\n\t\u007f"'}),
    Case("as deep as may be", {"payload": _nested(128)}),
    Case("wide rather than deep", {"payload": "[" + ",".join(["[{}]"] * 200) + "]"}),
    Case("brackets in text", {"payload": json.dumps({"a\\": "[" * 200 + '"\\' + "{" * 200 + "1e999"})}),
    Case("as large as may be", {"payload": json.dumps("x" * (1_048_576 - 2))}),
    Case(
        "everything at once",
        {
            "type": "order:ship", "payload": '{"order":7}', "queue": "mail", "priority": -3, "max_attempts": 9,
            "timeout": 2.5, "scheduled_at": datetime(2031, 2, 3, 4, 5, 6, 7, tzinfo=_zone(5, 45)),
            "correlation_id": "c-1", "tags": ["x"], "version": 4,
        },
    ),
]  # fmt: skip

BAD = [
    Case("no type", {"type": None}, "type"),
    Case("an empty type", {"type": ""}, "type"),
    Case("a type too long", {"type": "ü" * 201}, "type"),
    Case("a type with a star", {"type": "email:*"}, "type"),
    Case("a type of two lines", {"type": "a\nb"}, "type"),
    Case("a type with DEL", {"type": "a\x7f"}, "type"),
    Case("a type with a late control character", {"type": "a\x85"}, "type"),
    Case("a type with NUL", {"type": "a\0b"}, "type", ways=("json",)),
    Case("a type with half a letter", {"type": "a\ud83d"}, "type", ways=("json",)),
    Case("a type that is a number", {"type": 5}, "type", ways=("json",)),
    Case("no queue", {"queue": None}, "queue"),
    Case("an empty queue", {"queue": ""}, "queue"),
    Case("a queue too long", {"queue": "q" * 201}, "queue"),
    Case("a queue with a star", {"queue": "*"}, "queue"),
    Case("a queue with a tab", {"queue": "a\tb"}, "queue"),
    Case("a queue that is a list", {"queue": ["a"]}, "queue", ways=("json",)),
    Case("no priority", {"priority": None}, "priority"),
    Case("a priority too high", {"priority": INT32 + 1}, "priority"),
    Case("a priority too low", {"priority": -INT32 - 2}, "priority"),
    Case("a priority out of all bounds", {"priority": 10**300}, "priority"),
    Case("a fraction of a priority", {"priority": 1.5}, "priority"),
    Case("a priority that is true", {"priority": True}, "priority", ways=("json",)),
    Case("a priority that is text", {"priority": "1"}, "priority", ways=("json",)),
    Case("no attempt", {"max_attempts": 0}, "max_attempts"),
    Case("fewer than no attempts", {"max_attempts": -1}, "max_attempts"),
    Case("too many attempts", {"max_attempts": INT32 + 1}, "max_attempts"),
    Case("a moment too early", {"scheduled_at": datetime(1899, 12, 31, 23, 59, 59, tzinfo=UTC)}, "scheduled_at"),
    Case("a moment too late", {"scheduled_at": datetime(9991, 1, 1, tzinfo=UTC)}, "scheduled_at"),
    Case("a moment without a zone", {"scheduled_at": datetime(2030, 1, 1)}, "scheduled_at", ways=("json",)),  # noqa: DTZ001
    Case("a moment that is a number", {"scheduled_at": 1_900_000_000}, "scheduled_at", ways=("json",)),
    Case("a delay and a moment", {"delay": 1, "scheduled_at": datetime(2030, 1, 1, tzinfo=UTC)}, "delay"),
    Case("a delay backwards", {"delay": -0.5}, "delay"),
    Case("a delay too long", {"delay": HUNDRED_YEARS + 1}, "delay"),
    Case("a delay that is text", {"delay": "5 minutes"}, "delay", ways=("json",)),
    Case("an empty correlation id", {"correlation_id": ""}, "correlation_id"),
    Case("a correlation id too long", {"correlation_id": "c" * 201}, "correlation_id"),
    Case("a correlation id with ESC", {"correlation_id": "\x1b[31m"}, "correlation_id"),
    Case("no time", {"timeout": 0}, "timeout"),
    Case("less than no time", {"timeout": -1.0}, "timeout"),
    Case("too much time", {"timeout": HUNDRED_YEARS + 1}, "timeout"),
    Case("a timeout that is no number", {"timeout": float("nan")}, "timeout", ways=("typed",)),
    Case("an endless timeout", {"timeout": float("inf")}, "timeout", ways=("typed",)),
    Case("a timeout that is text", {"timeout": "5"}, "timeout", ways=("json",)),
    Case("a version before the first", {"version": 0}, "version"),
    Case("a version too high", {"version": 32_768}, "version"),
    Case("an empty tag", {"tags": ["a", ""]}, "tags[1]"),
    Case("a tag too long", {"tags": ["t" * 201]}, "tags[0]"),
    Case("a tag that is nothing", {"tags": ["a", "b", None]}, "tags[2]"),
    Case("a tag of two lines", {"tags": ["a\r\nb"]}, "tags[0]"),
    Case("a tag that is a number", {"tags": [1]}, "tags[0]", ways=("json",)),
    Case("tags that are text", {"tags": "a,b"}, "tags", ways=("json",)),
    Case("too many tags", {"tags": [f"t{number}" for number in range(51)]}, "tags"),
    Case("NUL in a payload", {"payload": r'"\u0000"'}, "payload"),
    Case("NUL behind a backslash", {"payload": r'"\\\u0000"'}, "payload"),
    Case("NUL deep inside", {"payload": r'{"a":[{"b":"x\u0000"}]}'}, "payload.a[0].b"),
    Case("NUL in a key", {"payload": r'{"a\u0000":1}'}, "payload (a key)"),
    Case("half a letter", {"payload": r'["\ud83d"]'}, "payload[0]"),
    Case("the other half", {"payload": r'["\udc18"]'}, "payload[0]"),
    Case("the halves in the wrong order", {"payload": r'["\udc18\ud83d"]'}, "payload[0]"),
    Case("a half before a whole", {"payload": r'["\ud83d\ud83d\udc18"]'}, "payload[0]"),
    Case("too deep", {"payload": _nested(129)}, _cut("payload" + "[0]" * 128)),
    Case("too deep by objects", {"payload": '{"a":[' * 64 + "[]" + "]}" * 64}, _cut("payload" + ".a[0]" * 64)),
    Case("infinity", {"payload": "[1e400]"}, "payload[0]"),
    Case("infinity in many digits", {"payload": f"[{10**308 * 2}.0]"}, "payload[0]"),
    Case("infinity with a long exponent", {"payload": "[-0.1e+00099999]"}, "payload[0]"),
    Case("too large", {"payload": json.dumps("x" * (1_048_576 - 1))}, "payload"),
    Case("too large in bytes", {"payload": '"' + "ü" * 524_288 + '"'}, "payload"),
    Case("two wrong, the first is named", {"queue": "", "type": "*", "tags": [""]}, "type", ways=("typed",)),
]  # fmt: skip
