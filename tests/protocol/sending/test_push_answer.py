"""What a service of Web Push answers, in words for a sender."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.send_result import SendResult
from tocsin.protocol.sending.push_answer import TAKEN, read_push_answer

ENDPOINT = "https://push.example/p/capability-that-lets-send"
JSON = "application/json; charset=utf-8"


def read(status: int, kind: str = "", body: bytes = b"", *, signed: bool = True, **headers: str) -> SendResult:
    """Read an answer of that type."""
    named = {name.replace("_", "-"): value for name, value in headers.items()} | {"content-type": kind}
    return read_push_answer(status, named, body, endpoint=ENDPOINT, signed=signed, attempts=1, now=0.0)


@pytest.mark.parametrize(
    ("kind", "said", "reason"),
    [
        (
            JSON,
            {"code": 400, "errno": 109, "error": "Bad Request", "message": "Request did not validate"},
            "Request did not",
        ),
        (JSON, {"reason": "BadJwtToken"}, "BadJwtToken"),
        (JSON, {"error": {"code": 400, "message": "Invalid TTL.", "status": "INVALID_ARGUMENT"}}, "Invalid TTL"),
        ("application/problem+json", {"title": "", "detail": "No TTL"}, "No TTL"),
        ("text/plain", "TTL is missing.\n", "TTL is missing"),
    ],
)
def test_the_reason_is_what_the_service_says(kind: str, said: object, reason: str) -> None:
    """Each push service has a way of its own."""
    body = said.encode() if isinstance(said, str) else json.dumps(said).encode()
    assert (read(400, kind, body).description or "").startswith(reason)


def test_microsoft_says_it_in_a_header() -> None:
    """As to senders of WNS."""
    assert read(400, x_wns_error_description="The TTL is wrong").description == "The TTL is wrong"


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("text/html", b"<html>Bad Request</html>"),
        ("", b"words"),
        (JSON, b"{"),
        (JSON, b"[" * 100_000),
        (JSON, b"[]"),
        (JSON, b'{"message": 1, "error": {"error": null}}'),
        ("text/plain", b"\n"),
        ("text/plain", b"nothing at /p/capability-that-lets-send"),
        (JSON, json.dumps({"message": f"{ENDPOINT} is unknown"}).encode()),
    ],
)
def test_what_says_nothing_or_a_secret_is_passed_over(kind: str, body: bytes) -> None:
    """A page for people, no words, or words with the endpoint in them."""
    assert read(400, kind, body).description is None
    assert (read(410, kind, body).description or "").startswith("the subscription is no more")


@pytest.mark.parametrize(
    ("status", "signed", "words"),
    [
        (401, True, "applicationServerKey"),
        (403, True, "applicationServerKey"),
        (401, False, "give the VAPID key"),
        (404, True, "forget it"),
        (410, True, "forget it"),
        (413, True, "takes less"),
        (429, True, "send less often"),
    ],
)
def test_a_sender_reads_what_to_do(status: int, *, signed: bool, words: str) -> None:
    """Behind what the service says."""
    description = read(status, "text/plain", b"No.", signed=signed).description or ""
    assert description.startswith("No; ")
    assert words in description


def test_what_was_taken_may_have_words() -> None:
    """Such as that it reaches no app."""
    assert {read(status).description for status in TAKEN} == {None}
    assert read(201, "text/plain", b"Dropped: the device is away, and TTL is 0\n").description == (
        "Dropped: the device is away, and TTL is 0"
    )


def test_it_says_how_long_to_wait() -> None:
    """In seconds, or in words that are not understood."""
    assert read(429, retry_after="20").retry_after == 20
    assert read(503, retry_after="soon").retry_unclear == "soon"


@given(st.integers(200, 599), st.sampled_from([JSON, "text/plain", ""]), st.binary(max_size=60) | st.recursive(
    st.none() | st.text(max_size=5), lambda inner: st.dictionaries(st.sampled_from(["message", "error"]), inner)
).map(lambda document: json.dumps(document).encode()))  # fmt: skip
def test_no_answer_raises(status: int, kind: str, body: bytes) -> None:
    """And what is told of it can be shown."""
    description: Any = read(status, kind, body).description
    assert description is None or description.isprintable()
