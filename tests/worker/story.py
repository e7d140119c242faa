"""Stories: what was called around a handler, in order."""

from collections.abc import Awaitable, Callable
from typing import Any

from app import (
    JobCall,
    JobCatalog,
    TaskContext,
    TaskQueueContainer,
)
from app.infra.settings import Settings
from tests.worker.running import Rig


class Story:
    """What happened, in order."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def middleware(self, name: str) -> Any:
        async def middleware(attempt: JobCall, inner: Callable[[], Awaitable[Any]]) -> Any:
            self.lines.append(f"{name} in")
            try:
                return await inner()
            finally:
                self.lines.append(f"{name} out")

        return middleware

    def before(self, name: str) -> Any:
        return lambda payload, context: self.lines.append(f"before {name}")

    def after(self, name: str) -> Any:
        return lambda payload, context, result: self.lines.append(f"after {name}")

    def on_error(self, name: str) -> Any:
        return lambda payload, context, error: self.lines.append(f"{name}: {type(error).__name__}")

    def handler(self, *, asynchronous: bool, raises: BaseException | None = None) -> Any:
        def in_thread(payload: Any, context: TaskContext) -> str:
            self.lines.append("handler")
            if raises is not None:
                raise raises
            return "result"

        async def on_loop(payload: Any, context: TaskContext) -> str:
            return in_thread(payload, context)

        return on_loop if asynchronous else in_thread


async def ran(settings: Settings, jobs: JobCatalog, type: str = "job", payload: Any = None, **asked: Any) -> Any:
    """The task of this job, once a worker has drained a new queue of these *jobs*."""
    tasks = TaskQueueContainer(settings=settings, jobs=jobs)
    found = await Rig(tasks, jobs).drained(tasks.enqueue_task().execute(type=type, payload=payload, **asked))
    await tasks.aclose()
    return found
