"""--reload: a worker that starts anew whenever a Python file in the working directory changes."""

import shlex
import sys
from pathlib import Path

from app.domain.errors import QueueError

GRACE = 60
"""Seconds a worker has to end before it is killed; it has its own, shorter grace."""


class ReloadUnavailable(QueueError):
    """The extra that watches files is not installed."""


def run_reloading() -> int:
    """Run this very command, without ``--reload``, again and again. Raises ReloadUnavailable."""
    try:
        import watchfiles
    except ImportError as error:
        raise ReloadUnavailable("--reload needs the extra `reload`: pip install 'app-task-queue[reload]'") from error
    arguments = [argument for argument in sys.argv[1:] if argument != "--reload"]
    watchfiles.run_process(
        Path.cwd(),
        target=shlex.join([sys.executable, "-m", "app", *arguments]),
        target_type="command",
        watch_filter=watchfiles.PythonFilter(),
        sigint_timeout=GRACE,
    )
    return 0
