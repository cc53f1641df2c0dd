"""The handshake of a WebSocket: what an ASGI application is told of it, and the answer where there will be none."""

from __future__ import annotations

import asyncio
from email.utils import formatdate
from http import HTTPStatus
from urllib.parse import unquote

from starlette.types import Scope
from uvicorn.protocols.utils import get_local_addr, is_ssl
from websockets.datastructures import Headers
from websockets.http11 import Request, Response


def scope_of(request: Request, transport: asyncio.Transport, client: tuple[str, int] | None) -> Scope:
    """Return what ASGI says of a connection."""
    raw_path, _, query = request.path.partition("?")
    return {
        "type": "websocket",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": "1.1",
        "scheme": "wss" if is_ssl(transport) else "ws",
        "server": get_local_addr(transport),
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
