"""docs/lifecycle.md is what the domain says."""

import subprocess
import sys

from tests.docs.markdown import ROOT


def test_the_generated_part_of_the_lifecycle_is_current() -> None:
    """As `make docs` would write it."""
    checked = subprocess.run(
        [sys.executable, "docs/lifecycle.py", "--check"], check=False, cwd=ROOT, capture_output=True, text=True
    )

    assert (0, "") == (checked.returncode, checked.stderr)
