"""The web server, uvicorn, as an embedded app needs it: no signals, no secrets in logs, told when it is ready."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterable

import anyio
import uvicorn
from starlette.types import ASGIApp

from tocsin.repeat_log import RepeatLog
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.url_paths import DEVICE_PATH
from tocsin.service.web.bounded_http import BoundedHttp
from tocsin.service.web.connections import Connections
from tocsin.service.web.door import Door
from tocsin.service.web.express import Lane
from tocsin.service.web.express_http import ExpressHttp
from tocsin.service.web.heads import Heads
from tocsin.service.web.heart import Heart
from tocsin.service.web.partings import BUSY, torn
from tocsin.service.web.shared_state import SharedState
from tocsin.tasks import task_group

logger = logging.getLogger(__name__)

LEAVE = 2.0
"""Seconds for a server to leave, after which it is cancelled."""

_GRACE = 0.5  # seconds for requests that are still being answered when the server leaves
_LOOK = 0.005  # seconds between two looks whether all have gone
_TICK = 1.0  # seconds between two looks for connections that are too slow; uvicorn's, too


class WebServer(uvicorn.Server):
    """A uvicorn that runs inside another program.

    :param recurring: logs what strangers can cause again and again.
    :param tls: gives what TLS is spoken with from now on; None for none.
    :param lane: the express lane of posts that come whole; None for none.
    :param torn_headers: what an answer has besides, if its request's body ends before its time.
    :param websocket_path: where WebSockets are taken; offers of one elsewhere are passed over.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # what it serves with
        self,
        app: ASGIApp,
        settings: ServiceSettings,
        connections: Connections,
        recurring: RepeatLog,
        tls: Callable[[], ssl.SSLContext | None] = lambda: None,
        lane: Lane | None = None,
        torn_headers: Iterable[tuple[bytes, bytes]] = (),
        websocket_path: str = DEVICE_PATH,
    ) -> None:
        config = uvicorn.Config(
            app,
            http=BoundedHttp,
            ws="none",  # WebSockets are served by BoundedHttp's successor
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
        self.server_state: SharedState = SharedState(
            *(connections, heart, recurring, settings.max_headers, settings.max_head_bytes),
            *(torn(*torn_headers), websocket_path.encode()),
        )
        self._lane = lane
        self._heads = Heads()
        self.ready = anyio.Event()
        self._tls = tls
        self._handshake_timeout = settings.head_timeout
        self._doors: list[Door] = []
        self._leaving = anyio.Event()

    def accept_no_more(self) -> None:
        """Close the listening sockets; connections that there are go on."""
        for door in self._doors:
            door.close()

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
        """Start the server's parts; connections that come before wait in the backlog."""
        book, recurring = self.server_state.book, self.server_state.recurring
        loop = asyncio.get_running_loop()
        self._doors = [
            Door(
                listener,
                lambda: self._connection(loop),
                book,
                tls=self._tls,
                handshake_timeout=self._handshake_timeout,
                busy=BUSY,
                recurring=recurring,
            )
            for listener in sockets or ()
        ]
        self.started = True
        self.ready.set()

    def _connection(self, loop: asyncio.AbstractEventLoop) -> BoundedHttp:
        if self._lane is None:
            return BoundedHttp(self.config, self.server_state, {}, loop)
        return ExpressHttp(self.config, self.server_state, {}, loop, self._lane, self._heads)

    async def main_loop(self) -> None:
        """Serve; once a second renew the date header, as uvicorn does, and drop connections that are too slow."""
        async with task_group() as doors:
            for door in self._doors:
                doors.start_soon(door.run)
            seconds = 0
            while not await self.on_tick(seconds * 10):
                with anyio.move_on_after(_TICK):
                    await self._leaving.wait()
                self._sweep()
                seconds += 1
            doors.cancel_scope.cancel()
        self.server_state.recurring.close()

    def _sweep(self) -> None:
        """Drop connections that are too slow, and log what recurred; an error in that is logged and ends nothing."""
        try:
            self.server_state.book.sweep()
            self.server_state.recurring.sweep()
        except Exception:
            logger.exception("a connection that lets us wait could not be dropped")

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Close everything, and wait a little for what is being answered: uvicorn, which does the same, always waits."""
        for listening in sockets or ():
            listening.close()
        for connection in list(self.server_state.connections):
            connection.shutdown()
        with anyio.move_on_after(_GRACE):
            while self.server_state.connections or self.server_state.tasks:  # noqa: ASYNC110  # no signal
                await asyncio.sleep(_LOOK)
        for task in self.server_state.tasks:
            task.cancel()


@contextlib.asynccontextmanager
async def serving(
    server: WebServer, listener: socket.socket, say_goodbye: Callable[[], Awaitable[None]]
) -> AsyncGenerator[None]:
    """Run a server while the block runs; at the end it leaves when the goodbye is said, and is cancelled ``LEAVE`` seconds after it.

    :param say_goodbye: lets no more connections in, and gives those that there are their time.
    """
    shield = anyio.CancelScope(shield=True)  # a cancellation from outside reaches the server as a request to leave

    async def serve() -> None:
        with shield:
            await server.serve(sockets=[listener])

    async with task_group() as group:
        group.start_soon(serve)
        try:
            await server.ready.wait()
            yield
        finally:
            try:
                await say_goodbye()
            finally:  # whatever went wrong before: the group waits for the server's end
                server.leave()
                shield.deadline = anyio.current_time() + LEAVE
