"""Jitter: how long the task of a tick waits, the same for whoever works it out."""

import hashlib
from datetime import datetime, timedelta

_WHOLE = 2**64


def jitter_of(schedule: str, tick: datetime, most: float) -> timedelta:
    """From nothing up to *most* seconds, evenly over the ticks; of one tick always the same."""
    if most <= 0:
        return timedelta()
    drawn = hashlib.sha256(f"{schedule}\n{tick.timestamp():.6f}".encode()).digest()[:8]
    return timedelta(seconds=most * int.from_bytes(drawn, "big") / _WHOLE)
