"""Mail, the payload of email:send: the message it becomes, or the field that is wrong."""

from datetime import timedelta
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from app.domain.jobs.answers import FailForGood
from app.worker.examples.mail import Mail
from tests.examples import NOON, a_task

LETTER = {"to": "ada@example.org", "subject": "Hello", "body": "How do you do?\n"}
QUEUE = Address("Task queue", "tasks", "localhost")


def message(**changes: Any) -> EmailMessage:
    return Mail.read({**LETTER, **changes}).message(a_task(), sender=QUEUE)


def test_html_stands_beside_the_text() -> None:
    """A mail with both is one message with two alternatives, the plain one first."""
    both = message(html="<p>Schön</p>")

    assert "multipart/alternative" == both.get_content_type()
    assert [("text/plain", LETTER["body"]), ("text/html", "<p>Schön</p>\n")] == [
        (part.get_content_type(), part.get_content().replace("\r\n", "\n"))
        for part in both.iter_parts()
        if isinstance(part, EmailMessage)
    ]


def test_the_date_is_that_of_the_attempt() -> None:
    """A mail scheduled for next week is dated next week, by the clock of the database."""
    task = a_task(created_at=NOON, started_at=NOON + timedelta(days=7))

    sent = Mail.read(LETTER).message(task, sender=QUEUE)

    assert task.started_at == parsedate_to_datetime(sent["Date"])


@pytest.mark.parametrize("sender", [{}, {"from": None}])
def test_the_queue_signs_what_nobody_else_does(sender: dict[str, Any]) -> None:
    """Without an author of its own the mail comes from the address in the settings."""
    assert "Task queue <tasks@localhost>" == message(**sender)["From"]


@pytest.mark.parametrize(
    ("to", "recipients"),
    [
        ("ada@example.org", ["ada@example.org"]),
        ("Dr. Ada <ada@example.org>", ["ada@example.org"]),
        ('"Lovelace, Ada" <ada@example.org>, bob@example.org', ["ada@example.org", "bob@example.org"]),
        (["ada@example.org", "Ada <ada@example.org>"], ["ada@example.org"]),
        ("ada@bücher.example", ["ada@xn--bcher-kva.example"]),
        ("ada@[127.0.0.1]", ["ada@[127.0.0.1]"]),
    ],
)
def test_recipients_are_written_as_people_write_them(to: Any, recipients: list[str]) -> None:
    """One text with commas or a list, names or none; who stands there twice gets one mail."""
    assert recipients == [address.addr_spec for address in Mail.read({**LETTER, "to": to}).to]


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"to": None}, "to"),
        ({"to": []}, "to"),
        ({"to": ""}, "to"),
        ({"to": 7}, "to"),
        ({"to": ["ada@example.org", 7]}, "to"),
        ({"to": "nobody"}, "to"),
        ({"to": "ada@"}, "to"),
        ({"to": "ada@example..org"}, "to"),
        ({"to": "Lovelace, Ada <ada@example.org>"}, "to"),
        ({"to": "ada@example.org\r\nBcc: eve@example.org"}, "to"),
        ({"to": "=?utf-8?q?Ada=0D=0ABcc:_eve?= <ada@example.org>"}, "to"),
        ({"to": "=?utf-8?q?Ada=E2=80=A8Bcc:_eve?= <ada@example.org>"}, "to"),
        ({"subject": 7}, "subject"),
        ({"subject": "Hello\r\nBcc: eve@example.org"}, "subject"),
        ({"subject": "Hello\n"}, "subject"),
        ({"subject": "=?utf-8?q?Hello=0D=0ABcc:_eve@example.org?="}, "subject"),
        ({"body": None}, "body"),
        ({"html": 7}, "html"),
        ({"from": "ada@example.org, bob@example.org"}, "from"),
        ({"cc": "bob@example.org"}, "cc"),
    ],
)
def test_a_wrong_field_fails_for_good_and_is_named(change: dict[str, Any], field: str) -> None:
    """Nothing is sent of a payload that does not fit, and the sentence says which field it is."""
    with pytest.raises(FailForGood, match=rf"^payload\.{field}[:.]"):
        Mail.read({**LETTER, **change})


@pytest.mark.parametrize("payload", [None, {}, [], "ada@example.org"])
def test_a_payload_that_is_no_letter_at_all_fails_for_good(payload: Any) -> None:
    """Whatever JSON holds, the answer is a sentence."""
    with pytest.raises(FailForGood, match=r"^payload.*to, subject, body, html, from"):
        Mail.read(payload)
