"""The jobs that the commands of these tests know: one that works, one that fails for good."""

from typing import Any

from app import FailForGood, JobCatalog, TaskContext

jobs = JobCatalog()


@jobs.define("text:upper")
def upper(payload: Any, context: TaskContext) -> dict[str, str]:
    context.log.info("at work")
    return {"text": str(payload["text"]).upper()}


@jobs.define("text:refuse")
def refuse(payload: Any, context: TaskContext) -> None:
    raise FailForGood("it is never right")
