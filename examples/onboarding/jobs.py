"""Jobs: one for each mail of the sequence, and the sign-up that puts them on the queue."""

from datetime import UTC, datetime
from typing import TypedDict

from pydantic import BaseModel
from sqlalchemy.orm import Session

from app import CancelTask, Exponential, Job, JobCatalog, Linear, TaskContext, Unique
from examples.onboarding.mailer import Mailer
from examples.onboarding.mails import FIRST_STEPS, OFFER, STORIES, WELCOME, Mail, Variant, due_at, variant_of
from examples.onboarding.people import People, User

jobs = JobCatalog()


class Onboarding(BaseModel):
    """To whom: the address and all the rest are looked up when the mail is sent, as they are then."""

    user_id: str


class Sent(TypedDict):
    """What became of it."""

    to: str
    subject: str
    variant: Variant


ONCE = Unique(key=lambda payload: payload.user_id)
"""One task of each job for one user, however often they are signed up."""


# Whoever has just signed up is waiting: try again soon, and often.
@jobs.define("onboarding:welcome", payload=Onboarding, priority=10, max_attempts=10, retry=Exponential(5), unique=ONCE)
def welcome(payload: Onboarding, context: TaskContext, mailer: Mailer, people: People) -> Sent:
    return _send(WELCOME, payload, context, mailer, people)


@jobs.define("onboarding:first-steps", payload=Onboarding, max_attempts=5, retry=Linear(step=600), unique=ONCE)
def first_steps(payload: Onboarding, context: TaskContext, mailer: Mailer, people: People) -> Sent:
    return _send(FIRST_STEPS, payload, context, mailer, people)


@jobs.define("onboarding:stories", payload=Onboarding, max_attempts=5, retry=Linear(step=3600), unique=ONCE)
def stories(payload: Onboarding, context: TaskContext, mailer: Mailer, people: People) -> Sent:
    return _send(STORIES, payload, context, mailer, people)


# Better not at all than twice: one attempt, and somebody looks at it.
@jobs.define("onboarding:offer", payload=Onboarding, max_attempts=1, unique=ONCE)
def offer(payload: Onboarding, context: TaskContext, mailer: Mailer, people: People) -> Sent:
    return _send(OFFER, payload, context, mailer, people)


SEQUENCE: tuple[tuple[Mail, Job[Onboarding, Sent]], ...] = (
    (FIRST_STEPS, first_steps),
    (STORIES, stories),
    (OFFER, offer),
)


def sign_up(session: Session, user: User, now: datetime | None = None) -> None:
    """Store *user* and the whole sequence in the caller's transaction: all of it is there after the commit, or none."""
    now = now or datetime.now(UTC)
    session.add(user)
    session.flush()
    payload = Onboarding(user_id=user.id)
    welcome.enqueue_in(session, payload, correlation_id=f"onboarding-{user.id}")
    for mail, job in SEQUENCE:
        at = due_at(mail, user, now)
        job.enqueue_in(session, payload, scheduled_at=at, correlation_id=f"onboarding-{user.id}")


def _send(mail: Mail, payload: Onboarding, context: TaskContext, mailer: Mailer, people: People) -> Sent:
    user = people.get(payload.user_id)
    if user is None:
        raise CancelTask("the user is gone")
    if not user.is_subscribed:
        raise CancelTask("the user has unsubscribed")
    variant = variant_of(user.id)
    subject = mail.subject(variant).format(name=user.name)
    # The id of the task is the same in every attempt, so that a mail which did leave is not sent twice.
    mailer.send(user.email, subject, mail.body.format(name=user.name), message_id=str(context.task.id))
    context.log.info("sent %r to %s", mail.name, user.email)
    return Sent(to=user.email, subject=subject, variant=variant)
