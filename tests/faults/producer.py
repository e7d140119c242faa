"""A producer that goes on enqueuing whatever the database does, as a patient application would."""

import threading

from app import DatabaseUnavailable, WorkerTask
from tests.faults.bench import Bench

_PAUSE = 0.02


class Producer:
    """``accepted`` are the tasks of whose enqueuing it was told that it is done."""

    def __init__(self, bench: Bench) -> None:
        self.accepted: list[WorkerTask] = []
        self.refused = 0
        self._bench = bench
        self._enough = threading.Event()
        self._broken: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, name="producer", daemon=True)
        self._thread.start()

    def wait_for(self, more: int) -> None:
        """Until so many *more* tasks have been accepted."""
        enough = len(self.accepted) + more
        self._bench.eventually(lambda: len(self.accepted) >= enough, what="the producer's tasks are accepted")

    def stop(self) -> list[WorkerTask]:
        """What was accepted. An error that is not DatabaseUnavailable is the test's failure."""
        self._enough.set()
        self._thread.join()
        assert not self._broken, self._broken
        return self.accepted

    def _run(self) -> None:
        try:
            while not self._enough.wait(_PAUSE):
                try:
                    self.accepted.append(self._bench.enqueue("quick"))
                except DatabaseUnavailable:
                    self.refused += 1
        except BaseException as error:
            self._broken.append(error)
