"""The observer, as a system's process sees it: it asks in a line of JSON and reads the answer, and ends with a result.

At the other end is the run itself (benchmarks/observer.py), which has a database driver and sees all processes. So no
system's environment needs anything but the system.
"""

import json
import os
import sys
from typing import Any


class Observer:
    """Questions to the run; each blocks until it is answered."""

    def __init__(self) -> None:
        # Libraries may print what they like: their standard output is our standard error from here on.
        self._lines = os.fdopen(os.dup(1), "w", buffering=1)
        os.dup2(2, 1)

    def _ask(self, question: str, **details: Any) -> Any:
        self._lines.write(json.dumps({"ask": question, **details}) + "\n")
        answer = sys.stdin.readline()
        if not answer:
            raise SystemExit("The run is gone, and so is this process")
        return json.loads(answer)

    def count(self, query: str) -> int:
        """The number a query on the system's database answers."""
        return int(self._ask("count", query=query))

    def analyze(self, *, vacuum: bool = False) -> None:
        """Bring the planner's statistics up to date, as autovacuum does in a database that lives longer than ours."""
        self._ask("analyze", vacuum=vacuum)

    def cpu(self, pids: list[int]) -> dict[str, float]:
        """CPU seconds so far: ``workers`` (those processes and their children), ``database`` (all of it), ``run``."""
        return dict(self._ask("cpu", pids=pids))

    def memory(self, pids: list[int]) -> int:
        """Bytes that those processes and their children have each to itself: the shared ledger is not in it."""
        return int(self._ask("memory", pids=pids))

    def counters(self) -> dict[str, float | None]:
        """Of the system's database so far: ``commits``, ``wal`` (bytes, of the whole server), ``statements``,
        ``controls`` (BEGIN, COMMIT and the like). Those a server cannot tell are None."""
        return dict(self._ask("counters"))

    def count_statements(self) -> None:
        """Have the server count the statements of connections made from now on; that costs time."""
        self._ask("count_statements")

    def hold_a_transaction(self) -> None:
        """Open a transaction with a snapshot and an id of its own, and leave it open."""
        self._ask("hold")

    def release_the_transaction(self) -> None:
        self._ask("release")

    def dead_tuples(self) -> int:
        return int(self._ask("dead_tuples"))

    def tell(self, text: str) -> None:
        """Progress, for people."""
        self._ask("tell", text=text)

    def result(self, **values: Any) -> None:
        self._lines.write(json.dumps({"result": values}) + "\n")
