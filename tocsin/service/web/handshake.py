"""The handshake of a WebSocket (RFC 6455 §4.2), judged by its headers; of extensions and subprotocols none is taken."""

from __future__ import annotations

import base64
import binascii
from collections import defaultdict
from typing import Final

from websockets.exceptions import InvalidHandshake, InvalidHeader, InvalidHeaderValue, InvalidUpgrade
from websockets.headers import parse_connection, parse_subprotocol
from websockets.utils import accept_key

from tocsin.service.web.headers import RawHeaders, status_line, write
from tocsin.service.web.partings import parting

_JUDGED: Final = frozenset(
    {b"connection", b"origin", b"sec-websocket-key", b"sec-websocket-protocol", b"sec-websocket-version"}
)
_OPENED: Final = status_line(101) + b"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %b\r\n%b\r\n"
_UPGRADE: Final = (b"upgrade", b"websocket")
_VERSION: Final = "Sec-WebSocket-Version"
_NO_BROWSER: Final = "You cannot access a WebSocket server directly with a browser. You need a WebSocket client."


def judge(headers: RawHeaders, common: RawHeaders) -> tuple[bool, bytes]:
    """Return whether a handshake is as RFC 6455 §4.2.1 says, and the answer: it opens a WebSocket, or says what is wrong.

    :param headers: those of the handshake, their names in lower case; that it offers a WebSocket was seen before.
    :param common: the headers that every answer has.
    """
    try:
        key = _key(headers)
    except InvalidHandshake as wrong:
        return False, _refusal(wrong, common)
    return True, _OPENED % (accept_key(key).encode(), write(common))


def _refusal(wrong: InvalidHandshake, common: RawHeaders) -> bytes:
    """Write the last that a peer is told whose handshake is wrong."""
    words = f"Failed to open a WebSocket connection: {wrong}"
    if wrong.__cause__ is not None:
        words += f"; {wrong.__cause__}"
    if isinstance(wrong, InvalidHeaderValue) and wrong.name == _VERSION:  # it is told which is known (RFC 6455 §4.2.2)
        known = (b"sec-websocket-version", b"13")
        return parting(426, f"{words}; this service knows 13.", _UPGRADE, known, *common)
    if isinstance(wrong, InvalidUpgrade):
        return parting(426, f"{words}.\n\n{_NO_BROWSER}", _UPGRADE, *common)
    return parting(400, f"{words}.", *common)


def _key(headers: RawHeaders) -> str:
    """Return the key of a handshake.

    :raises InvalidHandshake: something is wrong with it.
    """
    said: defaultdict[bytes, list[str]] = defaultdict(list)
    for name, value in headers:
        if name in _JUDGED:
            said[name].append(value.decode("latin-1"))
    if said[b"connection"] != ["Upgrade"]:  # which most say, and needs no parser
        _check_connection(said[b"connection"])
    key = _only("Sec-WebSocket-Key", said[b"sec-websocket-key"])
    _check_key(key)
    version = _only(_VERSION, said[b"sec-websocket-version"])
    if version != "13":
        raise InvalidHeaderValue(_VERSION, version)
    if b"origin" in said:
        _only("Origin", said[b"origin"])
    for offered in said[b"sec-websocket-protocol"]:
        parse_subprotocol(offered)
    return key


def _only(name: str, values: list[str]) -> str:
    """Return the value of a header that there is to be once."""
    if len(values) != 1:
        raise InvalidHeader(name, "multiple values" if values else None)
    return values[0]


def _check_connection(values: list[str]) -> None:
    """See that the connection is to be upgraded, whatever else is said of it."""
    options = [option for value in values for option in parse_connection(value)]
    if not any(option.lower() == "upgrade" for option in options):
        raise InvalidUpgrade("Connection", ", ".join(options) or None)


def _check_key(key: str) -> None:
    """See that a key is 16 bytes in base64."""
    try:
        size = len(base64.b64decode(key.encode(), validate=True))
    except binascii.Error as wrong:
        raise InvalidHeaderValue("Sec-WebSocket-Key", key) from wrong
    if size != 16:  # bytes, RFC 6455 §4.2.1
        raise InvalidHeaderValue("Sec-WebSocket-Key", key)
