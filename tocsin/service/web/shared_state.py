"""What all connections of a web server share."""

from __future__ import annotations

from typing import Final

from uvicorn.protocols.http.httptools_impl import STATUS_LINE
from uvicorn.server import ServerState

from tocsin.repeat_log import RepeatLog
from tocsin.service.web.connections import Connections
from tocsin.service.web.headers import write
from tocsin.service.web.heart import Heart

CHUNK: Final = 4 * 1024
"""Bytes that are read at a time: so many frames may come before other connections have a turn."""


class SharedState(ServerState):
    """The state of one web server that all its connections share.

    :param max_headers: headers of a request at most.
    :param max_head: bytes of a request's line and headers at most.
    :param torn: the last that a sender is told whose body ends before its time.
    :param websocket_path: where WebSockets are taken.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # what they share
        self,
        connections: Connections,
        heart: Heart,
        recurring: RepeatLog,
        max_headers: int,
        max_head: int,
        torn: bytes,
        websocket_path: bytes,
    ) -> None:
        super().__init__()
        self._beginning = b""
        self._default_headers: list[tuple[bytes, bytes]] | None = None
        self.book = connections
        self.heart = heart
        self.recurring = recurring
        self.max_headers = max_headers
        self.max_head = max_head
        self.torn = torn
        self.websocket_path = websocket_path
        self.buffer = memoryview(bytearray(CHUNK))
        """What WebSockets are read into."""

    def beginning(self) -> bytes:
        """Return how every answer with 200 begins: the status line, and headers that uvicorn renews each second."""
        if self._default_headers is not self.default_headers:
            self._default_headers = self.default_headers
            self._beginning = STATUS_LINE[200] + write(self.default_headers)
        return self._beginning
