"""The web server, uvicorn, as an embedded app needs it: no signals, no secrets in logs, told when it is ready."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Generator
from typing import Any

import anyio
import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from tocsin.protocol import codec

_GRACE = 0.5  # seconds for requests that are still being answered when the server leaves


class WebServer(uvicorn.Server):
    """A uvicorn that runs inside somebody else's program."""

    def __init__(self, app: ASGIApp) -> None:
        config = uvicorn.Config(
            app,
            http=_QuietHttp,
            ws=_QuietWebSocket,
            ws_max_size=codec.MAX_CHUNK,
            ws_per_message_deflate=False,
            lifespan="off",
            log_config=None,
            interface="asgi3",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=_GRACE,  # type: ignore[arg-type]  # asyncio takes fractions
        )
        config.load()
        config.loaded_app = app  # where logging is at its loudest, uvicorn would wrap it to log requests with headers
        super().__init__(config)
        self.ready = anyio.Event()
        self._leaving = anyio.Event()

    def leave(self) -> None:
        """Ask the server to close its connections and return from ``serve``."""
        self.should_exit = True
        self._leaving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the program around us."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Say when connections are accepted."""
        await super().startup(sockets)
        self.ready.set()

    async def main_loop(self) -> None:
        """Do what uvicorn does once a second (it renews the date header), and leave at once when asked to."""
        seconds = 0
        while not await self.on_tick(seconds * 10):
            with anyio.move_on_after(1):
                await self._leaving.wait()
            seconds += 1


class _QuietHttp(HttpToolsProtocol):
    """HTTP without an access log, whatever the program has set up: the request line of a post holds a secret."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.access_log = False


class _QuietWebSocket(WebSocketsSansIOProtocol):
    """WebSockets without a log of their frames, which hold device keys and channel URIs."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.conn.debug = False

    def shutdown(self) -> None:
        """Close the connection; one whose peer does not read would never be done with what it was sent."""
        super().shutdown()
        if self.transport.get_write_buffer_size():
            self.transport.abort()
