"""What a type checker makes of typed jobs: nothing of the good ones, and one complaint about each mistake."""

import subprocess
import sys
from pathlib import Path

from tests.cli.running import ROOT, environment

JOBS = '''
"""An application with typed jobs in every form."""

from typing import Any

from pydantic import BaseModel
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from app import Exponential, Job, JobCatalog, Outcome, TaskContext, TaskHandle, Unique
from app.testing import JobRun, TrialQueue, run_job


class SendEmail(BaseModel):
    to: str


class Sent(BaseModel):
    message_id: str


class Mailer:
    def send(self, to: str) -> str:
        return to


jobs = JobCatalog()


@jobs.define(
    "email:send", payload=SendEmail, result=Sent, retry=Exponential(first=5, factor=2, cap=3600), max_attempts=5,
    timeout=60, version=2, unique=Unique(key=lambda payload: payload.to),
)
async def send_email(payload: SendEmail, context: TaskContext) -> Sent:
    return Sent(message_id=payload.to)


@jobs.define("email:sync", payload=SendEmail, result=Sent)
def send_sync(payload: SendEmail, context: TaskContext) -> Sent:
    return Sent(message_id=payload.to)


@jobs.define("email:services", payload=SendEmail)
async def send_with(payload: SendEmail, context: TaskContext, mailer: Mailer, *, retries: int = 3) -> Sent:
    return Sent(message_id=mailer.send(payload.to))


@jobs.define("email:unsaid", payload=SendEmail)
def send_unsaid(payload: SendEmail, context: TaskContext, mailer: Mailer) -> Sent:
    return Sent(message_id=mailer.send(payload.to))


@jobs.define("plain")
async def plain(payload: dict[str, Any], context: TaskContext) -> dict[str, Any]:
    return payload


class SendClass(Job[SendEmail, Sent]):
    async def execute(self, payload: SendEmail, context: TaskContext) -> Sent:
        return Sent(message_id=payload.to)

    async def before_execute(self, payload: SendEmail, context: TaskContext) -> None:
        context.log.info("sending to %s", payload.to)

    def after_execute(self, payload: SendEmail, context: TaskContext, result: Sent) -> None:
        context.progress(100, result.message_id)


class SendClassSync(Job[SendEmail, Sent]):
    def execute(self, payload: SendEmail, context: TaskContext) -> Sent:
        return Sent(message_id=payload.to)


send_class = jobs.add(SendClass("email:class", max_attempts=2))
send_class_sync = jobs.add(SendClassSync("email:class-sync"))
letter = SendEmail(to="ada@example.org")


async def use(session: Session, other: AsyncSession) -> None:
    one: TaskHandle[Sent] = send_email.enqueue(letter, priority=5, delay=30, correlation_id="req-1")
    one = send_sync.enqueue(letter)
    one = send_class.enqueue(letter)
    one = send_class_sync.enqueue(letter, tags=["x"], queue="mail", max_attempts=2, timeout=5)
    one = send_with.enqueue(letter)
    one = send_unsaid.enqueue(letter)
    one = await send_email.aenqueue(letter)
    one = send_email.enqueue_in(session, letter)
    one = await send_email.aenqueue_in(other, letter)
    many: list[TaskHandle[Sent]] = send_email.enqueue_many([letter, letter], priority=1)
    many = await send_class.aenqueue_many(iter([letter]))
    many = send_email.enqueue_many_in(session, (letter,))
    many = await send_email.aenqueue_many_in(other, [letter])
    sent: Sent = one.result(timeout=10)
    sent = await one.aresult(timeout=10)
    outcome: Outcome[Sent] = send_email.run(letter, persist=False)
    outcome = await send_class.arun(letter)
    outcomes: list[Outcome[Sent]] = await send_email.arun_many([letter], concurrency=3, stop_on_error=False)
    perhaps: Sent | None = outcome.result
    sent = outcome.unwrap()
    plain.enqueue({"any": "thing"})


def test_it() -> None:
    with TrialQueue(jobs, services={Mailer: Mailer()}) as queue:
        send_email.enqueue(letter)
        [task] = queue.assert_enqueued(send_email, letter, count=1)
        queue.clock.advance(days=1)
        attempts: int = queue.drain()
        run: JobRun[Sent] = run_job(send_email, letter, attempt=2)
        sent: Sent = run.unwrap()
'''

MISTAKES = {
    'send_email.enqueue({"to": "ada@example.org"})': {"arg-type"},
    'send_sync.enqueue("ada@example.org")': {"arg-type"},
    "send_class.enqueue(Sent(message_id=''))": {"arg-type"},
    "send_unsaid.enqueue(None)": {"arg-type"},
    "send_email.enqueue_many([letter, 3])": {"list-item"},
    "send_email.enqueue_many(letter)": {"arg-type"},
    "send_email.enqueue()": {"call-arg"},
    "wrong_result: str = send_email.enqueue(letter).result()": {"assignment"},
    "wrong_class: str = send_class.enqueue(letter).result()": {"assignment"},
    "wrong_inferred: str = send_with.enqueue(letter).result()": {"assignment"},
    "wrong_outcome: int = send_email.run(letter).unwrap()": {"assignment"},
    'send_email.enqueue(letter, colour="red")': {"call-arg"},
    'send_email.enqueue(letter, priority="high")': {"arg-type"},
    "send_email.run(letter, persist=1)": {"arg-type"},
    "run_job(send_email, 3)": {"misc"},
    'jobs.define("a", payload=SendEmail, colour="red")': {"call-overload"},
    'jobs.define("b", payload=SendEmail, max_attempts="3")': {"call-overload"},
    'jobs.define("c", payload=SendEmail, result=Sent)(send_text)': {"arg-type"},
    'jobs.define("e", payload=Sent)(send_text)': {"arg-type"},
    'jobs.define("d", payload=Sent, result=Sent)(send_email.handler).enqueue(letter)': {"arg-type"},
}
"""And what mypy calls them. ``send_text`` returns text."""

MORE = """

def send_text(payload: SendEmail, context: TaskContext) -> str:
    return payload.to


"""


def test_strict_mypy_accepts_typed_jobs_and_finds_their_mistakes(tmp_path: Path) -> None:
    """Not one complaint about the good file, and one about each line of the other."""
    good, bad = tmp_path / "typed_jobs.py", tmp_path / "typed_mistakes.py"
    good.write_text(JOBS)
    bad.write_text("\n".join([JOBS + MORE, *MISTAKES]) + "\n")
    first = (JOBS + MORE).count("\n") + 2

    checked = subprocess.run(
        # The cache is the one of `make types`; it only makes this quick.
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--hide-error-context", str(good), str(bad)],
        check=False,
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=110,
    )

    errors = [line for line in checked.stdout.splitlines() if ": error: " in line]
    found: dict[int, set[str]] = {}
    for line in errors:
        file, number, _ = line.split(":", 2)
        assert "typed_mistakes" in file, line
        found.setdefault(int(number), set()).add(line.rpartition("[")[2].rstrip("]"))
    assert dict(zip(range(first, first + len(MISTAKES)), MISTAKES.values(), strict=True)) == found, checked.stdout
    assert "" == checked.stderr
