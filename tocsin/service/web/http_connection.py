"""A connection that speaks HTTP: bounded, never waited for for long, and without an access log: the target of a post is a secret.

Its rules are the table of ``tocsin.protocol.network.http_connection``. Here are the bytes, the timers, and the requests that wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from time import monotonic
from typing import Final, cast

from httptools import HttpParserError, HttpParserUpgrade

from tocsin.protocol.kernel.machine import IllegalEvent
from tocsin.protocol.network.http_connection import COMING, PASSED_OVER, QUIET, READING, TABLE, Event, Phase
from tocsin.service.web import partings
from tocsin.service.web.answering_side import AnsweringSide
from tocsin.service.web.bounded_websocket import BoundedWebSocket
from tocsin.service.web.door import Handshake
from tocsin.service.web.exchanges import OpenExchange, Request
from tocsin.service.web.headers import RawHeaders
from tocsin.service.web.request_reader import RequestReader, Unreadable
from tocsin.service.web.shared_state import SharedState
from tocsin.service.web.transport_ends import is_secure, local_address, release, remote_address
from tocsin.service.web.websocket import OpenWebSocket

MAX_REST: Final = 1024 * 1024
"""Bytes behind a request's headers, or behind the last words, that are read past at most; a sender of more is cut off."""

MAX_PIPELINED: Final = 8
"""Requests that a sender may have sent before the first is answered, however soon that is; one that waits for its answer sends none."""

_UNTOLD: Final = 16  # bytes of a head that has begun, of which the parser does not tell yet: its method

# Members that every request meets: up to Python 3.11 looking one up in its class costs as much as a step.
_HEAD, _WHOLE = Event.HEAD, Event.WHOLE
_TAKING = Phase.TAKING


class HttpConnection(AnsweringSide, asyncio.BufferedProtocol):
    """One connection.

    :param open_exchange: begins to answer a request.
    """

    __slots__ = ("_heads", "_idle_since", "_loop", "_reader", "_timer", "handshake")

    def __init__(self, shared: SharedState, open_exchange: OpenExchange) -> None:
        super().__init__(shared, open_exchange)
        self.handshake: Handshake | None = None
        """Where the connection is made."""
        self._loop = asyncio.get_running_loop()
        self._reader: RequestReader | None = None  # until it is made, and once it has ended
        self._heads = 0  # that ended in what was read last
        self._idle_since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who is there."""
        self.transport = cast(asyncio.Transport, transport)  # of a stream
        self.client, self.server = remote_address(self.transport), local_address(self.transport)
        self.is_secure = is_secure(self.transport)
        self._reader = RequestReader(self, self.shared)
        self.shared.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        del exc
        self.shared.book.left(self)
        self.shared.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._step(Event.LOST)
        release(self.transport)
        self._let_go_of_reader()

    def _let_go_of_reader(self) -> None:
        """Know it no more, as it knows this connection: neither is to wait for the garbage collector."""
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.close()

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer to read into; all connections share one, since its bytes are parsed at once."""
        del sizehint
        return self.shared.heads

    def buffer_updated(self, nbytes: int) -> None:
        """Read what came, and see that it does not become too much."""
        reader = self._reader
        if self._phase not in READING or reader is None:
            self._read_past(nbytes)
            return
        self._heads = 0
        before = self._bytes
        self._bytes = before + nbytes
        if self._bytes > self.shared.max_head - _UNTOLD:
            reader.measures = True
        came = self.shared.heads[:nbytes]
        try:
            reader.parser.feed_data(came)
        except (HttpParserUpgrade, HttpParserError) as stopped:
            try:
                reader.read_on(bytes(came), stopped)
            except Unreadable as wrong:
                self._complain(wrong.words)
                return
        if self._bytes:
            self._note_unfinished()
        else:
            if before:
                self.shared.book.hold(self, 0)
            if reader.fields is not None:  # what a head has begun with behind something else is not counted
                reader.measures = True
        if self._phase is _TAKING and self._exchange is not None:
            self._exchange.await_body()

    def _read_past(self, nbytes: int) -> None:
        """Count what comes behind the last that is read."""
        if self._phase in PASSED_OVER:
            self._bytes += nbytes
            if self._bytes > MAX_REST:
                self._step(Event.FLOOD)

    def _note_unfinished(self) -> None:
        """See what has come since the last head or request that ended."""
        match self._phase:
            case Phase.PASSING:
                self._idle_since = monotonic()
                if self._bytes > MAX_REST:
                    self._step(Event.FLOOD)
            case Phase.TAKING if self._bytes > MAX_REST:
                self._step(Event.FLOOD)
            case Phase.AWAITED | Phase.QUIET | Phase.ANSWERING if self._bytes > self.shared.max_head:
                self._complain(partings.EXCESS)
            case Phase.AWAITED | Phase.QUIET | Phase.ANSWERING:
                self.shared.book.hold(self, self._bytes)
                self._step(Event.BEGUN)
            case _:
                pass

    def _complain(self, words: bytes) -> None:
        """Let that be the last that the peer is told."""
        if self._phase in READING:
            self._farewell = words
            self._step(Event.WRONG)

    def eof_received(self) -> bool:
        """Take it that a sender only listens now: it gets its answers, or is told that its body has not come whole.

        :return: whether the connection stays until the last is answered; asyncio cannot do that with TLS.
        """
        self._step(Event.HALF_CLOSED)
        stays = self._phase is Phase.LAST and not self.is_secure
        if not stays:
            self.shared.book.parting(self)
        return stays

    def pause_writing(self) -> None:
        """Note that the peer does not read; until it does, nothing that would be answered is read from it."""
        self.is_writable = False
        self.shared.book.stalled(self)
        self._read_or_not()

    def resume_writing(self) -> None:
        """Note that the peer reads again."""
        self.is_writable = True
        self.shared.book.flowing(self)
        self._read_or_not()
        if self._exchange is not None:
            self._exchange.flowing()

    # From the server

    def drop(self) -> None:
        """End the connection at once, also while it is made."""
        if self.transport is not None:
            self.transport.abort()
        elif self.handshake is not None:
            self.handshake.cancel()

    def give_way(self) -> None:
        """Say that there are too many connections, and end at once; what was asked for before is answered."""
        if self.transport is not None:
            if not self.transport.is_closing():
                self.transport.write(partings.BUSY)
            self.transport.abort()
        elif self.handshake is not None:
            self.handshake.give_way()

    def shutdown(self) -> None:
        """End, or end behind what is being answered."""
        self._step(Event.LEAVING)

    # From the reader

    def take_head(self, request: Request) -> None:
        """Take the head of a request.

        :raises Unreadable: too many wait before it, or none is read any more.
        """
        if self._phase not in READING:  # the answer to one before it was the last
            raise Unreadable(b"")
        self._bytes = 0
        self._heads += 1
        if self._heads > 1:
            self._look_ahead()
        if self._request is None:
            self._request = request
        else:
            self._wait(request)
        self._step(_HEAD)

    def _look_ahead(self) -> None:
        """See whether one more request of a read may be taken: others have no turn before the read ends.

        :raises Unreadable: its sender has gone, or has sent too many without waiting for answers.
        """
        if self.transport.is_closing():  # an answer to this read found no peer
            raise Unreadable(b"")
        if self._heads > 1 + MAX_PIPELINED or (self._waiting and len(self._waiting) >= MAX_PIPELINED):
            raise Unreadable(partings.AHEAD)

    def take_end(self) -> None:
        """Note that a request is there to its end."""
        self._bytes = 0
        if self._waiting:
            self._waiting[-1].is_whole = True
        if self._phase in COMING:  # else the connection is about to end
            self._step(_WHOLE)

    def may_upgrade(self) -> bool:
        """Tell whether the connection goes on, and everything is answered that was asked."""
        return (self._phase, Event.UPGRADED) in TABLE and not self.transport.is_closing()

    def upgrade(self, opening: OpenWebSocket, headers: RawHeaders) -> None:
        """Hand the connection over, and be forgotten at once."""
        self._bytes = 0
        self._step(Event.UPGRADED)
        cast(BoundedWebSocket, self.transport.get_protocol()).begin(opening, headers)

    # From the table

    def _step(self, event: Event) -> None:
        try:
            self._phase, actions = _STEPS[self._phase, event]
        except KeyError:
            raise IllegalEvent(self._phase, event) from None
        for act in actions:
            act(self)

    def _rest(self) -> None:
        """Begin to be idle."""
        self._idle_since = monotonic()
        if self._timer is None:
            self._timer = self._loop.call_later(self.shared.idle_timeout, self._look_if_idle)
        if not self._reads:
            self._read_or_not()

    def _look_if_idle(self) -> None:
        """Close a connection that has been idle for long: one timer sees to that, rather than one for each answer."""
        self._timer = None
        if self._phase not in QUIET:  # the end of what it is busy with will set the timer
            return
        left = self._idle_since + self.shared.idle_timeout - monotonic()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look_if_idle)
        else:
            self._step(Event.EXPIRED)

    def _hand_over(self) -> None:
        self.shared.connections.discard(self)
        successor = BoundedWebSocket(self.shared)
        self.shared.book.hand_over(self, successor)
        successor.connection_made(self.transport)
        self.transport.set_protocol(successor)
        self._let_go_of_reader()
        if self._timer is not None:
            self._timer.cancel()

    def _watch(self) -> None:
        self.shared.book.silent(self)

    def _heard(self) -> None:
        self.shared.book.heard(self)


# The table, each effect replaced by the method of its name, which performs it: looking that up would cost every request.
_STEPS: Final[dict[tuple[Phase, Event], tuple[Phase, tuple[Callable[[HttpConnection], None], ...]]]] = {
    pair: (after, tuple(getattr(HttpConnection, f"_{effect.name.lower()}") for effect in effects))
    for pair, (after, effects) in TABLE.items()
}
