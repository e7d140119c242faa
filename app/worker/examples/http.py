"""http:request, one call of a URL."""

import asyncio
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from http.client import responses
from typing import TYPE_CHECKING, Any

from app.domain.jobs.answers import FailForGood, RetryLater
from app.domain.jobs.context import TaskContext
from app.worker.examples.request import Request

if TYPE_CHECKING:
    import httpx

MAX_BODY = 64 * 1024
"""Octets of a response that are kept."""

_MAX_REDIRECTS = 5
_MAX_WAIT = 86_400.0
_MAX_QUOTED = 200
_KEPT_HEADERS = ("content-type", "content-length", "date", "etag", "last-modified", "location", "retry-after")
_PATIENT = (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS)


class RequestFailed(Exception):
    """No answer came, or one that may be another the next time."""


async def call_url(payload: Any, context: TaskContext) -> dict[str, Any]:
    """Call the URL; an answer below 400 is the result.

    Others are judged by what they promise: 5xx, 408, 425, 429 and trouble on the way are tried again, when the server
    says ``Retry-After`` then after that, and every other 4xx fails for good. POST and PATCH carry the task's id as
    ``Idempotency-Key``, by which a server can tell a second attempt from a second request.
    """
    try:
        import httpx
    except ImportError as error:
        raise FailForGood(
            "http:request needs httpx, which is not installed: pip install 'app-task-queue[examples]'"
        ) from error

    request = Request.read(payload)
    clock = asyncio.get_running_loop().time
    begun = clock()
    try:
        async with (
            asyncio.timeout(request.timeout),
            httpx.AsyncClient(timeout=request.timeout, follow_redirects=True, max_redirects=_MAX_REDIRECTS) as client,
            client.stream(
                request.method,
                request.bare_url,
                headers=request.all_headers(context),
                auth=request.login,
                content=request.content,
            ) as response,
        ):
            content, truncated = await _beginning_of(response)
    except (TimeoutError, httpx.TimeoutException) as error:
        raise RequestFailed(f"{request}: no complete answer within {request.timeout:g} s") from error
    except httpx.TooManyRedirects as error:
        raise FailForGood(f"{request}: redirected more than {_MAX_REDIRECTS} times") from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol, httpx.LocalProtocolError, UnicodeError) as error:
        raise FailForGood(f"{request}: cannot be sent: {error}") from error
    except httpx.RequestError as error:
        raise RequestFailed(f"{request}: {type(error).__name__}: {error}") from error
    body = _text(content, response.charset_encoding)
    _judge(request, response.status_code, response.headers, body)
    return {
        "status": response.status_code,
        "headers": {name: response.headers[name] for name in _KEPT_HEADERS if name in response.headers},
        "body": body,
        "truncated": truncated,
        "elapsed": round(clock() - begun, 3),
    }


async def _beginning_of(response: "httpx.Response") -> tuple[bytes, bool]:
    """The first MAX_BODY octets, and whether there were more; those are not read."""
    content = bytearray()
    async for chunk in response.aiter_bytes():
        content += chunk
        if len(content) > MAX_BODY:
            return bytes(content[:MAX_BODY]), True
    return bytes(content), False


def _text(content: bytes, charset: str | None) -> str:
    """*content* as text that JSON and PostgreSQL can hold, whatever the server claimed it to be."""
    try:
        text = content.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):  # a charset that nobody knows, or one of Python's that are none
        text = content.decode("utf-8", "replace")
    return text.replace("\0", "\N{REPLACEMENT CHARACTER}").encode("utf-8", "replace").decode()


def _judge(request: Request, status: int, headers: Mapping[str, str], body: str) -> None:
    if status < HTTPStatus.BAD_REQUEST:
        return
    said = f"{request}: {status} {responses.get(status, 'an unknown status')}"
    if quoted := " ".join(body[:_MAX_QUOTED].split()):
        said = f"{said}: {quoted}"
    if status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PATIENT:
        raise FailForGood(said)
    delay = _asked_delay(headers)
    if delay is None:
        raise RequestFailed(said)
    raise RetryLater(delay, said)


def _asked_delay(headers: Mapping[str, str]) -> float | None:
    """Seconds until ``Retry-After``, a day at most.

    A date is held against the server's own ``Date``, so that nobody's clock has to be right (RFC 9110, 10.2.3).
    """
    asked = headers.get("retry-after", "").strip()
    if asked.isascii() and asked.isdigit():
        return min(float(asked), _MAX_WAIT)
    then, now = _moment(asked), _moment(headers.get("date", ""))
    if then is None or now is None:
        return None
    return min(max((then - now).total_seconds(), 0.0), _MAX_WAIT)


def _moment(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return None if moment.tzinfo is None else moment
