"""Uvicorn's protocols, as a service among strangers needs them: bounded, never waiting for long, with no secrets in logs."""

from __future__ import annotations

import asyncio
import re
from typing import Any, Final

from httptools import HttpParserCallbackError, HttpParserError, HttpParserUpgrade, HttpRequestParser
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from tocsin.service.web import partings
from tocsin.service.web.bounded_websocket import BoundedWebSocket
from tocsin.service.web.door import Handshake
from tocsin.service.web.shared_state import SharedState
from tocsin.service.web.upgrades import Offer

MAX_REST: Final = 1024 * 1024
"""Bytes behind a request's headers that are read past at most; a sender of more is cut off."""

MAX_PIPELINED: Final = 8
"""Requests that a sender may have sent before the first is answered; one that waits for its answer sends none."""

_HTTP2_BEGINS: Final = b"PRI * HTTP/2"
_HOST: Final = re.compile(rb"(\[[\w:.%~!$&'()*+,;=-]+\]|[\w.%~!$&'()*+,;=-]*)(:[0-9]*)?")
_NOTICED: Final = frozenset({b"expect", b"host"})


class _TooMuch(Exception):
    """Ends the parsing of what a peer has sent."""


class BoundedHttp(HttpToolsProtocol):
    """HTTP with bounds, and without an access log: the request line of a post holds a secret."""

    def __init__(
        self, config: Config, server_state: SharedState, app_state: dict[str, Any], _loop: asyncio.AbstractEventLoop
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.access_log = False
        self.handshake: Handshake | None = None
        """Where the connection is made."""
        self._state = server_state
        self._in_head = True  # between requests too
        self._turned = False  # whether headers or a message ended in the chunk that is being parsed
        self._bytes = 0  # of the headers, or of what is behind them
        self._complaint = partings.INVALID  # what is said where the parser gives up
        self._hosts = 0  # Host headers of the request; one that is invalid counts twice
        self._last_host = b""  # the last one, which was valid where the connection goes on
        self._offers = False  # the parser is about to stop at an offer of another protocol
        self._farewell: bytes | None = None  # what is said once all that was asked before is answered
        self._unasked = True  # no request has come yet
        self._idle_since: float | None = None

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        self._state.book.left(self)
        super().connection_lost(exc)
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
            self.timeout_keep_alive_task = None

    def drop(self) -> None:
        """End the connection at once, also while it is made."""
        if self.transport is not None:
            self.transport.abort()
        elif self.handshake is not None:
            self.handshake.cancel()

    def give_way(self) -> None:
        """Say that there are too many connections, and end at once; what was asked for before is answered."""
        if self.transport is not None:
            self.transport.write(partings.BUSY)
            self.transport.abort()
        elif self.handshake is not None:
            self.handshake.give_way()

    def on_response_complete(self) -> None:
        """Answer the next pipelined request, or begin to be idle."""
        self._state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
            return
        if self._farewell is not None:
            self._part(self._farewell)
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
        if self._farewell is not None:
            return
        self._turned = False
        self.parse(data)
        if self._turned or self.transport.is_closing():
            return
        self._bytes += len(data)
        if self._in_head:
            if self._bytes > self._state.max_head:
                self._say_farewell(partings.EXCESS)
            else:
                self._state.book.hold(self, self._bytes)
                if self._is_answered():
                    self._state.book.silent(self)
        elif self._bytes > MAX_REST:
            if self._is_answered():
                self.transport.abort()
            else:
                self.flow.pause_reading()  # until there is an answer

    def _is_answered(self) -> bool:
        """Tell whether everything that was asked is answered."""
        return self._unasked or self.cycle.response_complete

    def parse(self, data: bytes) -> None:
        """Parse a chunk, and begin what it asks for."""
        self._unset_keepalive_if_required()
        rest: bytes | None = data
        while rest:
            parser: Any = self.parser  # which is there for as long as it parses
            try:
                parser.feed_data(rest)
            except HttpParserUpgrade as stopped:
                rest = self._judge_offer(rest[stopped.args[0] :])
            except HttpParserError as wrong:
                self._say_farewell(partings.HTTP2 if rest.startswith(_HTTP2_BEGINS) else self._what_is_wrong(wrong))
                return
            else:
                return

    def _what_is_wrong(self, wrong: HttpParserError) -> bytes:
        """Say why the parser gave up: we know it, or it does; its words are constants, in which nothing is of the peer."""
        if self._complaint is not partings.INVALID or not wrong.args or isinstance(wrong, HttpParserCallbackError):
            return self._complaint
        return partings.parting(400, f"This is no HTTP request: {wrong.args[0]}.")

    def _judge_offer(self, rest: bytes) -> bytes | None:
        """Take an offer of another protocol, or return what is to be parsed instead: its request without it."""
        self._offers = False
        parser: Any = self.parser
        offer = Offer(parser.get_method(), self.url, parser.get_http_version(), self.headers)
        # A client waits for the answer to its handshake.
        if not rest and self._is_answered() and offer.is_handshake(self._state.websocket_path):
            self._become_websocket(offer)
            return None
        head = offer.declined()
        if head is None:
            self._say_farewell(partings.TUNNEL)
            return None
        self.parser = HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn's own
        return head + rest

    def _become_websocket(self, offer: Offer) -> None:
        """Hand the connection over, and be forgotten at once: the parser knows us, and we know the parser."""
        self.note_request()
        self.connections.discard(self)
        successor = BoundedWebSocket(self.config, self._state)
        self._state.book.hand_over(self, successor)
        successor.connection_made(self.transport)
        self.transport.set_protocol(successor)
        successor.begin(offer.handshake())
        self.headers, self.scope, self.parser = [], {}, None  # type: ignore[assignment, typeddict-item]  # it is over

    def _say_farewell(self, words: bytes) -> None:
        """Say why the connection ends, after the answers to what was asked whole before."""
        if self._in_head and not self._is_answered():
            self._farewell = words
        else:
            self._part(words)

    def _part(self, words: bytes) -> None:
        """Send these last bytes, and end the connection."""
        self._farewell = words
        self.transport.write(words)
        self.transport.close()

    def eof_received(self) -> bool:  # type: ignore[override]  # asyncio asks for it, uvicorn does not say
        """Take it that a sender only listens now: it gets its answers, or is told that its body has not come whole.

        :return: whether the connection stays until the last is answered; asyncio cannot do that with TLS.
        """
        if self.transport.is_closing():
            return False
        if not self._in_head and not self.pipeline:
            self._part(self._state.torn)
            return False
        if self._is_answered() or self.scheme == "https":
            return False
        self.cycle.keep_alive = False
        return True

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, unless there are too many; what comes behind a body (a trailer) is no header of its request."""
        if not self._in_head:
            return
        if len(self.headers) >= self._state.max_headers:
            self._complaint = partings.EXCESS
            raise _TooMuch
        name = name.lower()
        if name in _NOTICED:
            self._notice(name, value)
        self.headers.append((name, value))

    def _notice(self, name: bytes, value: bytes) -> None:
        """Take a header that says how the request is to be taken itself."""
        if name == b"host":
            self._hosts += 1 if value == self._last_host or _HOST.fullmatch(value) else 2
            self._last_host = value
        elif value.lower() == b"100-continue":
            self.expect_100_continue = True

    def on_headers_complete(self) -> None:
        """Note that the peer has said what it wants, unless that must be parsed once more."""
        parser: Any = self.parser
        version = parser.get_http_version()
        if version > "1.1":
            self._complaint = partings.HTTP2
            raise _TooMuch
        if self._hosts != 1 and (self._hosts or version == "1.1"):
            self._complaint = partings.NO_HOST
            raise _TooMuch
        self._hosts = 0
        if parser.should_upgrade():
            self._offers = True
            return
        if len(self.pipeline) >= MAX_PIPELINED:
            self._complaint = partings.AHEAD
            raise _TooMuch
        self.note_request()
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
        """Note that the request is complete, so that the next bytes begin another."""
        if not self._offers:
            self.end_request()

    def end_request(self) -> None:
        """Note that a request is there to its end, and let the application know."""
        self.note_end()
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Note that the peer does not read."""
        super().pause_writing()
        self._state.book.stalled(self)

    def resume_writing(self) -> None:
        """Note that the peer reads again."""
        super().resume_writing()
        self._state.book.flowing(self)
