"""What is said to a peer before its connection ends: answers, each with its status and its reason."""

from __future__ import annotations

from typing import Final

from tocsin.service.web.headers import status_line, write


def parting(status: int, words: str, *headers: tuple[bytes, bytes]) -> bytes:
    """Write an answer after which the connection ends."""
    body = f"{words}\n".encode()
    framing = ((b"content-length", str(len(body)).encode()), (b"connection", b"close"))
    text = (b"content-type", b"text/plain; charset=utf-8")
    return status_line(status) + write([text, *framing, *headers]) + b"\r\n" + body


BUSY: Final = parting(503, "Too many connections", (b"retry-after", b"5"))
"""What a connection is told that is one too many."""

EXCESS: Final = parting(431, "The headers are too many, or too long.")
INVALID: Final = parting(400, "This is no HTTP request.")
NO_HOST: Final = parting(400, "A request has one Host header, with a host and perhaps a port (RFC 9112, section 3.2).")
AHEAD: Final = parting(400, "Too many requests were sent ahead of their answers.")
TUNNEL: Final = parting(400, "Requests are answered here, and not passed on: this is no proxy.")
HTTP2: Final = parting(505, "HTTP/1.1 is spoken here, not HTTP/2.")


def torn(*headers: tuple[bytes, bytes]) -> bytes:
    """Write the answer to a request whose body ends before its time.

    :param headers: what the application says besides.
    """
    return parting(400, "The body is not as long as Content-Length says.", *headers)
