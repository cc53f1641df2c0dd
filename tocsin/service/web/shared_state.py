"""What all connections of a web server share."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping
from email.utils import formatdate
from typing import Any, Final, Protocol

from attrs import define, field

from tocsin.repeat_log import RepeatLog
from tocsin.service.web.connections import Connections
from tocsin.service.web.headers import RawHeaders, status_line, write
from tocsin.service.web.heart import Heart
from tocsin.service.web.websocket import OpenWebSocket

MOST: Final = 64 * 1024
"""Bytes that are read of HTTP at a time. Into bytes of its own, as asyncio would, each read costs more than to answer: 256 KiB are mapped."""

CHUNK: Final = 4 * 1024
"""Bytes that are read of a WebSocket at a time: so many frames may come before other connections have a turn."""


class Connection(Protocol):
    """A connection, as the server that leaves sees it."""

    transport: asyncio.Transport

    def shutdown(self) -> None:
        """End, or end behind what is being answered."""
        ...


@define(eq=False)
class SharedState:
    """The state of one web server that all its connections share."""

    websockets: Mapping[bytes, OpenWebSocket]
    """What takes a WebSocket, or refuses it, by path."""
    book: Connections
    heart: Heart
    recurring: RepeatLog
    max_headers: int
    """Headers of a request at most."""
    max_head: int
    """Bytes of a request's line and headers at most."""
    idle_timeout: float
    """Seconds that a connection may be quiet between two requests."""
    torn: bytes
    """The last that a sender is told whose body ends before its time."""
    connections: set[Connection] = field(factory=set)
    """All that there are; each ends by itself when the server leaves, or is cut off."""
    tasks: set[asyncio.Task[None]] = field(factory=set)
    """What answers, and is waited for when the server leaves."""
    busy: int = 0
    """Requests that are being answered to peers that are there."""
    keeps_none: bool = False
    """Whether the server is about to leave: the answers to what has come by then are the last of their connections."""
    default_headers: RawHeaders = field(factory=list)
    """The headers that every answer has; renewed each second."""
    beginnings: dict[int, bytes] = field(factory=dict)
    """How answers begin that have these headers, by the status."""
    heads: memoryview = field(factory=lambda: memoryview(bytearray(MOST)))
    """What HTTP is read into."""
    buffer: memoryview = field(factory=lambda: memoryview(bytearray(CHUNK)))
    """What WebSockets are read into."""

    def renew_date(self) -> None:
        """Let answers say that it is now."""
        self.default_headers = [(b"date", formatdate(usegmt=True).encode())]
        self.beginnings.clear()

    def begin(self, status: int) -> bytes:
        """Return how answers with a status begin, and remember it."""
        beginning = self.beginnings[status] = status_line(status) + write(self.default_headers)
        return beginning

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task that is waited for, and then cancelled, when the server leaves."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
