"""What Web Push demands of a POST to a push resource, and of its body as far as that can be read without its key.

Sources: RFC 8030 section 5, RFC 8291 section 4, RFC 8188 section 2.1, and the draft 03 of "Encrypted Content-Encoding for HTTP",
which some senders speak still.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from attrs import field, frozen

from tocsin.protocol.service.notification import Notification
from tocsin.protocol.toast_label import MAX_NAME
from tocsin.protocol.values import NotificationType
from tocsin.protocol.webpush.codings import AES128GCM, AESGCM, HEAD, LEAST_RECORD, SALT, TAG
from tocsin.protocol.webpush.envelope import EMPTY, envelope_head
from tocsin.protocol.webpush.header_parameters import read_parameters
from tocsin.protocol.webpush.message_headers import LONGEST_TTL, TOPIC, URGENCIES
from tocsin.protocol.webpush.vapid import POINT

MAX_BODY: Final = 4_096
"""Bytes of a message's body at most; every push service takes so many (RFC 8030 section 7.2), and this one no more."""

PRIORITIES: Final = {urgency: priority for priority, urgency in enumerate(reversed(URGENCIES), 1)}
"""The priority of each urgency."""

READ: Final = frozenset({
    "authorization", "content-encoding", "content-length", "crypto-key", "encryption", "expect", "topic",
    "transfer-encoding", "ttl", "urgency",
})  # fmt: skip
"""Every header that any rule looks at, in lower case."""

_DIGITS: Final = re.compile("[0-9]{1,19}")
_MAX_PARAMETERS: Final = 512  # characters of Encryption, and of Crypto-Key


@frozen
class WebPushRefusal:
    """A message that is not accepted: the HTTP status, and a sentence. ``retry_after`` is in seconds.

    ``reason`` is the name by which operators count it, one of few: it has no part of what was sent.
    """

    status: int
    description: str
    retry_after: int | None = None
    reason: str = field(kw_only=True)


@frozen
class PushRequest:
    """What the headers of an acceptable message say; its TTL is that of the notification, which is granted."""

    notification: Notification
    coding: str
    head: bytes
    """What stands before the body in its envelope."""

    def envelope(self, body: bytes) -> bytes | WebPushRefusal:
        """Return what goes to the device, or what is wrong with the body."""
        if not body:
            return EMPTY
        fault = fault_of_body(self.coding, body)
        return fault or self.head + body


def read_push(headers: Mapping[str, str]) -> PushRequest | WebPushRefusal:  # noqa: PLR0911  # one for each rule
    """Judge the headers of a POST to a push resource, names lower-cased."""
    length = _length(headers)
    if isinstance(length, WebPushRefusal):
        return length
    ttl = headers.get("ttl")
    if ttl is None:
        return _wrong("ttl", "TTL is missing: send the seconds that the message may wait for a device that is away")
    if not _DIGITS.fullmatch(ttl):
        return _wrong("ttl", f"TTL must be a whole number of seconds, not {_shown(ttl)}")
    priority = PRIORITIES.get(headers.get("urgency", "normal").lower())
    if priority is None:
        return _wrong("urgency", f"Urgency must be very-low, low, normal or high, not {_shown(headers['urgency'])}")
    topic = headers.get("topic")
    if topic is not None and not TOPIC.fullmatch(topic):
        return _wrong("topic", f"Topic must be 1 to 32 characters of base64url, not {_shown(topic)}")
    coding = headers.get("content-encoding", "").lower() if length else ""
    refusal = _check_coding(coding, headers) if length else None
    if refusal is not None:
        return refusal
    of_aesgcm = (headers["encryption"], headers["crypto-key"]) if coding == AESGCM else ("", "")
    notification = Notification(
        type=NotificationType.PUSH,
        cache=True,
        tag=None if topic is None else sha256(topic.encode()).hexdigest()[:MAX_NAME],
        group=None,
        ttl=min(int(ttl), LONGEST_TTL),
        priority=priority,
    )
    return PushRequest(notification, coding, envelope_head(coding, *of_aesgcm))


def _length(headers: Mapping[str, str]) -> int | WebPushRefusal:
    """Read how long the body is, or refuse with 411 or 413; a request that does not say has none (RFC 9112 section 6.3)."""
    value = headers.get("content-length", "0")
    if "transfer-encoding" in headers:
        return WebPushRefusal(411, "Send the body whole, with its Content-Length", reason="no_length")
    if not _DIGITS.fullmatch(value):
        return _wrong("content_length", f"Content-Length must be the number of bytes of the body, not {_shown(value)}")
    length = int(value)
    return length if length <= MAX_BODY else too_large(length)


def too_large(length: int) -> WebPushRefusal:
    """Refuse a body of that many bytes with 413."""
    words = f"The body has {length} bytes; at most {MAX_BODY} are allowed, which hold 3,993 bytes before encryption"
    return WebPushRefusal(413, words, reason="too_large")


def _check_coding(coding: str, headers: Mapping[str, str]) -> WebPushRefusal | None:
    if not coding:
        words = "Content-Encoding is missing: a body is encrypted by RFC 8291, and its coding aes128gcm"
        return WebPushRefusal(415, words, reason="wrong_coding")
    if coding not in {AES128GCM, AESGCM}:
        words = f"Content-Encoding must be aes128gcm, or aesgcm of older senders, not {_shown(coding)}"
        return WebPushRefusal(415, words, reason="wrong_coding")
    if coding == AES128GCM:
        return None
    for name, needed in (("encryption", "salt"), ("crypto-key", "dh")):
        if not _has(headers.get(name, ""), needed):
            said = (
                f"With aesgcm the header {name.title()} must have {needed}=, and at most {_MAX_PARAMETERS} characters"
            )
            return _wrong(name.replace("-", "_"), said)
    return None


def _has(value: str, parameter: str) -> bool:
    try:
        return len(value) <= _MAX_PARAMETERS and value.isascii() and any(parameter in e for e in read_parameters(value))
    except ValueError:
        return False


def fault_of_body(coding: str, body: bytes) -> WebPushRefusal | None:
    """Return what is wrong with a body, as far as that is seen without its key: a device could not read it."""
    if coding == AESGCM:
        if len(body) <= TAG:
            return _wrong("body", f"A body in aesgcm has more than {TAG} bytes, not {len(body)}")
        return None
    if len(body) <= HEAD + POINT + TAG:
        words = f"A body in aes128gcm has at least {HEAD + POINT + TAG + 1} bytes, not {len(body)}"
        return _wrong("body", words)
    record = int.from_bytes(body[SALT : HEAD - 1], "big")
    if record < LEAST_RECORD:
        return _wrong("body", f"The record size of the body must be {LEAST_RECORD} or more, not {record}")
    if body[HEAD - 1] != POINT or body[HEAD] != 4:
        return _wrong("body", "The key id of the body must be the sender's key: 65 bytes, a point of P-256")
    return None


def _wrong(what: str, description: str) -> WebPushRefusal:
    return WebPushRefusal(400, description, reason=f"wrong_{what}")


def _shown(value: str) -> str:
    """Show what came: ASCII, no control characters, not long."""
    shown = ascii(value)
    return shown if len(shown) <= 64 else f"{shown[:60]}...'"
