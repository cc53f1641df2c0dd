"""What the channel route answers: statuses, and headers in the spelling of WNS, which some senders look for.

Every answer carries ``X-WNS-Msg-ID``, ``X-WNS-Debug-Trace`` and ``MS-CV``; every refusal says its reason in
``X-WNS-Error-Description`` and, for people, in the body.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen
from starlette.types import Send

from tocsin.protocol.service.wns import WnsRefusal
from tocsin.protocol.values import NotificationStatus
from tocsin.service.web.headers import FramingName, HeaderName, RawHeaders, write

_MSG_ID: Final = HeaderName(b"X-WNS-Msg-ID")
_DEBUG_TRACE: Final = HeaderName(b"X-WNS-Debug-Trace")
_CORRELATION_VECTOR: Final = HeaderName(b"MS-CV")
_DESCRIPTION: Final = HeaderName(b"X-WNS-Error-Description")
_DEVICE_STATUS: Final = HeaderName(b"X-WNS-DeviceConnectionStatus")
_RETRY_AFTER: Final = HeaderName(b"Retry-After")
_CONTINUE_AFTER: Final = HeaderName(b"X-WNS-CONTINUE-AFTER")
_LENGTH: Final = FramingName(b"Content-Length")
_CLOSE: Final = (FramingName(b"Connection"), b"close")
_EMPTY: Final = (_LENGTH, b"0")
_TEXT: Final = (HeaderName(b"Content-Type"), b"text/plain; charset=utf-8")
_STATUS: Final = {
    status: [
        (HeaderName(b"X-WNS-Status"), status.encode()),
        (HeaderName(b"X-WNS-NotificationStatus"), status.encode()),
    ]
    for status in NotificationStatus
}
TORN_HEADERS: Final = ((b"x-wns-status", NotificationStatus.DROPPED.encode()),)
"""What the web server says besides, if a body ends before its time."""

_FOR_STATUS: Final[dict[int, RawHeaders]] = {
    401: [(HeaderName(b"WWW-Authenticate"), b"Bearer")],
    405: [(HeaderName(b"Allow"), b"POST, DELETE")],
    408: [_CLOSE],  # the rest of the body may never come
}
_RETRY: Final = {406: 1, 503: 1}  # seconds, where the refusal names none

_CONNECTED: Final = {
    connected: write([(_DEVICE_STATUS, b"connected" if connected else b"disconnected")]) for connected in (True, False)
}
_RECEIVED: Final = write(
    [
        *((name, b"%s") for name in (_MSG_ID, _DEBUG_TRACE, _CORRELATION_VECTOR)),
        *_STATUS[NotificationStatus.RECEIVED],
        _EMPTY,
    ]
).decode()


@frozen
class Accepted:
    """A notification that was accepted, and what became of it; ``connected`` is None where the sender did not ask."""

    status: NotificationStatus
    description: str
    connected: bool | None


def identify(id: str, debug_trace: str, vector: str) -> RawHeaders:  # noqa: A002 - the field's name
    """Make the headers that every answer has."""
    return [(_MSG_ID, id.encode()), (_DEBUG_TRACE, debug_trace.encode()), (_CORRELATION_VECTOR, vector.encode())]


def accepted(answer: Accepted, common: RawHeaders) -> RawHeaders:
    """Make the headers of an answer with 200."""
    headers = [*common, *_STATUS[answer.status], _EMPTY]
    if answer.description:
        headers.append((_DESCRIPTION, answer.description.encode()))
    if answer.connected is not None:
        headers.append((_DEVICE_STATUS, b"connected" if answer.connected else b"disconnected"))
    return headers


def received(id: str, debug_trace: str, vector: str, *, connected: bool | None) -> bytes:  # noqa: A002 - the field's name
    """Write the headers of the answer that a notification was received."""
    lines = (_RECEIVED % (id, debug_trace, vector)).encode()
    return lines if connected is None else lines + _CONNECTED[connected]


async def send_accepted(send: Send, answer: Accepted, common: RawHeaders) -> None:
    """Answer with 200."""
    await send({"type": "http.response.start", "status": 200, "headers": accepted(answer, common)})
    await send({"type": "http.response.body", "body": b""})


async def send_refusal(send: Send, refusal: WnsRefusal, common: RawHeaders, *, waited_for: bool) -> None:
    """Refuse; a sender that was told to wait before its body (RFC 9110 §10.1.1) may never send it: then we part."""
    body = f"{refusal.description}\n".encode()
    headers = [
        *common,
        (_DESCRIPTION, refusal.description.encode()),
        (_LENGTH, str(len(body)).encode()),
        _TEXT,
        *(_STATUS[refusal.outcome] if refusal.outcome is not None else ()),
        *_FOR_STATUS.get(refusal.status, ()),
        *_wait(refusal),
    ]
    if waited_for and refusal.status != 408:
        headers.append(_CLOSE)
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _wait(refusal: WnsRefusal) -> RawHeaders:
    """Say when to come again; who is throttled is told so in the older header too."""
    seconds = refusal.retry_after or _RETRY.get(refusal.status)
    if seconds is None:
        return []
    value = str(seconds).encode()
    return [(_RETRY_AFTER, value), *([(_CONTINUE_AFTER, value)] if refusal.status == 406 else [])]
