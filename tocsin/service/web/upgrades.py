"""Offers to speak another protocol on a connection (RFC 9110 §7.8): a WebSocket on one of the service's paths is taken, any other is passed over.

The parser stops where an offer ends, and would leave out the body of a request that has one. So what makes it an offer is
taken out of its head, and the head is parsed once more.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen

from tocsin.service.web.headers import RawHeaders, write

_FRAMING: Final = frozenset({b"content-length", b"transfer-encoding"})


@frozen
class Offer:
    """The head of a request that offers another protocol, or asks for a tunnel (CONNECT)."""

    method: bytes
    url: bytes
    version: str
    headers: RawHeaders

    @property
    def path(self) -> bytes:
        """What is asked, without its query."""
        return self.url.partition(b"?")[0]

    def is_handshake(self) -> bool:
        """Tell whether that is a WebSocket's handshake: a GET in HTTP/1.1, without a body (RFC 6455 §4.1)."""
        offered = b",".join([value for name, value in self.headers if name == b"upgrade"])
        return (
            self.method == b"GET"
            and self.version == "1.1"
            and b"websocket" in [each.strip() for each in offered.lower().split(b",")]
            and not [name for name, value in self.headers if name in _FRAMING and value != b"0"]
        )

    def declined(self) -> bytes | None:
        """Return the head without the offer; None where there is none to take out, as with CONNECT."""
        headers = [header for header in self.headers if header[0] != b"upgrade"]
        if len(headers) == len(self.headers):
            return None
        return b"%b %b HTTP/%b\r\n%b\r\n" % (self.method, self.url, self.version.encode(), write(headers))
