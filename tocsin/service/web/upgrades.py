"""Offers to speak another protocol on a connection (RFC 9110 §7.8): a WebSocket on the service's path is taken, any other is passed over.

The parser stops where an offer ends, and would leave out the body of a request that has one. So what makes it an offer is
taken out of its head, and the head is parsed once more.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen
from websockets.datastructures import Headers
from websockets.http11 import Request

from tocsin.service.web.headers import RawHeaders, write

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


@frozen
class Offer:
    """The head of a request that offers another protocol, or asks for a tunnel (CONNECT)."""

    method: bytes
    url: bytes
    version: str
    headers: RawHeaders

    def is_handshake(self, path: bytes) -> bool:
        """Tell whether that is a WebSocket's handshake: a GET in HTTP/1.1 for that path, without a body (RFC 6455 §4.1)."""
        offered = [value for name, value in self.headers if name == b"upgrade"]
        return (
            self.method == b"GET"
            and self.version == "1.1"
            and self.url.partition(b"?")[0] == path
            and any(each.strip().lower() == b"websocket" for value in offered for each in value.split(b","))
            and not any(name in _FRAMING and value != b"0" for name, value in self.headers)
        )

    def handshake(self) -> Request:
        """Return the handshake as ``websockets`` knows it; of several protocols that it offers, WebSocket is the one."""
        headers = Headers((name.decode("latin-1"), value.decode("latin-1")) for name, value in self._others())
        headers["Upgrade"] = "websocket"
        return Request(self.url.decode("latin-1"), headers)

    def declined(self) -> bytes | None:
        """Return the head without the offer; None where there is none to take out, as with CONNECT."""
        headers = self._others()
        if len(headers) == len(self.headers):
            return None
        return b"%b %b HTTP/%b\r\n%b\r\n" % (self.method, self.url, self.version.encode(), write(headers))

    def _others(self) -> RawHeaders:
        return [header for header in self.headers if header[0] != b"upgrade"]
