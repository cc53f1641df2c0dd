"""What the channel route answers: statuses, and headers in the spelling of WNS, which some senders look for.

Every answer carries ``X-WNS-Msg-ID``, ``X-WNS-Debug-Trace`` and ``MS-CV``; every refusal says its reason in
``X-WNS-Error-Description`` and, for people, in the body.
"""

from __future__ import annotations

from typing import Final

from attrs import Factory, field, frozen

from tocsin.protocol.service.wns import WnsRefusal
from tocsin.protocol.values import NotificationStatus
from tocsin.service.web.headers import write

_DESCRIPTION: Final = b"X-WNS-Error-Description"
_EMPTY: Final = "Content-Length: 0\r\n"
_TEXT: Final = (b"Content-Type", b"text/plain; charset=utf-8")
_STATUS: Final = {
    status: f"X-WNS-Status: {status}\r\nX-WNS-NotificationStatus: {status}\r\n" for status in NotificationStatus
}
TORN_HEADERS: Final = ((b"x-wns-status", NotificationStatus.DROPPED.encode()),)
"""What the web server says besides, if a body ends before its time."""

_FOR_STATUS: Final = {401: "WWW-Authenticate: Bearer\r\n", 405: "Allow: POST, DELETE\r\n"}
_RETRY: Final = {406: 1, 503: 1}  # seconds, where the refusal names none

_CONNECTED: Final = {
    None: "",
    True: "X-WNS-DeviceConnectionStatus: connected\r\n",
    False: "X-WNS-DeviceConnectionStatus: disconnected\r\n",
}


def _write(answer: Accepted) -> bytes:
    described = f"X-WNS-Error-Description: {answer.description}\r\n" if answer.description else ""
    return (_STATUS[answer.status] + _EMPTY + described + _CONNECTED[answer.connected]).encode()


@frozen
class Accepted:
    """A notification that was accepted, and what became of it; ``connected`` is None where the sender did not ask."""

    status: NotificationStatus
    description: str
    connected: bool | None
    headers: bytes = field(init=False, default=Factory(_write, takes_self=True))
    """Those of the answer, but for what says whose it is."""


def write_refusal(refusal: WnsRefusal) -> tuple[bytes, bytes]:
    """Write the headers of a refusal, but for what says whose it is, and its body."""
    body = f"{refusal.description}\n".encode()
    described = write([(_DESCRIPTION, refusal.description.encode()), (b"Content-Length", b"%d" % len(body)), _TEXT])
    outcome = "" if refusal.outcome is None else _STATUS[refusal.outcome]
    rest = outcome + _FOR_STATUS.get(refusal.status, "") + _wait(refusal)
    return described + rest.encode(), body


def _wait(refusal: WnsRefusal) -> str:
    """Say when to come again; who is throttled is told so in the older header too."""
    seconds = refusal.retry_after or _RETRY.get(refusal.status)
    if seconds is None:
        return ""
    older = f"X-WNS-CONTINUE-AFTER: {seconds}\r\n" if refusal.status == 406 else ""
    return f"Retry-After: {seconds}\r\n{older}"
