"""Measuring: one process of a system, from its start to its result or its time limit."""

import json
import os
import queue
import signal
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from tempfile import TemporaryDirectory
from time import monotonic
from typing import Any

from benchmarks.cases import Sized
from benchmarks.environments import ROOT
from benchmarks.observer import Observations
from benchmarks.shared.ledger import FOLDER

_MARGIN = 60.0
"""Seconds on top of what the process was told: it ends by itself first, and knows what it waited for."""
_FILL = 2.0


class MeasurementFailed(Exception):
    """A system's process gave no result; the message says why."""


def measure(
    python: Path, system: str, workload: str, *, url: str = "", sized: Sized | None = None, limit: float = 120,
    observations: Observations | None = None, verbose: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Run one measurement in a process group of its own, which is gone on return. Raises MeasurementFailed.

    *verbose* passes on what its processes write to standard error.
    """
    command = [str(python), "-m", f"benchmarks.systems.{system}", workload, "--url", url, "--limit", str(limit)]
    if sized is not None:
        size = sized.backlog if workload.endswith(".prepare") else sized.size
        command += ["--size", str(size), "--rate", str(sized.rate), "--seconds", str(sized.seconds)]
    # An application's own settings must not reach a system under measurement.
    environment = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    # In memory where there is a file system for it: pages of a file on disk would be written back meanwhile.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None  # noqa: S108
    with TemporaryDirectory(prefix="bench-", dir=memory) as folder:
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", FOLDER: folder}
        with subprocess.Popen(  # noqa: S603
            command, cwd=ROOT, env=environment, text=True, bufsize=1, start_new_session=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            complaints: deque[str] = deque(maxlen=40)
            try:
                return _converse(process, complaints, observations, limit * _FILL + _MARGIN, verbose)
            finally:
                _end(process.pid)


def _converse(
    process: "subprocess.Popen[str]", complaints: deque[str], observations: Observations | None, patience: float,
    verbose: bool,
) -> dict[str, Any]:  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
    threading.Thread(target=_read, args=(process.stdout, lines), daemon=True).start()
    threading.Thread(target=_collect, args=(process.stderr, complaints, verbose), daemon=True).start()
    deadline = monotonic() + patience
    while True:
        try:
            line = lines.get(timeout=max(0.0, deadline - monotonic()))
        except queue.Empty:
            raise MeasurementFailed(f"no result after {patience:.0f} s") from None
        if line is None:
            process.wait()
            raise MeasurementFailed(f"ended with code {process.returncode}: {_last(complaints)}")
        said = json.loads(line)
        if "result" in said:
            result: dict[str, Any] = said["result"]
            if "error" in result:
                raise MeasurementFailed(result["error"])
            return result
        assert observations is not None, "there is nobody to ask"
        process.stdin.write(json.dumps(observations.answer(said)) + "\n")


def _read(stream: Any, lines: "queue.SimpleQueue[str | None]") -> None:
    for line in stream:
        lines.put(line)
    lines.put(None)


def _collect(stream: Any, complaints: deque[str], verbose: bool) -> None:
    for line in stream:
        complaints.append(line)
        if verbose:
            print("   |", line, end="", file=sys.stderr, flush=True)


def _last(complaints: deque[str]) -> str:
    told = [line.strip() for line in complaints if line.strip()]
    return told[-1] if told else "it said nothing"


def _end(group: int) -> None:
    """End a process group that we started, workers included."""
    try:
        os.killpg(group, signal.SIGKILL)
    except ProcessLookupError:
        return
