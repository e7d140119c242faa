"""Task ids: UUID version 7 (RFC 9562, section 5.7), made by the caller and rising within a process."""

import os
import struct
import threading
import time
from collections.abc import Callable
from uuid import UUID, SafeUUID

from app.domain.errors import InvalidInput

TaskId = UUID


def checked_task_id(value: object) -> TaskId:
    """*value* as a task id: a UUID, or its text. Raises InvalidInput."""
    if isinstance(value, UUID):
        return value
    try:
        return UUID(value)  # type: ignore[arg-type]  # anything but text raises here, which is the check
    except (ValueError, AttributeError, TypeError) as error:
        raise InvalidInput("task_id", value, "must be a UUID") from error


_VERSION_AND_VARIANT = (0x7 << 76) | (0b10 << 62)
_COUNTER_BITS = 42


class TaskIds:
    """Makes as many ids as are asked for, which sort in the order they were made, also within one millisecond.

    48 bits of Unix milliseconds, then 42 bits that start at random and count upwards within a millisecond (method 1
    of RFC 9562, section 6.2), then 32 random bits. Safe to call from any thread. A clock set back does not make
    them fall: the last millisecond goes on counting.
    """

    def __init__(
        self,
        milliseconds: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
        random: Callable[[int], bytes] = os.urandom,
    ) -> None:
        self._milliseconds = milliseconds
        self._random = random
        self._lock = threading.Lock()
        self._last = -1
        self._counter = 0

    def __call__(self, count: int) -> list[TaskId]:
        # Asked of the system each time: what was put by would be handed out again on both sides of a fork.
        start, *noise = struct.unpack(f">6s{count}I", self._random(6 + 4 * count))
        with self._lock:
            moment = self._milliseconds()
            if moment > self._last:
                self._last = moment
                # The top bit starts at zero, so that a millisecond has room for 2**41 more ids.
                self._counter = int.from_bytes(start, "big") & ((1 << (_COUNTER_BITS - 1)) - 1)
            first = self._counter
            self._counter += count
            moment = self._last
        base = (moment << 80) | _VERSION_AND_VARIANT
        return [
            _uuid(base | (counter >> 30) << 64 | (counter & 0x3FFFFFFF) << 32 | low)
            for counter, low in enumerate(noise, first)
        ]


def _uuid(number: int) -> UUID:
    """What ``UUID(int=number)`` makes, at less than half of its cost: *number* is known to fit."""
    made = _blank(UUID)
    _put(made, "int", number)
    _put(made, "is_safe", SafeUUID.unknown)
    return made


_blank = object.__new__
_put = object.__setattr__  # a UUID refuses every other way
