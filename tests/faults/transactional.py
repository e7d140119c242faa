"""The jobs of test_transactional: each writes one effect, and its process dies, or freezes, at a step.

The environment names the step. It is reached from here, in the handler, in a hook, in events of SQLAlchemy's; nothing
in ``app`` knows of it.
"""

import os
import signal
import threading
from typing import Any

from sqlalchemy import Engine, event, text
from sqlalchemy.orm import Session

from app import TaskContext
from tests.faults.jobs import jobs, write

STEPS = (
    "before the write",
    "after the write",
    "after the return",
    "before the settlement",
    "after the settlement",
    "before the commit",
    "after the commit",
)
EFFECTS = "CREATE TABLE effects (task uuid NOT NULL, pid int NOT NULL)"
EFFECT = text("INSERT INTO effects (task, pid) VALUES (:task, :pid)")
_DIES_AT = os.environ.get("FAULTS_DIES_AT")
_FREEZES_AT = os.environ.get("FAULTS_FREEZES_AT")
_wrote = _froze = False


def die(step: str) -> None:
    """Or freeze, once: whoever thaws this process finds it where it was."""
    global _froze  # noqa: PLW0603
    if step == _DIES_AT:
        os.kill(os.getpid(), signal.SIGKILL)
    if step == _FREEZES_AT and not _froze:
        _froze = True
        # To this very thread: sent to the process, it lets the thread go on until another one has received it.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)


async def returned(payload: Any, context: TaskContext, result: Any) -> None:
    die("after the return")


def returned_in_thread(payload: Any, context: TaskContext, result: Any) -> None:
    die("after the return")


def _effect_of(context: TaskContext) -> dict[str, Any]:
    global _wrote  # noqa: PLW0603  # whose transactions the events below are about
    write(context, "began")
    _wrote = True
    die("before the write")
    return {"task": context.task.id, "pid": os.getpid()}


@jobs.define("transactional", transactional=True, after=[returned])
async def on_loop(payload: Any, context: TaskContext) -> int:
    await context.session.execute(EFFECT, _effect_of(context))
    die("after the write")
    return os.getpid()


@jobs.define("transactional:thread", transactional=True, after=[returned_in_thread])
def in_thread(payload: Any, context: TaskContext) -> int:
    context.session.execute(EFFECT, _effect_of(context))
    die("after the write")
    return os.getpid()


def _settles(statement: str) -> bool:
    return _wrote and "gone AS" in statement


if _DIES_AT or _FREEZES_AT:

    @event.listens_for(Engine, "before_cursor_execute")
    def _before(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if _settles(statement):
            die("before the settlement")

    @event.listens_for(Engine, "after_cursor_execute")
    def _after(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        if _settles(statement):
            die("after the settlement")

    @event.listens_for(Engine, "commit")  # which comes before it
    def _committing(connection: Any) -> None:
        if _wrote:
            die("before the commit")

    @event.listens_for(Session, "after_commit")
    def _committed(session: Session) -> None:
        die("after the commit")
