"""http:request, against a real HTTP server on the loopback."""

import asyncio
import json
import logging
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from app.domain.jobs.answers import FailForGood, RetryLater
from app.domain.jobs.context import TaskContext
from app.domain.json import JsonText
from app.domain.tasks.task import WorkerTask
from app.worker.examples.http import MAX_BODY, RequestFailed, call_url
from tests.examples import a_task

GIGABYTE = 1 << 30


class Server(ThreadingHTTPServer):
    """Answers as its paths say, and remembers what it was asked."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answers)
        self.over = threading.Event()
        self.asked = threading.Event()
        self.hung_up = threading.Event()
        self.seen: list[dict[str, str]] = []
        self.bodies: list[bytes] = []
        self.sent = 0

    def url(self, path: str, login: str = "") -> str:
        return f"http://{login}127.0.0.1:{self.server_port}{path}"


class Answers(BaseHTTPRequestHandler):
    """`/status/503`, `/status/429?retry-after=7`, `/echo`, `/slow`, `/huge`, `/redirect/2`, `/hang-up`, `/raw`."""

    server: Server

    def do_GET(self) -> None:
        self.server.seen.append({name.lower(): value for name, value in self.headers.items()})
        self.server.bodies.append(self.rfile.read(int(self.headers.get("content-length", 0))))
        path, _, query = self.path.partition("?")
        _, name, *rest = path.split("/")
        match name:
            case "status":
                headers = dict(pair.split("=", 1) for pair in query.split("&") if pair)
                self._answer(int(rest[0]), b"a word of\nexplanation", **headers)
            case "redirect":
                left = int(rest[0])
                location = f"/redirect/{left - 1}" if left else "/echo"
                self._answer(302, b"", location=location)
            case "elsewhere":
                self._answer(302, b"", location="ftp://127.0.0.1/")
            case "slow":
                self.server.asked.set()
                self.server.over.wait()
            case "dripping":
                self._answer(200, b"", **{"content-length": "1000"})
                while not self.server.over.wait(0.01):
                    self.wfile.write(b".")
            case "huge":
                self._huge()
            case "hang-up":
                self.close_connection = True
            case "raw":
                content = b"caf\xe9 \0 \xff +2AA- \\ud800"
                self._answer(200, content, **{"content-type": f"text/plain; charset={query}"})
            case _:
                self._answer(200, b"hello", etag='"7"', **{"set-cookie": "secret=1"})

    do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815 - the server looks for these names

    def _answer(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response_only(status)
        for name, value in {"content-length": str(len(content)), **headers}.items():
            self.send_header(name, value.replace("%20", " "))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def _huge(self) -> None:
        self._answer(200, b"", **{"content-length": str(GIGABYTE)})
        with suppress(OSError):
            while self.server.sent < GIGABYTE:
                self.server.sent += self.wfile.write(b"x" * 65_536)
        self.server.hung_up.set()

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def handle_one_request(self) -> None:
        with suppress(ConnectionError):
            super().handle_one_request()


@pytest.fixture
def web(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    monkeypatch.setenv("NO_PROXY", "*")
    with Server() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.over.set()
        server.shutdown()
        thread.join()


async def call(payload: Any, *, task: WorkerTask | None = None) -> Any:
    return await call_url(payload, TaskContext(task or a_task(type="http:request"), "worker-1"))


async def test_an_answer_is_the_result(web: Server) -> None:
    """Status, the headers worth keeping and the text; a cookie is not worth keeping."""
    result = await call({"url": web.url("/echo")})

    elapsed = result.pop("elapsed")
    assert 0 <= elapsed < 30
    assert {
        "status": 200,
        "headers": {"content-length": "5", "etag": '"7"'},
        "body": "hello",
        "truncated": False,
    } == result


async def test_a_request_is_sent_as_the_payload_says(web: Server) -> None:
    """Method, headers and body, as JSON or as text; null is JSON too."""
    await call({"url": web.url("/echo"), "method": "post", "json": {"x": [1, "é"]}, "headers": {"X-Key": "k"}})
    await call({"url": web.url("/echo"), "method": "PUT", "body": "grün"})
    await call({"url": web.url("/echo"), "method": "PUT", "json": None})

    assert [{"x": [1, "é"]}, None] == [json.loads(web.bodies[index]) for index in (0, 2)]
    assert ("application/json", "k") == (web.seen[0]["content-type"], web.seen[0]["x-key"])
    assert "grün".encode() == web.bodies[1]


async def test_a_second_attempt_carries_the_same_idempotency_key(web: Server) -> None:
    """A server that heeds the key charges once, however often the task is tried; the payload's own key wins."""
    task = a_task(type="http:request")

    for payload in ({}, {}, {"headers": {"idempotency-key": "mine"}}):
        await call({"url": web.url("/echo"), "method": "POST", **payload}, task=task)

    assert [str(task.id), str(task.id), "mine"] == [seen["idempotency-key"] for seen in web.seen]


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 422, 499])
async def test_a_client_error_fails_for_good_and_names_its_status(web: Server, status: int) -> None:
    """The same request will be as wrong the next time; what the server said about it is quoted in one line."""
    with pytest.raises(FailForGood, match=rf"^GET .*/status/{status}: {status} .*: a word of explanation$"):
        await call({"url": web.url(f"/status/{status}")})


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504, 599])
async def test_trouble_at_the_server_is_tried_again(web: Server, status: int) -> None:
    """An ordinary error, so that the job's own policy chooses the wait."""
    with pytest.raises(RequestFailed, match=f": {status} "):
        await call({"url": web.url(f"/status/{status}")})


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("headers", "delay"),
    [
        ("retry-after=7", 7),
        ("date=Sun,%2001%20Mar%202026%2012:00:00%20GMT&retry-after=Sun,%2001%20Mar%202026%2012:01:30%20GMT", 90),
        ("date=Sun,%2001%20Mar%202026%2012:00:00%20GMT&retry-after=Sun,%2001%20Mar%202026%2011:00:00%20GMT", 0),
        ("retry-after=99999999999999999999", 86_400),
    ],
    ids=["seconds", "a date", "a date gone by", "beyond reason"],
)
async def test_the_server_says_when_to_come_back(web: Server, status: int, headers: str, delay: float) -> None:
    """Seconds or a date, held against the server's own clock, and a day at most."""
    with pytest.raises(RetryLater, match=str(status)) as later:
        await call({"url": web.url(f"/status/{status}?{headers}")})

    assert delay == later.value.delay


@pytest.mark.parametrize("nonsense", ["soon", "-5", "", "Sun,%2001%20Mar%202026%2012:01:30%20GMT"])
async def test_a_retry_after_that_says_nothing_is_left_aside(web: Server, nonsense: str) -> None:
    """Words, negative numbers and a date without the server's own: the job's policy chooses."""
    with pytest.raises(RequestFailed, match="429"):
        await call({"url": web.url(f"/status/429?retry-after={nonsense}")})


@pytest.mark.parametrize("path", ["/slow", "/dripping"])
async def test_the_timeout_is_for_the_whole_call(web: Server, path: str) -> None:
    """Neither a silent server nor one that sends an octet now and then holds the attempt longer."""
    with pytest.raises(RequestFailed, match=r"no complete answer within 0\.2 s"):
        await call({"url": web.url(path), "timeout": 0.2})


async def test_a_cancelled_attempt_ends_at_once(web: Server) -> None:
    """A worker that stops is not held by a call under way."""
    attempt = asyncio.create_task(call({"url": web.url("/slow")}))
    assert await asyncio.to_thread(web.asked.wait, 30)

    attempt.cancel()

    with pytest.raises(asyncio.CancelledError):
        await attempt


async def test_of_a_huge_answer_only_the_beginning_is_read(web: Server) -> None:
    """A gigabyte is cut off at 64 KiB, and the connection closed under the server's hands."""
    result = await call({"url": web.url("/huge")})

    assert ("x" * MAX_BODY, True) == (result["body"], result["truncated"])
    assert web.hung_up.wait(30)
    assert web.sent < GIGABYTE / 10


@pytest.mark.parametrize(
    "charset", ["utf-8", "latin-1", "utf-16", "utf-7", "unicode_escape", "unheard-of", "rot13", "undefined"]
)
async def test_any_body_becomes_text_that_can_be_stored(web: Server, charset: str) -> None:
    """NUL, broken encodings and charsets that are none: the result is JSON that PostgreSQL takes."""
    result = await call({"url": web.url(f"/raw?{charset}")})

    assert result["body"].startswith("caf") or charset == "utf-16"
    assert JsonText.of(result, field="result").size > 0


async def test_redirects_are_followed_to_a_limit(web: Server) -> None:
    """Five are followed; a ring of them, or one that leaves the web, fails for good."""
    result = await call({"url": web.url("/redirect/4")})

    assert "hello" == result["body"]
    with pytest.raises(FailForGood, match="redirected more than 5 times"):
        await call({"url": web.url("/redirect/9")})
    with pytest.raises(FailForGood, match="cannot be sent"):
        await call({"url": web.url("/elsewhere")})


async def test_a_server_that_hangs_up_is_tried_again(web: Server) -> None:
    """Trouble on the way is an ordinary error."""
    with pytest.raises(RequestFailed, match="/hang-up: RemoteProtocolError"):
        await call({"url": web.url("/hang-up")})


async def test_a_server_that_is_not_there_is_tried_again(web: Server) -> None:
    """So is a refused connection."""
    web.server_close()

    with pytest.raises(RequestFailed, match="ConnectError"):
        await call({"url": web.url("/echo")})


async def test_what_is_secret_in_a_url_is_sent_and_never_said(web: Server, caplog: pytest.LogCaptureFixture) -> None:
    """User and password travel in a header; neither they nor the query stand in an error, the password in no log."""
    caplog.set_level(logging.DEBUG)

    with pytest.raises(FailForGood) as refused:
        await call({"url": web.url("/status/404?token=hidden", login="ada:p%40ss-word@")})

    assert "Basic YWRhOnBAc3Mtd29yZA==" == web.seen[0]["authorization"]
    assert f"GET {web.url('/status/404')}: 404 Not Found" in str(refused.value)
    assert not any(secret in str(refused.value) for secret in ("ada", "p%40ss", "p@ss", "hidden"))
    assert not any(secret in caplog.text for secret in ("p%40ss", "p@ss"))


@pytest.mark.parametrize("host", ["256.256.256.256", "xn--", "ü..example"])
async def test_a_host_that_cannot_be_fails_for_good(host: str) -> None:
    """No name server has to be asked, and none would ever know it."""
    with pytest.raises(FailForGood, match="cannot be sent"):
        await call({"url": f"http://{host}/"})


async def test_a_missing_library_is_named_with_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    """The examples' extra is optional; without it the sentence says how to get it."""
    monkeypatch.setitem(sys.modules, "httpx", None)

    with pytest.raises(FailForGood, match=r"httpx.*app-task-queue\[examples\]"):
        await call({"url": "http://127.0.0.1/"})
