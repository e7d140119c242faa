"""Locks between processes, which the kernel takes back from a process that died."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def lock(place: Path, *, shared: bool = False, wait: bool = True) -> int:
    """Lock a file or folder that exists, and return the descriptor that holds the lock until it is closed.

    A child that was forked holds it too. ``BlockingIOError`` when it is taken and waiting is not wanted.
    """
    import fcntl  # not on Windows, where this module must still be importable

    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | (0 if wait else fcntl.LOCK_NB))
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def locked(place: Path, *, wait: bool = True) -> Iterator[None]:
    """Have a file or folder alone for as long as the block runs."""
    import fcntl

    descriptor = lock(place, wait=wait)
    try:
        yield
    finally:
        # Closing alone would leave it to a child that another thread has forked meanwhile.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)
