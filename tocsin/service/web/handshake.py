"""The handshake of a WebSocket (RFC 6455 §4.2): by ``websockets``, with the answers of this server."""

from __future__ import annotations

from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus

from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol


class WebSocketHandshake:
    """The server's side of one handshake.

    :param request: what the peer has sent.
    """

    def __init__(self, request: Request) -> None:
        protocol = ServerProtocol()
        protocol.debug = False  # headers, which it would log, may hold secrets
        self._response = protocol.accept(request)
        del protocol.parser  # which knows it: neither is to wait for the garbage collector

    @property
    def is_right(self) -> bool:
        """Whether the peer has asked for a WebSocket as RFC 6455 says."""
        return self._response.status_code == HTTPStatus.SWITCHING_PROTOCOLS

    def refuse(self, status: HTTPStatus) -> None:
        """Answer with something else than a WebSocket."""
        self._response = refusal(status)

    def answer(self, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
        """Return the answer; where that opens a WebSocket, with these headers of the server."""
        if self.is_right:
            del self._response.headers["Date"]
            self._response.headers.update((name.decode(), value.decode()) for name, value in headers)
        return self._response.serialize()


def refusal(status: HTTPStatus, body: bytes = b"") -> Response:
    """Return an answer that is no WebSocket, with that text."""
    body = body or f"{status.phrase}\n".encode()
    headers = {
        "Date": formatdate(usegmt=True),
        "Connection": "close",
        "Content-Type": "text/plain; charset=utf-8",
        "Content-Length": str(len(body)),
    }
    return Response(status.value, status.phrase, Headers(headers), body)
