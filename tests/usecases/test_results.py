"""ResultWaiter: one thread that looks for all who wait."""

import threading
from collections.abc import Callable, Iterator, Sequence
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

    def ask_again() -> None:
        # Whoever waited has its answer by now.
        second.start()
        is_asking.set()
        while task.id not in waiter._waits:
            second.join(0.001)

    looks = iter([_Slowly([task], ask_again), [task]])

    class Looking:
        def execute(self, ids: Sequence[TaskId]) -> Look:
            return Look(next(looks), {})

    waiter = ResultWaiter(Looking, Silent)  # type: ignore[arg-type]  # all that is used of them

    answers.append(waiter.wait(task.id, 10))
    assert is_asking.wait(10)
    second.join(10)

    assert [task.id, task.id] == [answer.id for answer in answers]


class _Slowly(list[WorkerTask]):
    """Tasks that are handed out one by one, with something happening at the end of the first time."""

    def __init__(self, tasks: list[WorkerTask], then: Callable[[], None]) -> None:
        super().__init__(tasks)
        self._then: Callable[[], None] | None = then

    def __iter__(self) -> Iterator[WorkerTask]:
        yield from super().__iter__()
        then, self._then = self._then, None
        if then is not None:
            then()
