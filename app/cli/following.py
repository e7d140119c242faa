"""Following: waiting for the task that works through many dead letters, or running it in this process."""

import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

from app.cli.dead_letter_tables import OPEN
from app.cli.progress import ProgressBar
from app.cli.queue import Queue
from app.domain.dead_letters.actions import LetterAction
from app.domain.errors import QueueError
from app.domain.identifiers import TaskId
from app.domain.tasks.errors import TaskHeld

LOOK = 0.2
"""Seconds from one look to the next."""


def is_served(queue: Queue, task_id: TaskId) -> bool:
    """Whether a worker is alive that takes such tasks, from that queue."""
    task = queue.find_task().execute(task_id)
    nodes = [worker.node for worker in queue.check_queue().execute().workers if not worker.is_late]
    return task.status.is_final or any(
        task.type in node.types and (not node.queues or task.queue in node.queues) for node in nodes
    )


def follow(queue: Queue, action: LetterAction, *, label: str, quiet: bool) -> LetterAction:
    """*action* when its task has ended, in the hands of a worker. Ctrl-C ends the following, and nothing else."""
    try:
        with ProgressBar(label, quiet=quiet) as bar:
            while (action := _draw(queue, action, bar)).state in OPEN:
                time.sleep(LOOK)
            return action
    except KeyboardInterrupt:
        print(
            f"Task {action.task_id} goes on with it: `python -m app dead-letters actions` says how far it is,"
            f" `python -m app cancel {action.task_id}` stops it",
            file=sys.stderr,
        )
        raise


def run_here(queue: Queue, action: LetterAction, *, label: str, quiet: bool) -> LetterAction:
    """The same, run in this process, unless a worker has taken it already.

    Ctrl-C lets it end its chunk and gives the task back; a second one does not wait for that.
    """
    with ProgressBar(label, quiet=quiet) as bar, _Interrupted() as interrupted:
        drawing = _Drawing(lambda: _draw(queue, action, bar))
        try:
            if action.task_id is not None:
                queue.run_task().execute(action.task_id, is_stopping=interrupted.is_set)
        except TaskHeld:
            interrupted.end()
            drawing.end()
            return follow(queue, action, label=label, quiet=quiet)
        finally:
            drawing.end()
        action = _draw(queue, action, bar)
    if interrupted.is_set() and action.state in OPEN:
        print(
            f"Stopped with {action.done:,} of {action.total:,} dead letter(s) {label}. A worker goes on with the rest,"
            f" or `python -m app dead-letters resume {action.id}`; `python -m app cancel {action.task_id}` gives it up",
            file=sys.stderr,
        )
        raise KeyboardInterrupt
    return action


class _Interrupted:
    """Whether Ctrl-C was pressed meanwhile; use it in a ``with``. The second one is as any."""

    def __init__(self) -> None:
        self._pressed = False

    def is_set(self) -> bool:
        return self._pressed

    def end(self) -> None:
        signal.signal(signal.SIGINT, self._before)

    def __enter__(self) -> "_Interrupted":
        self._before = signal.signal(signal.SIGINT, self._press)
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    def _press(self, number: int, frame: FrameType | None) -> None:
        if self._pressed:
            raise KeyboardInterrupt
        self._pressed = True


class _Drawing:
    """Draws now and then, from a thread of its own, while this one is busy."""

    def __init__(self, draw: Callable[[], object]) -> None:
        self._draw = draw
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="app-progress", daemon=True)
        self._thread.start()

    def end(self) -> None:
        self._over.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._over.wait(LOOK):
            with suppress(QueueError):  # it is only drawn later
                self._draw()


def _draw(queue: Queue, action: LetterAction, bar: ProgressBar) -> LetterAction:
    now = queue.find_dead_letter_action().execute(action.id)
    bar.draw(now.done + now.skipped, now.total)
    return now
