"""Request, the payload of http:request: what it refuses, with the field's name."""

from typing import Any

import pytest

from app.domain.jobs.answers import FailForGood
from app.worker.examples.request import Request


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({}, "url"),
        ({"url": 7}, "url"),
        ({"url": "ftp://example.org/"}, "url"),
        ({"url": "file:///etc/passwd"}, "url"),
        ({"url": "example.org"}, "url"),
        ({"url": "http:///path"}, "url"),
        ({"url": "http://example.org:99999/"}, "url"),
        ({"url": "http://[::1/"}, "url"),
        ({"url": "http://example.org/\r\nX: y"}, "url"),
        ({"url": "http://example.org/", "method": "BREW"}, "method"),
        ({"url": "http://example.org/", "headers": {"X": "a\r\nY: b"}}, "headers"),
        ({"url": "http://example.org/", "headers": {"X Y": "a"}}, "headers"),
        ({"url": "http://example.org/", "headers": {"X": "é"}}, "headers"),
        ({"url": "http://example.org/", "headers": ["X"]}, "headers"),
        ({"url": "http://example.org/", "headers": {"Content-Length": "1"}, "body": "abc"}, "headers"),
        ({"url": "http://example.org/", "timeout": 0}, "timeout"),
        ({"url": "http://example.org/", "timeout": 100_000}, "timeout"),
        ({"url": "http://example.org/", "body": 7}, "body"),
        ({"url": "http://example.org/", "retries": 7}, "retries"),
    ],
)
def test_a_wrong_field_fails_for_good_and_is_named(payload: dict[str, Any], field: str) -> None:
    """A payload that does not fit is not sent, and the sentence says which field it is."""
    with pytest.raises(FailForGood, match=rf"^payload\.{field}[:.]"):
        Request.read(payload)


def test_json_and_body_exclude_each_other() -> None:
    """A request has one body."""
    with pytest.raises(FailForGood, match="json and body exclude each other"):
        Request.read({"url": "http://example.org/", "json": 1, "body": "1"})
