"""email:send, against a real SMTP server on the loopback and against a real folder."""

import asyncio
import email
import email.policy
import stat
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from app.domain.errors import InvalidInput
from app.domain.jobs.answers import FailForGood
from app.domain.jobs.context import TaskContext
from app.domain.tasks.task import WorkerTask
from app.worker.examples.email import MailDeferred, Smtp, send_email
from tests.examples import a_task

LETTER = {"to": "ada@example.org", "subject": "Hello", "body": "How do you do?\n"}


class Mailbox:
    """What the server does with mail: it keeps it, unless told what to answer instead, or to hang up."""

    def __init__(
        self, *, recipients: dict[str, str] | None = None, data: str = "250 OK", hangs_up: bool = False
    ) -> None:
        self.kept: list[Envelope] = []
        self.logins: list[tuple[bytes, bytes]] = []
        self._recipients = recipients or {}
        self._data = data
        self._hangs_up = hangs_up

    async def handle_RCPT(  # noqa: N802 - the server's name for it
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        reply = self._recipients.get(address, "250 OK")
        if reply.startswith("250"):
            envelope.rcpt_tos.append(address)
        return reply

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self._hangs_up:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
        elif self._data.startswith("250"):
            self.kept.append(envelope)
        return self._data

    def login(self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any) -> AuthResult:
        assert isinstance(data, LoginPassword)
        self.logins.append((data.login, data.password))
        return AuthResult(success=data.password == b"correct horse", handled=False)

    def message(self) -> EmailMessage:
        """The only one that came."""
        (envelope,) = self.kept
        assert isinstance(envelope.content, bytes)
        return parsed(envelope.content)


@asynccontextmanager
async def server_of(mailbox: Mailbox, **settings: Any) -> AsyncIterator[Smtp]:
    """A mail server at a free port, and how to reach it."""

    def protocol() -> SMTP:
        return SMTP(mailbox, hostname="mail.test", authenticator=mailbox.login, auth_require_tls=False, loop=loop)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(protocol, "127.0.0.1", 0)
    async with server:
        yield Smtp(host="127.0.0.1", port=server.sockets[0].getsockname()[1], **settings)


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def text_of(message: EmailMessage) -> str:
    part = message.get_body(("plain",))
    assert part is not None
    return str(part.get_content()).replace("\r\n", "\n")


async def send(payload: Any, smtp: Smtp, *, outbox: Path = Path("nowhere"), task: WorkerTask | None = None) -> Any:
    return await send_email(payload, TaskContext(task or a_task(), "worker-1"), smtp=smtp, outbox=outbox)


async def test_a_mail_reaches_the_server_as_it_was_written() -> None:
    """Subject, names and text arrive letter by letter, whatever alphabet they are in."""
    mailbox = Mailbox()
    payload = {
        "to": ['"Müller, Zoë" <zoe@example.org>', "Łukasz <lukasz@bücher.example>"],
        "subject": "Grüße · こんにちは · " + "a long subject " * 10,
        "body": "Zwölf Boxkämpfer\n.\n" + "long line " * 200 + "\n",
        "from": "Ada Lovelace <ada@example.org>",
    }

    async with server_of(mailbox) as smtp:
        result = await send(payload, smtp)

    message = mailbox.message()
    assert str(payload["subject"]).strip() == message["Subject"].strip()
    assert ("Müller, Zoë", "Łukasz") == tuple(person.display_name for person in message["To"].addresses)
    assert payload["body"] == text_of(message)
    assert "ada@example.org" == mailbox.kept[0].mail_from
    assert ["zoe@example.org", "lukasz@xn--bcher-kva.example"] == mailbox.kept[0].rcpt_tos
    assert {
        "message_id": message["Message-ID"],
        "accepted": ["zoe@example.org", "lukasz@xn--bcher-kva.example"],
        "refused": {},
    } == result


async def test_a_second_attempt_sends_the_same_message_id() -> None:
    """The id names the task and not the attempt, so that a mailbox can tell it is one mail."""
    mailbox = Mailbox()
    task = a_task()

    async with server_of(mailbox) as smtp:
        first = await send(LETTER, smtp, task=task)
        second = await send(LETTER, smtp, task=task)
        other = await send(LETTER, smtp)

    assert first["message_id"] == second["message_id"]
    assert str(task.id) in first["message_id"]
    assert first["message_id"] != other["message_id"]


async def test_a_refused_recipient_is_listed_and_the_others_get_their_mail() -> None:
    """The message was taken, so the attempt succeeds; a second one would reach the others twice."""
    mailbox = Mailbox(recipients={"gone@example.org": "550 5.1.1 No such user", "busy@example.org": "450 Later"})
    recipients = ["ada@example.org", "gone@example.org", "busy@example.org"]

    async with server_of(mailbox) as smtp:
        result = await send({**LETTER, "to": recipients}, smtp)

    assert ["ada@example.org"] == result["accepted"] == mailbox.kept[0].rcpt_tos
    assert {"gone@example.org": "550 5.1.1 No such user", "busy@example.org": "450 Later"} == result["refused"]


@pytest.mark.parametrize(
    "mailbox",
    [
        Mailbox(recipients={"ada@example.org": "550 5.1.1 No such user"}),
        Mailbox(data="550 5.1.1 No such user"),
    ],
    ids=["the recipient", "the message"],
)
async def test_a_permanent_refusal_fails_for_good(mailbox: Mailbox) -> None:
    """What the server calls permanent is not tried again, and its reply is the reason."""
    async with server_of(mailbox) as smtp:
        with pytest.raises(FailForGood, match=r"550 5\.1\.1 No such user"):
            await send(LETTER, smtp)


@pytest.mark.parametrize(
    "mailbox",
    [
        Mailbox(recipients={"ada@example.org": "450 4.2.0 Greylisted", "bob@example.org": "550 No such user"}),
        Mailbox(data="450 4.2.0 Greylisted"),
    ],
    ids=["a recipient", "the message"],
)
async def test_a_temporary_refusal_is_tried_again(mailbox: Mailbox) -> None:
    """One recipient who may be accepted later is enough for another attempt while nobody has got the mail."""
    async with server_of(mailbox) as smtp:
        with pytest.raises(MailDeferred, match=r"450 4\.2\.0 Greylisted"):
            await send({**LETTER, "to": ["ada@example.org", "bob@example.org"]}, smtp)


async def test_a_server_that_hangs_up_is_tried_again() -> None:
    """A broken connection is an ordinary error, which the job's policy retries."""
    async with server_of(Mailbox(hangs_up=True)) as smtp:
        with pytest.raises(ConnectionError):
            await send(LETTER, smtp)


async def test_a_server_that_is_not_there_is_tried_again() -> None:
    """A refused connection is an ordinary error too."""
    async with server_of(Mailbox()) as smtp:
        gone = smtp

    with pytest.raises(ConnectionError):
        await send(LETTER, gone)


async def test_a_silent_server_does_not_hold_the_worker() -> None:
    """Every step has its timeout, the greeting the first of them."""
    over = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await over.wait()
        writer.close()

    async with await asyncio.start_server(silent, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(TimeoutError):
            await send(LETTER, Smtp(host="127.0.0.1", port=port, timeout=0.05))
        over.set()


async def test_a_configured_user_is_logged_in() -> None:
    """User and password are presented before the mail is."""
    mailbox = Mailbox()

    async with server_of(mailbox, username="ada", password="correct horse", starttls="never") as smtp:
        await send(LETTER, smtp)

    assert [(b"ada", b"correct horse")] == mailbox.logins
    assert 1 == len(mailbox.kept)


async def test_a_wrong_password_fails_for_good_without_being_shown() -> None:
    """The server's 535 is permanent, and the password stands neither in the error nor in the settings' repr."""
    mailbox = Mailbox()

    async with server_of(mailbox, username="ada", password="wrong horse", starttls="never") as smtp:
        with pytest.raises(FailForGood, match="535") as refused:
            await send(LETTER, smtp)

    assert "wrong horse" not in f"{refused.value} {refused.value.__cause__} {smtp!r}"


@pytest.mark.parametrize("settings", [{"starttls": "auto", "username": "ada"}, {"starttls": "always"}])
async def test_what_must_be_encrypted_is_not_sent_in_the_clear(settings: dict[str, Any]) -> None:
    """A server without STARTTLS gets neither a password nor, where encryption is demanded, the mail."""
    mailbox = Mailbox()

    async with server_of(mailbox, password="correct horse", **settings) as smtp:
        with pytest.raises(Exception, match="STARTTLS"):
            await send(LETTER, smtp)

    assert ([], []) == (mailbox.logins, mailbox.kept)


async def test_without_a_server_the_mail_is_a_file(tmp_path: Path) -> None:
    """The file is the message as it would have been sent: CRLF, seven bits, nothing lost, for our eyes only."""
    task = a_task()

    result = await send({**LETTER, "body": "Grüße\nvon\r\nhier"}, Smtp(), outbox=tmp_path / "outbox", task=task)

    file = tmp_path / "outbox" / f"{task.id}.eml"
    content = file.read_bytes()
    message = parsed(content)
    assert {"message_id": message["Message-ID"], "file": str(file)} == result
    assert content.count(b"\n") == content.count(b"\r\n") == content.count(b"\r")
    assert content.isascii()
    assert ("Hello", "Grüße\nvon\nhier\n") == (message["Subject"], text_of(message))
    assert 0o600 == stat.S_IMODE(file.stat().st_mode)


async def test_a_second_attempt_replaces_the_file(tmp_path: Path) -> None:
    """One task leaves one file, and nothing half-written beside it."""
    task = a_task()

    first = await send(LETTER, Smtp(), outbox=tmp_path, task=task)
    second = await send({**LETTER, "body": "Better."}, Smtp(), outbox=tmp_path, task=task)

    assert first == second
    assert [f"{task.id}.eml"] == [file.name for file in tmp_path.iterdir()]
    assert "Better.\n" == text_of(parsed(Path(second["file"]).read_bytes()))


@pytest.mark.parametrize("setting", [{"sender": "nobody"}, {"starttls": "perhaps"}])
def test_wrong_settings_are_refused_before_any_mail(setting: dict[str, Any]) -> None:
    """A wrong sender shows at the start, not in the first task."""
    with pytest.raises(InvalidInput, match=next(iter(setting))):
        Smtp(**setting)


async def test_a_missing_library_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples' extra is optional; without it the sentence says how to get it."""
    monkeypatch.setitem(sys.modules, "aiosmtplib", None)

    with pytest.raises(FailForGood, match=r"aiosmtplib.*app-task-queue\[examples\]"):
        await send(LETTER, Smtp(host="127.0.0.1"))
