"""Uvicorn's protocols, as a service among strangers needs them: bounded, never waiting for long, with no secrets in logs."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.server import ServerState

from tocsin.service.answers import write
from tocsin.service.connections import Connections
from tocsin.service.heart import Heart

MAX_REST: Final = 1024 * 1024
"""Bytes behind a request's headers that are read past at most; whoever sends more is cut off."""

MAX_PIPELINED: Final = 8
"""Requests that a sender may have sent before the first is answered; WNS allows none."""

_BUSY: Final = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 5\r\nconnection: close\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 21\r\n\r\nToo many connections\n"
)
_EXCESS: Final = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
    b"content-type: text/plain; charset=utf-8\r\ncontent-length: 39\r\n\r\nThe headers are too many, or too long.\n"
)


class State(ServerState):
    """What all connections share.

    :param max_headers: headers of a request at most.
    :param max_head: bytes of a request's line and headers at most.
    """

    def __init__(self, connections: Connections, heart: Heart, max_headers: int, max_head: int) -> None:
        super().__init__()
        self._beginning = b""
        self._default_headers: list[tuple[bytes, bytes]] | None = None
        self.book = connections
        self.heart = heart
        self.max_headers = max_headers
        self.max_head = max_head

    def beginning(self) -> bytes:
        """Return how every answer with 200 begins: the status line, and headers that uvicorn renews each second."""
        if self._default_headers is not self.default_headers:
            self._default_headers = self.default_headers
            self._beginning = STATUS_LINE[200] + write(self.default_headers)
        return self._beginning


class _TooMuch(Exception):
    """Ends the parsing of what a peer has sent."""


class BoundedHttp(HttpToolsProtocol):
    """HTTP with bounds, and without an access log: the request line of a post holds a secret."""

    def __init__(
        self, config: Config, server_state: State, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.access_log = False
        self._state = server_state
        self._admitted = False
        self._in_head = True  # between requests too
        self._turned = False  # whether headers or a message ended in the chunk that is being parsed
        self._bytes = 0  # of the headers, or of what is behind them
        self._excess = False
        self._unasked = True  # no request has come yet
        self._idle_since: float | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        """Let the connection in, or say that there are too many."""
        super().connection_made(transport)
        self._admitted = self._state.book.admit(self, self.client[0] if self.client else "")
        if not self._admitted:
            self.connections.discard(self)
            transport.write(_BUSY)
            transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        if self._admitted:
            self._state.book.left(self, self.client[0] if self.client else "")
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def drop(self) -> None:
        """End the connection at once."""
        self.transport.abort()

    def on_response_complete(self) -> None:
        """Begin with the request that waits behind, or to be idle."""
        self._state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_since = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self.timeout_keep_alive_task = self.loop.call_later(self.timeout_keep_alive, self._look_if_idle)

    def _look_if_idle(self) -> None:
        """Close a connection that has been idle for long: one timer sees to that, rather than one for each answer."""
        self.timeout_keep_alive_task = None
        if self._idle_since is None:  # the end of what it is busy with will set the timer
            return
        left = self._idle_since + self.timeout_keep_alive - self.loop.time()
        if left > 0:
            self.timeout_keep_alive_task = self.loop.call_later(left, self._look_if_idle)
        else:
            self.timeout_keep_alive_handler()

    def _unset_keepalive_if_required(self) -> None:
        """Note that the connection is not idle."""
        self._idle_since = None

    def data_received(self, data: bytes) -> None:
        """Parse a chunk, and see that it does not become too much."""
        if not self._admitted or self._excess:
            return
        self._turned = False
        self.parse(data)
        if self._turned or self.transport.is_closing():
            return
        self._bytes += len(data)
        answered = self._unasked or self.cycle.response_complete
        if self._in_head:
            if self._bytes > self._state.max_head:
                self._excess = True
                self.send_400_response("")
            elif answered:
                self._state.book.silent(self)
        elif self._bytes > MAX_REST:
            if answered:
                self.transport.abort()
            else:
                self.flow.pause_reading()  # until there is an answer

    def parse(self, data: bytes) -> None:
        """Parse a chunk, and begin what it asks for."""
        super().data_received(data)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over, and be forgotten at once: the parser knows us, and we know the parser."""
        super().handle_websocket_upgrade()
        self.headers, self.scope, self.parser = [], {}, None  # type: ignore[assignment, typeddict-item]  # it is over

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, unless there are too many."""
        if len(self.headers) >= self._state.max_headers:
            self._excess = True
            raise _TooMuch
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self.expect_100_continue = True
        self.headers.append((name, value))

    def on_headers_complete(self) -> None:
        """Note that the peer has said what it wants."""
        self.note_request()
        if len(self.pipeline) >= MAX_PIPELINED:
            raise _TooMuch
        self.begin_request()

    def note_request(self) -> None:
        """Note that the headers of a request are complete."""
        self._turned = True
        self._in_head = False
        self._bytes = 0
        self._unasked = False
        self._state.book.heard(self)

    def note_whole_request(self) -> None:
        """Note that a request came whole, and with nothing behind it."""
        self._idle_since = None
        self._turned = True
        self._bytes = 0
        self._unasked = False
        self._state.book.heard(self)

    def note_end(self) -> None:
        """Note that a request is there to its end."""
        self._turned = True
        self._in_head = True
        self._bytes = 0

    def begin_request(self) -> None:
        """Begin to answer a request whose headers there are."""
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Note that the next bytes begin another request."""
        self.note_end()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no request, or one whose headers are too many, and part."""
        if self._excess:
            self.transport.write(_EXCESS)
            self.transport.close()
        else:
            super().send_400_response(msg)

    def pause_writing(self) -> None:
        """Note that the peer does not read."""
        super().pause_writing()
        self._state.book.stalled(self)

    def resume_writing(self) -> None:
        """Note that the peer reads again."""
        super().resume_writing()
        self._state.book.flowing(self)
