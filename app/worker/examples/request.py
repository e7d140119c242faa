"""Request: what `http:request` is asked to send."""

import json
import re
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from app.domain.jobs.context import TaskContext
from app.worker.examples.payload import Line, Payload

MAX_TIMEOUT = 300.0
"""Seconds: what a payload may ask for at most."""

_FROM_THE_CONNECTION = ("connection", "content-length", "transfer-encoding", "upgrade")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

Method = Literal["GET", "HEAD", "OPTIONS", "POST", "PUT", "PATCH", "DELETE"]


def _upper(method: object) -> object:
    return method.upper() if isinstance(method, str) else method


def _web(url: str) -> str:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ValueError("must be a URL") from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError("must be a URL that begins with http:// or https:// and names a host")
    return url


def _sendable(headers: dict[str, str]) -> dict[str, str]:
    for name, value in headers.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no header name")
        if name.lower() in _FROM_THE_CONNECTION:
            raise ValueError(f"{name} follows from the body and the connection, and cannot be chosen")
        if not (value.isascii() and value.replace("\t", " ").isprintable()):
            raise ValueError(f"the value of {name} must be printable ASCII on one line")
    return headers


class Request(Payload):
    """The payload of ``http:request``. At most one of ``json`` and ``body``; ``timeout`` is seconds for the whole call.

    Whoever enqueues chooses the URL, and the worker's network is what it reaches: a queue open to strangers
    needs a firewall around its workers.
    """

    url: Annotated[Line, AfterValidator(_web)]
    method: Annotated[Method, BeforeValidator(_upper)] = "GET"
    headers: Annotated[dict[str, str], AfterValidator(_sendable)] = Field(default_factory=dict)
    data: Any = Field(default=None, alias="json")
    body: str | None = None
    timeout: float = Field(default=30, gt=0, le=MAX_TIMEOUT)

    @model_validator(mode="after")
    def _has_one_body(self) -> "Request":
        if self.body is not None and self._has_json:
            raise ValueError("json and body exclude each other")
        return self

    def __str__(self) -> str:
        """Method and URL without what may be secret in it: user, password, query."""
        parts = urlsplit(self.url)
        return f"{self.method} {parts.scheme}://{_without_login(parts.netloc)}{parts.path or '/'}"

    @property
    def bare_url(self) -> str:
        """The URL without user and password, which go into a header: httpx writes its URLs to the log."""
        parts = urlsplit(self.url)
        return parts._replace(netloc=_without_login(parts.netloc)).geturl()

    @property
    def login(self) -> tuple[str, str] | None:
        parts = urlsplit(self.url)
        return None if parts.username is None else (unquote(parts.username), unquote(parts.password or ""))

    @property
    def content(self) -> bytes | None:
        text = json.dumps(self.data, ensure_ascii=False) if self._has_json else self.body
        return None if text is None else text.encode()

    def all_headers(self, context: TaskContext) -> dict[str, str]:
        """The payload's headers, and those that go without saying."""
        headers = {"Accept-Encoding": "identity"}  # a compressed answer could be a thousand times its size
        if self._has_json:
            headers["Content-Type"] = "application/json"
        if self.method in ("POST", "PATCH"):
            headers["Idempotency-Key"] = str(context.task.id)
        given = {name.lower() for name in self.headers}
        return {name: value for name, value in headers.items() if name.lower() not in given} | self.headers

    @property
    def _has_json(self) -> bool:
        """Whether ``json`` was given; null is JSON too."""
        return "data" in self.model_fields_set


def _without_login(netloc: str) -> str:
    return netloc.rpartition("@")[2]
