"""Mail: what `email:send` is asked to send, as an Internet message (RFC 5322, MIME)."""

import email.errors
import email.policy
import re
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Annotated, Any

from pydantic import AfterValidator, Field, PlainValidator

from app.domain.errors import shown
from app.domain.tasks.task import WorkerTask
from app.worker.examples.payload import Line, Payload, one_line

# Seven bits, so that the same octets pass every server: none has to re-code them, which breaks signatures.
_POLICY = email.policy.SMTP.clone(cte_type="7bit")
_DOMAIN = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9A-Za-z.:]+\]")


def addresses(value: Any) -> tuple[Address, ...]:
    """The mailboxes of *value*: text as in a ``To`` header, or a list of such texts; each address once.

    Domains are turned into their ASCII form (IDNA). Raises ValueError.
    """
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("must be an address or a list of addresses, as text")
    found = {address.addr_spec: address for text in texts for address in _parsed(text)}
    if not found:
        raise ValueError("must have at least one address")
    return tuple(found.values())


def address(value: Any) -> Address:
    """The one mailbox of *value*. Raises ValueError."""
    found = addresses(value)
    if len(found) != 1:
        raise ValueError("must be one address")
    return found[0]


def _parsed(text: str) -> list[Address]:
    try:
        header = _POLICY.header_factory("to", one_line(text))
        parsed = [_in_ascii(mailbox) for mailbox in header.addresses]
    except (ValueError, IndexError, email.errors.MessageError) as error:  # IndexError: the parser's answer to "a@"
        raise ValueError(f"{shown(text)} is no mail address") from error
    # Obsolete is what people write all the time, such as the full stop in "Dr. Ada <ada@example.org>".
    if any(not isinstance(defect, email.errors.ObsoleteHeaderDefect) for defect in header.defects):
        raise ValueError(f"{shown(text)} is no mail address")
    return parsed


def _in_ascii(mailbox: Address) -> Address:
    domain = mailbox.domain if mailbox.domain.isascii() else mailbox.domain.encode("idna").decode()
    if not (mailbox.username and mailbox.username.isascii() and _DOMAIN.fullmatch(domain)):
        raise ValueError("not a mailbox every server can take")
    # The parser decodes =?…?= in a name, and so may bring to light what was not in the text.
    return Address(one_line(mailbox.display_name), mailbox.username, domain)


def _plain(subject: str) -> str:
    one_line(str(_POLICY.header_factory("subject", subject)))  # as above: what =?…?= hides
    return subject


def _author(value: Any) -> Address | None:
    return None if value is None else address(value)


class Mail(Payload):
    """The payload of ``email:send``. Both ``body`` and ``html`` given: alternatives, the reader's program chooses."""

    to: Annotated[tuple[Address, ...], PlainValidator(addresses)]
    subject: Annotated[Line, AfterValidator(_plain)]
    body: str
    html: str | None = None
    sender: Annotated[Address | None, PlainValidator(_author)] = Field(default=None, alias="from")

    def message(self, task: WorkerTask, *, sender: Address) -> EmailMessage:
        """The message for *task*, from *sender* unless the payload names another.

        Every attempt gives it the same Message-ID, so that a mailbox can tell a second delivery from a second mail.
        """
        author = self.sender or sender
        message = EmailMessage(policy=_POLICY)
        message["Date"] = format_datetime(task.started_at or task.created_at)
        message["Message-ID"] = f"<{task.id}@{author.domain}>"
        message["From"] = author
        message["To"] = self.to
        message["Subject"] = self.subject
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: asks robots not to answer
        message.set_content(self.body)
        if self.html is not None:
            message.add_alternative(self.html, subtype="html")
        return message
