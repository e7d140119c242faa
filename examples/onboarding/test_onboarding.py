"""The onboarding sequence, a month of it in a moment: the test kit moves the clock."""

from collections.abc import Iterator
from datetime import UTC, datetime
from email import message_from_bytes, policy
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import Engine, create_engine
from sqlalchemy.orm import Session

from app import TaskStatus
from app.testing import TrialQueue, run_job
from examples.onboarding.jobs import Onboarding, first_steps, jobs, offer, sign_up, stories, welcome
from examples.onboarding.mailer import Mailer
from examples.onboarding.mails import variant_of
from examples.onboarding.people import Base, People, User

BERLIN = ZoneInfo("Europe/Berlin")
WEDNESDAY = datetime(2026, 3, 25, 15, 0, tzinfo=UTC)

SUBJECTS = [
    "Good to have you, Ada",
    "Ada, try this next",
    "Two weeks, Ada: what now?",
    "Ada, stay with us for half the price",
]
"""Ada is a B."""


class Outbox(Mailer):
    """Remembers what was sent; ``broken`` ones refuse it."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, str]] = []
        self.broken = False

    def send(self, to: str, subject: str, body: str, message_id: str) -> None:
        if self.broken:
            raise OSError("the mail server is away")
        self.sent.append((to, subject))


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    """The application's own database, with nobody in it."""
    engine = create_engine(f"sqlite:///{tmp_path / 'users.db'}")
    Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


@pytest.fixture
def queue(engine: Engine, outbox: Outbox) -> Iterator[TrialQueue]:
    """The queue on a Wednesday in March, with the services that handlers ask for."""
    with TrialQueue(jobs, services={Mailer: outbox, People: People(engine)}, now=WEDNESDAY) as queue:
        yield queue


@pytest.fixture
def ada(engine: Engine, queue: TrialQueue) -> str:
    """Somebody in Berlin who has just signed up."""
    with Session(engine) as session, session.begin():
        sign_up(session, User(id="ada", name="Ada", email="ada@example.org", timezone="Europe/Berlin"), WEDNESDAY)
    return "ada"


def test_the_mails_are_sent_on_their_days(queue: TrialQueue, outbox: Outbox, ada: str) -> None:
    """Welcome at once; the others in the morning where the user lives, in summer time too, and never on a weekend."""
    sent = []
    for month, day, hour in [(3, 25, 16), (3, 30, 9), (4, 8, 9), (4, 24, 9)]:
        queue.clock.move_to(datetime(2026, month, day, hour, tzinfo=BERLIN))
        sent.append(queue.drain())

    assert "B" == variant_of(ada)
    assert [1, 1, 1, 1] == sent
    assert SUBJECTS == [subject for _, subject in outbox.sent]


def test_nothing_is_sent_early(queue: TrialQueue, outbox: Outbox, ada: str) -> None:
    """A minute before nine on that Monday there is only the welcome."""
    queue.drain()

    queue.clock.move_to(datetime(2026, 3, 30, 8, 59, tzinfo=BERLIN))

    assert 0 == queue.drain()
    assert 1 == len(outbox.sent)


def test_who_unsubscribes_gets_no_more(queue: TrialQueue, outbox: Outbox, engine: Engine, ada: str) -> None:
    """What is still on the queue ends cancelled, and says why."""
    queue.drain()
    People(engine).unsubscribe(ada)

    queue.clock.advance(days=60)
    queue.drain()

    later = [task for job in (first_steps, stories, offer) for task in queue.enqueued(job)]
    assert 1 == len(outbox.sent)
    assert [(TaskStatus.CANCELLED, "the user has unsubscribed")] * 3 == [(task.status, task.error) for task in later]


def test_each_mail_has_a_retry_policy_of_its_own(queue: TrialQueue, outbox: Outbox, ada: str) -> None:
    """With no mail server the welcome is tried again within seconds; the offer is not tried twice."""
    outbox.broken = True
    queue.drain(raises=False)
    [first] = queue.enqueued(welcome)
    outbox.broken = False
    queue.clock.advance(seconds=10)
    queue.drain()

    outbox.broken = True
    queue.clock.advance(days=40)
    queue.drain(raises=False)

    [last] = queue.enqueued(offer)
    assert (TaskStatus.PENDING, 1) == (first.status, first.attempts)
    assert ("ada@example.org", SUBJECTS[0]) == outbox.sent[0]
    assert (TaskStatus.FAILED, 1) == (last.status, last.attempts)


def test_a_sign_up_that_is_rolled_back_leaves_nothing(queue: TrialQueue, engine: Engine) -> None:
    """Neither the user nor a mail."""
    with Session(engine) as session:
        sign_up(session, User(id="eve", name="Eve", email="eve@example.org"), WEDNESDAY)
        session.rollback()

    assert [] == queue.enqueued()
    assert None is People(engine).get("eve")


def test_every_user_keeps_a_variant(engine: Engine, outbox: Outbox) -> None:
    """The same in each mail, and about half of all users get either."""
    variants = [variant_of(f"user-{number}") for number in range(1000)]
    with Session(engine) as session, session.begin():
        session.add(User(id="user-1", name="Grace", email="grace@example.org"))

    ran = [
        run_job(job, Onboarding(user_id="user-1"), services={Mailer: outbox, People: People(engine)})
        for job in (welcome, first_steps, stories, offer)
    ]

    assert {variant_of("user-1")} == {run.unwrap()["variant"] for run in ran}
    assert 450 < variants.count("A") < 550


def test_a_mail_is_a_file(tmp_path: Path) -> None:
    """Sent twice under one id, it is one."""
    mailer = Mailer(tmp_path)

    for _ in range(2):
        mailer.send("ada@example.org", "Grüße", "Hallo", message_id="7")

    [file] = tmp_path.iterdir()
    mail = message_from_bytes(file.read_bytes(), policy=policy.default)
    assert ("ada@example.org", "Grüße") == (mail["To"], mail["Subject"])
