"""The surroundings in which a new user runs what a page says."""

import os
import sys
from pathlib import Path

_OURS = ("WORKER_", "JOB_", "SMTP_", "MAKE")
_OURS_TOO = ("ARGS", "DATABASE_URL", "DATA_DIR", "IN_MEMORY", "MFLAGS", "PYTHONPATH")


def environment(**changes: str) -> dict[str, str]:
    """This process's environment, less what configures us or a make around us, our Python first, with *changes*."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_OURS) and name not in _OURS_TOO}
    # Empty counts as unset, and goes before a .env of the checkout.
    first = {"DATABASE_URL": "", "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}"}
    return kept | first | changes
