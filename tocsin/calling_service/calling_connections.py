"""The agents that are connected: how many a user may have, how often they may say something, and how all are ended."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Final

import anyio
from websockets.frames import CloseCode

from tocsin.calling_service.calling_connection import (
    CallingConnection,
    CallingContext,
)
from tocsin.calling_service.calling_settings import CallingSettings
from tocsin.calling_service.exchange import Exchange
from tocsin.calling_service.users import VerifiedToken
from tocsin.protocol.calling.switchboard_rows import Endpoint
from tocsin.protocol.errors import Busy
from tocsin.protocol.kernel.throttle import Throttle
from tocsin.repeat_log import RepeatLog
from tocsin.service.web.queued_websocket import QueuedWebSocket
from tocsin.service.web.websocket import WebSocket

_STOPPING: Final = CloseCode.GOING_AWAY, "the calling service is stopping"


class CallingConnections:
    """All agent connections.

    :param verify: looks at a token, and raises InvalidArgument where it is not good.
    :param now: the service's time, in seconds since the epoch.
    """

    def __init__(
        self,
        exchange: Exchange,
        settings: CallingSettings,
        verify: Callable[[str], VerifiedToken],
        now: Callable[[], float],
        recurring: RepeatLog,
    ) -> None:
        throttle = Throttle(settings.message_rate, settings.message_burst)
        self._around = CallingContext(
            *(exchange, settings, verify, self._admit, self._dismiss, throttle, now, recurring)
        )
        self._most = settings.max_connections_per_user
        self._of_users: dict[str, Counter[Endpoint]] = {}
        self._running: set[CallingConnection] = set()
        self._stopping = False
        self._idle = anyio.Event()

    @property
    def agents(self) -> int:
        """How many endpoints are connected."""
        return sum(map(len, self._of_users.values()))

    async def aclose(self) -> None:
        """Close all connections as one does that is going away, let no other begin, and wait until they have ended."""
        self._stopping = True
        for connection in self._running:
            connection.close(*_STOPPING)
        if self._running:
            await self._idle.wait()

    def open(self, socket: WebSocket) -> QueuedWebSocket:
        """Take a connection whose handshake is right."""
        wire = QueuedWebSocket(socket)
        wire.start_soon(partial(self.serve, wire))
        return wire

    async def serve(self, wire: QueuedWebSocket) -> None:
        """Serve one connection to its end."""
        connection = CallingConnection(self._around, wire)
        self._running.add(connection)
        if self._stopping:
            connection.close(*_STOPPING)
        try:
            await connection.serve()
        finally:
            self._running.discard(connection)
            if self._stopping and not self._running:
                self._idle.set()

    def _admit(self, connection: CallingConnection) -> None:
        """Count a connection; one of an endpoint that is connected takes the other's place, and is never one too many."""
        endpoint = connection.endpoint
        theirs = self._of_users.setdefault(endpoint.user, Counter())
        if endpoint not in theirs and len(theirs) >= self._most:
            raise Busy(
                f"{endpoint.user} has {self._most} agents connected, which is the limit: end one, or wait until one ends"
            )
        theirs[endpoint] += 1

    def _dismiss(self, connection: CallingConnection) -> None:
        """Count a connection no more that has ended."""
        endpoint = connection.endpoint
        theirs = self._of_users[endpoint.user]
        theirs[endpoint] -= 1
        if not theirs[endpoint]:
            del theirs[endpoint]
        if not theirs:
            del self._of_users[endpoint.user]
