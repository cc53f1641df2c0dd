"""What WNS demands of a sender's request, and the words of its answers.

Rules over values; the routes ask them in this order: method, ticket, (channel), headers, length.
Sources: "Push notification service request and response headers", RFC 6750 §2.1, and the correlation vector 2.1.
"""

from __future__ import annotations

import re
from binascii import b2a_base64
from collections.abc import Iterable, Mapping
from functools import lru_cache
from struct import unpack
from typing import Final

from attrs import field, frozen

from tocsin.protocol.service.notification import Notification
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import MAX_PAYLOAD, WNS_TYPES, NotificationStatus, NotificationType

REVOKED: Final = "Revoked channel URL"
"""As WNS says it, with 410."""

TTL_CONFLICT: Final = "Ttl value conflicts with X-WNS-Cache-Policy."
"""As WNS says it, with 400."""


@frozen
class WnsRefusal:
    """A request that is not accepted: the HTTP status, and a sentence for ``X-WNS-Error-Description``.

    ``outcome`` is what ``X-WNS-Status`` says, ``retry_after`` the seconds of ``Retry-After``; None sends neither. ``reason`` is the
    name by which operators count it, one of few: it has no part of what was sent.
    """

    status: int
    description: str
    outcome: NotificationStatus | None = None
    retry_after: int | None = None
    reason: str = field(kw_only=True)


def throttled(description: str, retry_after: int, reason: str) -> WnsRefusal:
    """Refuse with 406: the sender has sent too much; the words say whether on this channel, or in all."""
    return WnsRefusal(406, description, NotificationStatus.CHANNEL_THROTTLED, retry_after, reason=reason)


@frozen
class NotificationRequest:
    """What the headers of an acceptable request say; ``wants_status`` asks for the state of the device."""

    notification: Notification
    wants_status: bool


MAX_TTL: Final = 9_999_999_999
"""The greatest number of seconds of ``X-WNS-TTL``: what ten digits hold."""

_NAME = re.compile("[A-Za-z0-9]{1,16}")

RULES: Final[tuple[tuple[str, re.Pattern[str], str], ...]] = (
    (
        "x-wns-type",
        re.compile("wns/(?:toast|tile|badge|raw)"),
        "X-WNS-Type must be wns/toast, wns/tile, wns/badge or wns/raw",
    ),
    ("x-wns-cache-policy", re.compile("cache|no-cache"), "X-WNS-Cache-Policy must be cache or no-cache"),
    ("x-wns-requestforstatus", re.compile("true|false"), "X-WNS-RequestForStatus must be true or false"),
    ("x-wns-tag", _NAME, "X-WNS-Tag must be 1 to 16 letters and digits"),
    ("x-wns-group", _NAME, "X-WNS-Group must be 1 to 16 letters and digits"),
    ("x-wns-ttl", re.compile("[0-9]{1,10}"), f"X-WNS-TTL must be a whole number of seconds from 0 to {MAX_TTL}"),
    ("x-wns-priority", re.compile("[1-4]"), "X-WNS-PRIORITY must be 1 (high), 2 (medium), 3 (low) or 4 (very low)"),
    ("x-wns-suppresspopup", re.compile("true|false"), "X-WNS-SuppressPopup must be true or false"),
)
"""The optional ``X-WNS-`` headers and the type: name, what the whole value must match, the sentence if it does not."""

_DEFAULTS: Final = {  # content type, cache policy, priority
    NotificationType.TOAST: ("text/xml", True, 1),
    NotificationType.TILE: ("text/xml", True, 2),
    NotificationType.BADGE: ("text/xml", True, 2),
    NotificationType.RAW: ("application/octet-stream", False, 3),
}
_TYPES: Final = {f"wns/{kind}": kind for kind in WNS_TYPES}

READ: Final = frozenset(
    {
        "authorization",
        "content-length",
        "content-type",
        "expect",
        "ms-cv",
        "transfer-encoding",
        "x-wns-match",
        *(name for name, _, _ in RULES),
    }
)
"""Every header that any rule looks at, in lower case; the rest of a request is not even decoded."""

_READ: Final = {name.encode("ascii"): name for name in READ}

_SHORT: Final = 512  # characters of the values that are remembered, which strangers choose

_JUDGED: Final = ("content-length", "content-type", "transfer-encoding", "x-wns-match", *(name for name, _, _ in RULES))

_BEARER = re.compile("(?i:bearer) +([A-Za-z0-9._~+/-]+=*)")
_MATCH = re.compile("type:wns/toast;(?:all|group=(N);tag=(N)|group=(N)|tag=(N))".replace("N", _NAME.pattern))
_MATCH_RULE: Final = "X-WNS-Match must be type:wns/toast; and then all, group=..., tag=... or group=...;tag=..."
_DIGITS = re.compile("[0-9]{1,19}")
_VECTOR = re.compile(r"[A-Za-z0-9+/]{21}[AQgw](?:\.[0-9]{1,10})+!?")
_BASE: Final = 22  # characters of 16 bytes
_VECTOR_LENGTH: Final = 127  # bytes; the 128th is a terminator on the wire of others


def collect(headers: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Pick the headers that the rules look at, by lower-cased name; a repeated one is joined with a comma (RFC 9110 §5.3).

    So a header that may come once only is refused by its own rule if it came twice.
    """
    found: dict[str, str] = {}
    for raw, value in headers:
        name = _READ.get(raw) or _READ.get(raw.lower())
        if name is not None:
            text = value.decode("latin-1")
            found[name] = f"{found[name]}, {text}" if name in found else text
    return found


def check_method(method: str) -> WnsRefusal | None:
    """Refuse every method but POST and DELETE with 405."""
    if method in {"POST", "DELETE"}:
        return None
    words = f"The method must be POST, or DELETE with X-WNS-Match, not {_quote(method)}"
    return WnsRefusal(405, words, reason="wrong_method")


def bearer_token(headers: Mapping[str, str]) -> str | WnsRefusal:
    """Take the access token out of ``Authorization``, or refuse with 401 (RFC 6750 §2.1)."""
    value = headers.get("authorization")
    if value is None:
        words = "Authorization is missing: send 'Bearer', a space and an access token"
        return WnsRefusal(401, words, reason="token_missing")
    match = _BEARER.fullmatch(value)
    if match is None:
        words = "Authorization is malformed: send 'Bearer', a space and an access token"
        return WnsRefusal(401, words, reason="token_malformed")
    return match[1]


def read_match(headers: Mapping[str, str]) -> ToastMatch | WnsRefusal:
    """Judge the headers of a DELETE to a channel: which stored toasts go, or 400. Its body says nothing."""
    value = headers.get("x-wns-match")
    if value is None:
        return _wrong("match", "X-WNS-Match is missing: a DELETE says which toasts go")
    match = _MATCH.fullmatch(value)
    if match is None:
        return _wrong("match", f"{_MATCH_RULE}, not {_quote(value)}")
    return ToastMatch(group=match[1] or match[3], tag=match[2] or match[4])


def read_notification(headers: Mapping[str, str]) -> NotificationRequest | WnsRefusal:
    """Judge the headers of a POST to a channel, names lower-cased: 400 for a wrong one, 413 for too long a body."""
    values = tuple(map(headers.get, _JUDGED))
    is_short = sum(len(value) for value in values if value is not None) <= _SHORT
    return _remembered(*values) if is_short else _judge(*values)


@lru_cache(4_096)  # senders say the same again and again
def _remembered(*values: str | None) -> NotificationRequest | WnsRefusal:
    return _judge(*values)


def _judge(*values: str | None) -> NotificationRequest | WnsRefusal:
    headers = {name: value for name, value in zip(_JUDGED, values, strict=True) if value is not None}
    if "x-wns-type" not in headers:
        return _wrong("type", "X-WNS-Type is missing: send wns/toast, wns/tile, wns/badge or wns/raw")
    if "x-wns-match" in headers:
        return _wrong("match", "X-WNS-Match goes with DELETE only")
    for name, pattern, sentence in RULES:
        value = headers.get(name)
        if value is not None and not pattern.fullmatch(value):
            return _wrong(name.removeprefix("x-wns-"), f"{sentence}, not {_quote(value)}")
    kind = _TYPES[headers["x-wns-type"]]
    media_type, cached, priority = _DEFAULTS[kind]
    ttl = headers.get("x-wns-ttl")
    policy = headers.get("x-wns-cache-policy")
    refusal = (
        _check_content_type(headers.get("content-type"), media_type, kind)
        or _check_ttl(ttl, policy)
        or _check_length(headers, kind)
    )
    if refusal is not None:
        return refusal
    notification = Notification(
        type=kind,
        cache=cached if policy is None else policy == "cache",
        tag=headers.get("x-wns-tag"),
        group=headers.get("x-wns-group"),
        ttl=None if ttl is None else int(ttl),
        priority=int(headers.get("x-wns-priority", priority)),
        suppress_popup=headers.get("x-wns-suppresspopup") == "true",
    )
    return NotificationRequest(notification, headers.get("x-wns-requestforstatus") == "true")


def _check_content_type(value: str | None, expected: str, kind: NotificationType) -> WnsRefusal | None:
    if value is None:
        return _wrong("content-type", f"Content-Type is missing: wns/{kind} goes with {expected}")
    if value.partition(";")[0].strip().lower() != expected:  # senders add parameters, such as a charset
        return _wrong("content-type", f"Content-Type must be {expected} with wns/{kind}, not {_quote(value)}")
    return None


def _check_ttl(ttl: str | None, policy: str | None) -> WnsRefusal | None:
    if ttl is None or policy is None or (int(ttl) > 0) == (policy == "cache"):
        return None
    return _wrong("ttl", TTL_CONFLICT)


def _check_length(headers: Mapping[str, str], kind: NotificationType) -> WnsRefusal | None:
    if "transfer-encoding" in headers:
        return _wrong(
            "transfer-encoding", "Transfer-Encoding is not supported: send the body whole, with its Content-Length"
        )
    value = headers.get("content-length")
    if value is None:
        return _wrong("content-length", "Content-Length is missing: send the number of bytes of the body")
    if not _DIGITS.fullmatch(value):
        return _wrong("content-length", f"Content-Length must be the number of bytes of the body, not {_quote(value)}")
    length = int(value)
    if length == 0 and kind is NotificationType.RAW:
        return _wrong("body", "A raw notification must not be empty")
    return None if length <= MAX_PAYLOAD else too_large(length)


def too_large(length: int) -> WnsRefusal:
    """Refuse a body of that many bytes with 413."""
    words = f"The payload has {length} bytes; at most {MAX_PAYLOAD} are allowed"
    return WnsRefusal(413, words, NotificationStatus.DROPPED, reason="too_large")


def correlation_vector(given: str | None, entropy: bytes) -> str:
    """Extend the sender's correlation vector by one operation, or begin a new one where it sent none that is valid.

    :param entropy: 16 random bytes, the base of a new vector.
    """
    if given is None or len(given) > _VECTOR_LENGTH or not _VECTOR.fullmatch(given):
        return f"{b2a_base64(entropy, newline=False)[:_BASE].decode('ascii')}.0"
    if given.endswith("!"):
        return given
    extended = f"{given}.0"
    return extended if len(extended) <= _VECTOR_LENGTH else f"{given}!"


VECTOR_BYTES: Final = 18
"""Bytes that :func:`new_vectors` takes for each vector, of which 16 count: 18 are whole characters of base 64."""


def new_vectors(random: bytes) -> list[bytes]:
    """Begin many correlation vectors at once, which costs each a tenth.

    :param random: ``VECTOR_BYTES`` random bytes for each.
    """
    padded = bytearray(random)
    for unused in (16, 17):  # so each base is whole characters of base 64, and ends as one of 16 bytes
        padded[unused::VECTOR_BYTES] = bytes(len(random) // VECTOR_BYTES)
    text = b2a_base64(padded, newline=False)
    bases = unpack(f"{_BASE}s2x" * (len(text) // (_BASE + 2)), text)
    return (b".0 ".join(bases) + b".0").split()


def _wrong(what: str, description: str) -> WnsRefusal:
    """Refuse wrong or conflicting headers with 400; WNS says beside it that the notification was dropped."""
    return WnsRefusal(400, description, NotificationStatus.DROPPED, reason=f"wrong_{what.replace('-', '_')}")


def _quote(value: str) -> str:
    """Show what came in a way that fits into a header: ASCII, no control characters, not long."""
    shown = ascii(value)
    return shown if len(shown) <= 64 else f"{shown[:60]}...'"
