"""What a push resource answers (RFC 8030 section 5 and 8): statuses, headers, and for people a sentence in the body."""

from __future__ import annotations

from typing import Final

from tocsin.protocol.service.refusal import Refusal, RefusalKind
from tocsin.protocol.service.web_push import MAX_BODY, WebPushRefusal
from tocsin.service.devices.outbox import PushResult

_YET: Final = ": it may yet come, and once more if it is sent again"
_SAID: Final[dict[RefusalKind, tuple[int, str, int | None]]] = {
    RefusalKind.ADDRESS_THROTTLED: (429, "Too many requests from this address: send more slowly", 1),
    RefusalKind.CHANNEL_THROTTLED: (429, "Too many messages to this subscription: send more slowly", 1),
    RefusalKind.TOO_MANY_WAITING: (429, "Too many messages wait for the device: send more slowly", 1),
    RefusalKind.UNKNOWN_CHANNEL: (404, "No push subscription has this URL", None),
    RefusalKind.CHANNEL_EXPIRED: (410, "The push subscription has expired", None),
    RefusalKind.CHANNEL_REVOKED: (410, "The push subscription was ended", None),
    RefusalKind.TOO_LARGE: (413, f"The body has more than {MAX_BODY} bytes", None),
    RefusalKind.STORE_UNREADABLE: (503, "The service cannot read its store just now: send the request again", 1),
    RefusalKind.STORE_UNWRITABLE: (503, "The service cannot write its store just now: send the request again", 1),
    RefusalKind.NODE_LAPSED: (
        503,
        "This node of the service cannot act for devices just now: send the request again",
        1,
    ),
    RefusalKind.NOT_ACKNOWLEDGED: (
        503,
        f"The device is connected, but did not acknowledge the message in time{_YET}",
        1,
    ),
    RefusalKind.DEVICE_SUSPENDED: (503, f"The device is connected, but cannot store messages just now{_YET}", 1),
}

NO_ROOM: Final = WebPushRefusal(503, "The service keeps no more messages for later", 60, reason="no_room")
"""Said where the message was to wait, and cannot."""

DROPPED: Final = {
    PushResult.OFFLINE: "Dropped: the device is away, and TTL is 0",
    PushResult.LOST: "Dropped: the connection to the device was lost before it acknowledged the message, and TTL is 0",
    PushResult.HELD_BACK: "Dropped: the device saves power, and TTL is 0",
    PushResult.CLOUD_DISABLED: "Dropped: group policy on the device forbids notifications from the network",
    PushResult.NOTIFICATIONS_DISABLED: "Dropped: notifications of the app are switched off on the device",
    PushResult.TYPE_DISABLED: "Dropped: notifications of this type are switched off on the device",
}
"""Said with 201 where a message was accepted that reaches no app: its sender wanted no other attempt."""

UNTOLD: Final = {
    RefusalKind.NOT_ACKNOWLEDGED: "Sent to the device, which has not acknowledged it in time; TTL is 0",
    RefusalKind.DEVICE_SUSPENDED: "Sent to a device that cannot store messages just now; TTL is 0",
}
"""Said with 201 where the device may have it or not, and it is now or never: sent again it might come twice."""

_TEXT: Final = "Content-Type: text/plain; charset=utf-8\r\n"
_FOR_STATUS: Final = {401: "WWW-Authenticate: vapid\r\n"}


def refused(refusal: Refusal) -> WebPushRefusal:
    """Say a refusal as Web Push does."""
    status, words, wait = _SAID[refusal.kind]
    return WebPushRefusal(status, words, refusal.retry_after or wait, reason=refusal.kind.name.lower())


def write_accepted(location: str, ttl: int, words: str) -> tuple[bytes, bytes]:
    """Write the headers of the answer to a message that was accepted, and its body.

    :param location: the URL of the message.
    :param ttl: seconds that it may wait, which may be fewer than its sender has asked for.
    :param words: why it reaches no app; empty where it does.
    """
    if not words:
        return f"Location: {location}\r\nTTL: {ttl}\r\nContent-Length: 0\r\n".encode(), b""
    body = f"{words}\n".encode()
    headers = f"Location: {location}\r\nTTL: {ttl}\r\n{_TEXT}Content-Length: {len(body)}\r\n"
    return headers.encode(), body


def write_refusal(refusal: WebPushRefusal, allow: str = "") -> tuple[bytes, bytes]:
    """Write the headers of a refusal, and its body.

    :param allow: the method that is right, where the method was wrong.
    """
    body = f"{refusal.description}\n".encode()
    headers = f"{_TEXT}Content-Length: {len(body)}\r\n"
    headers += _FOR_STATUS.get(refusal.status, "")
    headers += f"Retry-After: {refusal.retry_after}\r\n" if refusal.retry_after is not None else ""
    headers += f"Allow: {allow}\r\n" if allow else ""
    return headers.encode(), body
