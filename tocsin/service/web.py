"""The web server, uvicorn, as an embedded app needs it: no signals, no secrets in logs, told when it is ready."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Generator
from functools import partial

import anyio
import uvicorn
from starlette.types import ASGIApp

from tocsin.protocol import codec
from tocsin.service.connections import Connections
from tocsin.service.express import Lane
from tocsin.service.express_http import ExpressHttp
from tocsin.service.heads import Heads
from tocsin.service.heart import Heart
from tocsin.service.protocols import BoundedHttp, State
from tocsin.service.settings import ServiceSettings
from tocsin.service.websocket import BoundedWebSocket

logger = logging.getLogger(__name__)

_GRACE = 0.5  # seconds for requests that are still being answered when the server leaves
_LOOK = 0.005  # seconds between two looks whether all have gone
_BACKLOG = 2_048  # connections that the system accepts ahead of us
_AT_ONCE = 64  # of them that we take before we look after the others again


class WebServer(uvicorn.Server):
    """A uvicorn that runs inside somebody else's program.

    :param tls: what TLS is spoken with; None for none.
    :param lane: the express lane of posts that come whole; None for none.
    """

    def __init__(
        self,
        app: ASGIApp,
        settings: ServiceSettings,
        connections: Connections,
        tls: ssl.SSLContext | None = None,
        lane: Lane | None = None,
    ) -> None:
        config = uvicorn.Config(
            app,
            http=BoundedHttp,
            ws=BoundedWebSocket,
            ws_max_size=codec.MAX_CHUNK,
            lifespan="off",
            log_config=None,
            interface="asgi3",
            proxy_headers=False,
            workers=1,  # else uvicorn looks for a number in WEB_CONCURRENCY, and fails where there is another word
            server_header=False,
            timeout_keep_alive=settings.idle_timeout,  # type: ignore[arg-type]  # asyncio takes fractions
            timeout_graceful_shutdown=_GRACE,  # type: ignore[arg-type]  # as above
        )
        config.load()
        config.loaded_app = app  # where logging is at its loudest, uvicorn would wrap it to log requests with headers
        super().__init__(config)
        heart = Heart(settings.ping_interval)
        self.server_state: State = State(connections, heart, settings.max_headers, settings.max_head_bytes)
        self.servers: list[asyncio.Server] = []  # none before the start, which a cancellation may come before
        self._lane = lane
        self._heads = Heads()
        self.ready = anyio.Event()
        self._tls = tls
        self._handshake_timeout = settings.head_timeout
        self._leaving = anyio.Event()

    def accept_no_more(self) -> None:
        """Close the listening sockets; connections that there are go on."""
        for server in self.servers:
            server.close()

    def leave(self) -> None:
        """Ask the server to close its connections and return from ``serve``."""
        self.should_exit = True
        self._leaving.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None]:
        """Leave signals to the program around us."""
        yield

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until asked to leave; cut off, leave nothing open."""
        try:
            await super().serve(sockets)
        finally:
            self.accept_no_more()
            for connection in list(self.server_state.connections):
                if connection.transport is not None:
                    connection.transport.abort()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept connections, and say so."""
        loop = asyncio.get_running_loop()
        self.servers = [
            await loop.create_server(
                partial(self._connection, loop),
                sock=listener,
                ssl=self._tls,
                backlog=_AT_ONCE,
                ssl_handshake_timeout=self._handshake_timeout if self._tls else None,
            )
            for listener in sockets or ()
        ]
        for listener in sockets or ():
            listener.listen(_BACKLOG)  # asyncio has only one number for both
        self.started = True
        self.ready.set()

    def _connection(self, loop: asyncio.AbstractEventLoop) -> BoundedHttp:
        if self._lane is None:
            return BoundedHttp(self.config, self.server_state, {}, loop)
        return ExpressHttp(self.config, self.server_state, {}, loop, self._lane, self._heads)

    async def main_loop(self) -> None:
        """Once a second renew the date header, as uvicorn does, and drop who lets us wait; leave at once when asked to."""
        seconds = 0
        while not await self.on_tick(seconds * 10):
            with anyio.move_on_after(1):
                await self._leaving.wait()
            try:
                self.server_state.book.sweep()
            except Exception:
                logger.exception("a connection that lets us wait could not be dropped")
            seconds += 1

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close everything, and wait a little for what is being answered: uvicorn, which does the same, always waits."""
        for listening in (*self.servers, *(sockets or ())):
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with anyio.move_on_after(_GRACE):
            while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110  # nobody tells of their ends
                await asyncio.sleep(_LOOK)
        for task in self.server_state.tasks:
            task.cancel()
