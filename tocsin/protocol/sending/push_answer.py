"""Reads what a service of Web Push answers to a sender (RFC 8030 §5), and says what the sender can do about it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from tocsin.protocol.send_result import SendResult
from tocsin.protocol.sending.results import MAY_PASS, read_wait
from tocsin.protocol.text import MAX_SENTENCE, harmless

TAKEN: Final = frozenset({200, 201, 202, 204})
"""The HTTP statuses of success: 201 is that of the standard, 204 answers a withdrawal."""

MAY_PASS_LATER: Final = MAY_PASS | {429}
"""The HTTP statuses that another attempt may change: 429 says when, or the usual wait is made."""

_KEY: Final = (
    "the subscription takes only what is signed by the key whose public half its app was given as applicationServerKey; look at"
    " the subject and at this machine's clock, too"
)
_UNSIGNED: Final = "the subscription wants to know who sends: give the VAPID key whose public half its app was given"
_GONE: Final = "the subscription is no more: forget it, until its app subscribes anew"
_ADVICE: Final = {
    404: _GONE,
    410: _GONE,
    413: "the service takes less: send where the rest is to be had",
    429: "too much was sent to this subscription, or by this sender: send less often",
}
_LEAST: Final = 16  # characters of a part of an endpoint that may be what is secret in it


def read_push_answer(  # noqa: PLR0913  # an answer, and what it answers
    http_status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    endpoint: str,
    signed: bool,
    attempts: int,
    now: float,
) -> SendResult:
    """Read an answer; header names are lower-cased. The description is what the service says, and what to do.

    :param endpoint: where it comes from: a reason that shows what is secret in it is passed over.
    :param signed: whether the message had a VAPID token.
    :param now: seconds since the epoch, as for ``read_answer``.
    """
    retry_after, retry_unclear = read_wait(headers, now)
    advice = (_KEY if signed else _UNSIGNED) if http_status in {401, 403} else _ADVICE.get(http_status)
    words = [word for word in (_reason(headers, body, endpoint), advice) if word]
    return SendResult(
        http_status=http_status,
        description="; ".join(words) or None,
        retry_after=retry_after,
        retry_unclear=retry_unclear,
        attempts=attempts,
    )


def _reason(headers: Mapping[str, str], body: bytes, endpoint: str) -> str | None:
    """Return what the service says in words, in a header or in its body, in one of the ways of those that there are."""
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    said = headers.get("x-wns-error-description")  # of Microsoft
    if not said and kind in {"application/json", "application/problem+json"}:
        said = next(_said(_read(body)), None)
    elif not said and kind == "text/plain":
        said = body.decode("utf-8", "replace").strip()
    if not said or any(len(part) >= _LEAST and part in said for part in endpoint.split("/")[3:]):
        return None
    return harmless(said, MAX_SENTENCE).rstrip(".")


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _said(document: Any) -> Iterator[str]:
    """Find the words: Mozilla's are ``message``, Apple's ``reason``, Google's ``error`` and what is in it."""
    if not isinstance(document, dict):
        return
    for name in ("message", "reason", "detail", "error"):
        words = document.get(name)
        if isinstance(words, str) and words.strip():
            yield words.strip()
        elif name == "error" and isinstance(words, dict):
            yield from _said(words)
