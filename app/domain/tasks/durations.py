"""Durations of many tasks, kept as numbers of tasks in buckets that grow by a constant factor."""

import math
from collections.abc import Mapping

SHORTEST = 1e-6
"""Seconds; whatever took less, or ended before it began by a clock that was set back, counts as this."""
SCALE = 4 / math.log(2)
"""Buckets by natural logarithm: four for every doubling."""
MAX_ERROR = math.exp(0.5 / SCALE) - 1
"""How far a quantile may be off, as a share of it: half a bucket, 9.1 %."""


def bucket_of(seconds: float) -> int:
    """The bucket that a duration belongs to."""
    return math.floor(math.log(max(seconds, SHORTEST)) * SCALE)


def quantile(buckets: Mapping[int, int], share: float) -> float | None:
    """Seconds within which *share* of all tasks ran, given how many ran in each bucket; None when none did.

    Told is the (geometric) middle of the bucket in which the true value lies, which is at most MAX_ERROR away from it.
    """
    missing = math.ceil(sum(buckets.values()) * share)
    for bucket in sorted(buckets):
        missing -= buckets[bucket]
        if missing <= 0 < buckets[bucket]:
            return math.exp((bucket + 0.5) / SCALE)
    return None
