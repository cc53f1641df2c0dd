"""The web server, inside another program: no signals, no secrets in logs, told when it is ready, gone when it is asked to leave."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping

import anyio

from tocsin.repeat_log import RepeatLog
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.web.connections import Connections
from tocsin.service.web.door import Door
from tocsin.service.web.exchanges import OpenExchange
from tocsin.service.web.heart import Heart
from tocsin.service.web.http_connection import HttpConnection
from tocsin.service.web.partings import BUSY, torn
from tocsin.service.web.shared_state import SharedState
from tocsin.service.web.websocket import OpenWebSocket
from tocsin.tasks import task_group

logger = logging.getLogger(__name__)

LEAVE = 2.0
"""Seconds for a server to leave, after which it is cancelled."""

_GRACE = 0.5  # seconds for requests that are still being answered when the server leaves
_LOOK = 0.005  # seconds between two looks whether all have gone
_TICK = 1.0  # seconds between two looks for connections that are too slow, and between two dates


class WebServer:
    """Serves HTTP, and WebSockets on some paths.

    :param open_exchange: begins to answer a request.
    :param websockets: what takes WebSockets, by path; offers of one elsewhere are passed over.
    :param recurring: logs what strangers can cause again and again.
    :param tls: gives what TLS is spoken with from now on; None for none.
    :param torn_headers: what an answer has besides, if its request's body ends before its time.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # what it serves with
        self,
        open_exchange: OpenExchange,
        websockets: Mapping[str, OpenWebSocket],
        settings: ServiceSettings,
        connections: Connections,
        recurring: RepeatLog,
        tls: Callable[[], ssl.SSLContext | None] = lambda: None,
        torn_headers: Iterable[tuple[bytes, bytes]] = (),
    ) -> None:
        self.shared = SharedState(
            websockets={path.encode(): opening for path, opening in websockets.items()},
            book=connections,
            heart=Heart(settings.ping_interval),
            recurring=recurring,
            max_headers=settings.max_headers,
            max_head=settings.max_head_bytes,
            idle_timeout=settings.idle_timeout,
            torn=torn(*torn_headers),
        )
        """What its connections share."""
        self.ready = anyio.Event()
        """Is set once it serves; connections that came before are served too."""
        self._open_exchange = open_exchange
        self._tls = tls
        self._handshake_timeout = settings.head_timeout
        self._doors: list[Door] = []
        self._leaving = anyio.Event()

    def keep_none(self) -> None:
        """End each connection behind the next answer to all that it was asked, also those that come now."""
        self.shared.keeps_none = True

    def accept_no_more(self) -> None:
        """Close the listening sockets, and keep no connection that there is."""
        self.keep_none()
        for door in self._doors:
            door.close()

    def leave(self) -> None:
        """Ask the server to close its connections and return from ``serve``."""
        self._leaving.set()

    def part_with_senders(self) -> None:
        """Close the connections that are no WebSockets; what is being answered there is answered first."""
        for connection in list(self.shared.connections):
            if isinstance(connection, HttpConnection):
                connection.shutdown()

    async def idle(self) -> None:
        """Wait until no request is being answered; what has come by now is read before."""
        await asyncio.sleep(_LOOK)
        while self.shared.busy:  # noqa: ASYNC110  # counted for each request, looked at once
            await asyncio.sleep(_LOOK)

    async def serve(self, listener: socket.socket) -> None:
        """Serve the connections of a listening socket until asked to leave; cut off, leave nothing open."""
        door = Door(
            listener,
            lambda: HttpConnection(self.shared, self._open_exchange),
            self.shared.book,
            tls=self._tls,
            handshake_timeout=self._handshake_timeout,
            busy=BUSY,
            recurring=self.shared.recurring,
        )
        self._doors.append(door)
        try:
            await self._run(door)
            await self._part()
        finally:
            self.accept_no_more()
            for connection in list(self.shared.connections):
                connection.transport.abort()

    async def _run(self, door: Door) -> None:
        """Serve; once a second renew the date, and drop connections that are too slow."""
        self.shared.renew_date()
        self.ready.set()
        async with task_group() as tasks:
            tasks.start_soon(door.run)
            while not self._leaving.is_set():
                with anyio.move_on_after(_TICK):
                    await self._leaving.wait()
                self._tick()
            tasks.cancel_scope.cancel()
        self.shared.recurring.close()

    def _tick(self) -> None:
        """Do what is done once a second; an error in that is logged and ends nothing."""
        try:
            self.shared.renew_date()
            self.shared.book.sweep()
            self.shared.recurring.sweep()
        except Exception:
            logger.exception("a connection that lets us wait could not be dropped")

    async def _part(self) -> None:
        """Close everything, and wait a little for what is being answered."""
        for connection in list(self.shared.connections):
            connection.shutdown()
        with anyio.move_on_after(_GRACE):
            while self.shared.connections or self.shared.tasks:  # noqa: ASYNC110  # no signal
                await asyncio.sleep(_LOOK)
        for task in self.shared.tasks:
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
            await server.serve(listener)

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
