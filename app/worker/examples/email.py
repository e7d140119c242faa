"""email:send, through an SMTP server, or into a folder while there is none."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.headerregistry import Address
from email.message import EmailMessage
from pathlib import Path
from typing import Any, Literal, get_args

from app.domain.errors import InvalidInput
from app.domain.jobs.answers import FailForGood
from app.domain.jobs.context import TaskContext
from app.domain.tasks.failures import storable
from app.worker.examples.files import write_whole
from app.worker.examples.mail import Mail, address

StartTls = Literal["auto", "always", "never"]

_TLS_PORT = 465
_PERMANENT = 500
_MAX_REPLY = 500
_FAREWELL = 5.0


class MailDeferred(Exception):
    """The server does not take the message now, and may later."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Smtp:
    """The server that takes our mail; without a *host* messages become ``.eml`` files.

    Port 465 speaks TLS from its first octet (RFC 8314). Elsewhere *starttls* decides: ``always``, ``never``, or
    ``auto``, which encrypts where the server offers it and never sends a password unencrypted. A server that
    encrypts must prove to be *host* by its certificate. *timeout* is in seconds and for each step.
    Raises InvalidInput.
    """

    host: str | None = None
    port: int = 587
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    sender: str = "Task queue <tasks@localhost>"
    starttls: StartTls = "auto"
    timeout: float = 30

    def __post_init__(self) -> None:
        if self.starttls not in get_args(StartTls):
            raise InvalidInput("starttls", self.starttls, f"must be one of {', '.join(get_args(StartTls))}")
        try:
            address(self.sender)
        except ValueError as error:
            raise InvalidInput("sender", self.sender, "must be a mail address") from error

    @property
    def author(self) -> Address:
        return address(self.sender)


async def send_email(payload: Any, context: TaskContext, *, smtp: Smtp, outbox: Path) -> dict[str, Any]:
    """Send the mail, or without a host write it to *outbox*.

    A server that accepts some recipients and refuses others has taken the message: the refused ones stand in the
    result, and only their replies tell whether asking again has a point.
    """
    mail = Mail.read(payload)
    message = mail.message(context.task, sender=smtp.author)
    message_id = str(message["Message-ID"])
    if smtp.host is None:
        file = outbox / f"{context.task.id}.eml"
        await asyncio.to_thread(write_whole, file, message.as_bytes())
        return {"message_id": message_id, "file": str(file)}
    recipients = [recipient.addr_spec for recipient in mail.to]
    refused = await _deliver(message, recipients, smtp)
    if refused:
        context.log.warning("the mail server refused %s of %s recipients", len(refused), len(recipients))
    accepted = [recipient for recipient in recipients if recipient not in refused]
    return {"message_id": message_id, "accepted": accepted, "refused": refused}


async def _deliver(message: EmailMessage, recipients: list[str], smtp: Smtp) -> dict[str, str]:
    """The replies to the recipients that were refused, if any was accepted. Raises FailForGood, MailDeferred."""
    try:
        import aiosmtplib
    except ImportError as error:
        raise FailForGood(
            "email:send needs aiosmtplib, which is not installed: pip install 'app-task-queue[examples]'"
        ) from error

    encrypted = smtp.port == _TLS_PORT
    auto = True if smtp.username else None
    client = aiosmtplib.SMTP(
        hostname=smtp.host,
        port=smtp.port,
        username=smtp.username,
        password=smtp.password,
        timeout=smtp.timeout,
        use_tls=encrypted,
        start_tls=False if encrypted else {"always": True, "never": False, "auto": auto}[smtp.starttls],
    )
    author = message["From"].addresses[0].addr_spec
    try:
        await client.connect()
        refused, _ = await client.sendmail(author, recipients, message.as_bytes())
        with suppress(aiosmtplib.SMTPException, OSError):  # the message is taken, whatever becomes of the farewell
            await client.quit(timeout=_FAREWELL)
    except aiosmtplib.SMTPRecipientsRefused as error:
        replies = {one.recipient: _reply(one.code, one.message) for one in error.recipients}
        said = f"the mail server refused every recipient: {_listed(replies)}"
        if all(one.code >= _PERMANENT for one in error.recipients):
            raise FailForGood(said) from error
        raise MailDeferred(said) from error
    except aiosmtplib.SMTPResponseException as error:
        said = f"the mail server refused the message: {_reply(error.code, error.message)}"
        if error.code >= _PERMANENT:
            raise FailForGood(said) from error
        raise MailDeferred(said) from error
    finally:
        # Not the client's own context manager: cancelled, that would wait for the answer to a QUIT.
        client.close()
    return {recipient: _reply(reply.code, reply.message) for recipient, reply in refused.items()}


def _reply(code: int, message: str) -> str:
    return storable(f"{code} {message}".replace("\n", " "), _MAX_REPLY)


def _listed(replies: Mapping[str, str]) -> str:
    return "; ".join(f"{recipient}: {reply}" for recipient, reply in replies.items())
