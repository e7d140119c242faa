"""The ledger: which task's handler ran, when and how often, in memory that the processes of a run share."""

import mmap
import os
import tempfile
from pathlib import Path
from time import monotonic

_DOUBLE = 8
FOLDER = "BENCH_FOLDER"
"""The variable that names the folder of a measurement."""


class Ledger:
    """A start time for each task, and for each worker process a count of each task's runs.

    ``monotonic`` is one clock for all processes of a machine. A count is one byte: the 256th run of a task raises
    ValueError in its handler. Each process writes to counts of its own, so nothing is lost between them.
    """

    def __init__(self, path: Path, size: int, workers: int, worker: int = 0) -> None:
        self.path = path
        self.size = size
        self.workers = workers
        with path.open("r+b") as file:
            self._memory = mmap.mmap(file.fileno(), 0)
        whole = memoryview(self._memory)
        self.starts = whole[: size * _DOUBLE].cast("d")
        self._all_counts = whole[size * _DOUBLE :]
        self._counts = self._all_counts[worker * size : (worker + 1) * size]

    @classmethod
    def create(cls, size: int, workers: int) -> "Ledger":
        """A new one, in the folder of this measurement, which the run removes."""
        handle, name = tempfile.mkstemp(prefix="ledger-", dir=os.environ[FOLDER])
        os.ftruncate(handle, size * _DOUBLE + size * workers)
        os.close(handle)
        return cls(Path(name), size, workers)

    def mark(self, number: int, at: float = 0.0) -> None:
        """The handler of task *number* runs now, or ran *at*. The backlog has negative numbers, which are not kept."""
        if number >= 0:
            self.starts[number] = at or monotonic()
            self._counts[number] += 1

    def runs(self, numbers: range) -> int:
        """How many of *numbers* have run; one that ran in two processes counts twice. Quick: it is polled."""
        unmarked = 0
        for worker in range(self.workers):
            first = worker * self.size
            unmarked += bytes(self._all_counts[first + numbers.start : first + numbers.stop]).count(0)
        return len(numbers) * self.workers - unmarked

    def by_worker(self, numbers: range) -> list[int]:
        """How many runs each worker process had."""
        regions = (bytes(self._all_counts[w * self.size :][numbers.start : numbers.stop]) for w in range(self.workers))
        return [sum(region) for region in regions]

    def not_once(self, numbers: range) -> str:
        """What is wrong when not each of *numbers* ran exactly once; empty when nothing is."""
        totals = [sum(self._all_counts[w * self.size + n] for w in range(self.workers)) for n in numbers]
        never, often = totals.count(0), sum(total > 1 for total in totals)
        return f"{never} task(s) never ran, {often} ran more than once" if never or often else ""

    def first_start(self, numbers: range) -> float:
        return min(start for start in self.starts[numbers.start : numbers.stop] if start)
