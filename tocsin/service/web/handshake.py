"""The handshake of a WebSocket: its state until it is answered, its ASGI scope, and the response that refuses it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from email.utils import formatdate
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from starlette.types import Scope
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from tocsin.service.web.addresses import is_secure, local_address

FRAME_LOG: Final = logging.getLogger("tocsin.frames")
"""The log of websockets; never at its loudest, since frames hold device keys and channel URIs."""


class WebSocketHandshake:
    """The server's side of one handshake, from the peer's request to the response."""

    __slots__ = ("_acceptance", "protocol", "refusal_status")

    def __init__(self) -> None:
        self.protocol = ServerProtocol(logger=FRAME_LOG)
        """What makes the response's bytes."""
        self.protocol.debug = False
        self._acceptance: Response | None = None
        self.refusal_status: HTTPStatus | None = None
        """The status with which the application has begun to refuse."""

    @property
    def may_be_accepted(self) -> bool:
        """Whether the peer has asked for a WebSocket as RFC 6455 says."""
        return self._acceptance is not None

    def begin(self, request: Request) -> Response | None:
        """Take the peer's request; return None where it may be accepted, else the response that refuses it."""
        response = self.protocol.accept(request)
        if response.status_code != HTTPStatus.SWITCHING_PROTOCOLS:
            return response
        self._acceptance = response
        return None

    def accept(self, headers: Iterable[tuple[bytes, bytes]]) -> None:
        """Respond that the WebSocket is open, with these headers of the server."""
        assert self._acceptance is not None  # noqa: S101  # as its caller has asked
        del self._acceptance.headers["Date"]
        self._acceptance.headers.update((name.decode(), value.decode()) for name, value in headers)
        self.protocol.send_response(self._acceptance)

    def refuse(self, response: Response) -> None:
        """Respond with something else than a WebSocket."""
        self.protocol.send_response(response)


def scope_of(request: Request, transport: asyncio.Transport, client: tuple[str, int] | None) -> Scope:
    """Return what ASGI says of a connection."""
    raw_path, _, query = request.path.partition("?")
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "wss" if is_secure(transport) else "ws",
        "server": local_address(transport),
        "client": client,
        "root_path": "",
        "path": unquote(raw_path),
        "raw_path": raw_path.encode("ascii"),
        "query_string": query.encode("ascii"),
        "headers": [(name.lower().encode(), value.encode("latin-1")) for name, value in request.headers.raw_items()],
        "subprotocols": [],
        "state": {},
        "extensions": {"websocket.http.response": {}},
    }


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
