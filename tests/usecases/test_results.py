"""ResultWaiter: one thread that looks for all who wait."""

import threading
from collections.abc import Iterator, Sequence
from typing import Any

from app.domain.identifiers import TaskId
from app.domain.results import Look
from app.domain.tasks.status import TaskStatus
from app.domain.tasks.task import WorkerTask
from app.usecases.results import ResultWaiter
from tests.examples import NOON, a_task


class Silent:
    """Notifications that never come."""

    def start(self, on_end: Any) -> None: ...

    def ask(self) -> None: ...

    def stop(self) -> None: ...


def test_who_was_just_answered_may_ask_for_the_same_again() -> None:
    """
    Before the look that brought the first answer has been dealt with: the task is there, and so is the second answer.
    """
    task = a_task(status=TaskStatus.COMPLETED, finished_at=NOON)
    answers: list[WorkerTask] = []

    def again() -> None:
        answers.append(waiter.wait(task.id, 10))

    second, is_asking = threading.Thread(target=again), threading.Event()

    def ended() -> Iterator[WorkerTask]:
        yield task
        # Whoever waited has its answer by now.
        if not second.ident:
            second.start()
            is_asking.set()
            while task.id not in waiter._waits:
                second.join(0.001)

    class Looking:
        def execute(self, ids: Sequence[TaskId]) -> Look:
            return Look(_Once(ended()), {})

    waiter = ResultWaiter(Looking, Silent)  # type: ignore[arg-type]  # all that is used of them

    answers.append(waiter.wait(task.id, 10))
    assert is_asking.wait(10)
    second.join(10)

    assert [task.id, task.id] == [answer.id for answer in answers]


class _Once(list[WorkerTask]):
    """Tasks that are handed out one by one the first time, with something happening in between."""

    def __init__(self, tasks: Iterator[WorkerTask]) -> None:
        super().__init__()
        self._tasks = tasks

    def __iter__(self) -> Iterator[WorkerTask]:
        for task in self._tasks:
            self.append(task)
            yield task
        self._tasks = super().__iter__()
