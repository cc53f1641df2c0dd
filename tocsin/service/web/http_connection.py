"""A connection that speaks HTTP: bounded, never waited for for long, and without an access log: the target of a post is a secret.

Its rules are the table of ``tocsin.protocol.service.http_connection``. Here are the bytes, the timers, and the requests that wait.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, ClassVar, Final, cast

from websockets.http11 import Request as Handshake

from tocsin.protocol.kernel.machine import step
from tocsin.protocol.service.http_connection import QUIET, READING, TABLE, Effect, Event, Phase
from tocsin.service.web import partings
from tocsin.service.web.addresses import is_secure, local_address, remote_address
from tocsin.service.web.bounded_websocket import BoundedWebSocket
from tocsin.service.web.door import Handshake as Making
from tocsin.service.web.exchanges import OpenExchange, Request
from tocsin.service.web.request_reader import RequestReader, Unreadable
from tocsin.service.web.shared_state import SharedState
from tocsin.service.web.turns import Turns

MAX_REST: Final = 1024 * 1024
"""Bytes behind a request's headers that are read past at most; a sender of more is cut off."""

MAX_PIPELINED: Final = 8
"""Requests that a sender may have sent before the first is answered; one that waits for its answer sends none."""

# Members that every request meets: up to Python 3.11 looking one up in its class costs as much as a step.
_ANSWERED, _HEAD, _WHOLE = Event.ANSWERED, Event.HEAD, Event.WHOLE
_TAKING = Phase.TAKING


class HttpConnection(asyncio.Protocol):
    """One connection.

    :param open_exchange: begins to answer a request.
    """

    __slots__ = (
        "_bytes", "_farewell", "_idle_since", "_loop", "_phase", "_reader", "_reads", "_timer", "_turns", "_writable",
        "client", "handshake", "is_secure", "server", "shared", "transport"
    )  # fmt: skip

    transport: asyncio.Transport

    def __init__(self, shared: SharedState, open_exchange: OpenExchange) -> None:
        self.shared = shared
        self.transport = None  # type: ignore[assignment]  # until it is made
        self.handshake: Making | None = None
        """Where the connection is made."""
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int | None] | None = None
        self.is_secure = False
        self._writable = True
        self._turns = Turns(open_exchange, shared)
        self._loop = asyncio.get_running_loop()
        self._phase = Phase.AWAITED
        self._reader: RequestReader | None = RequestReader(self, shared)
        self._bytes = 0  # since the last head or request that ended
        self._reads = True
        self._farewell = b""  # what is said last
        self._idle_since = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # From the transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Note who is there."""
        self.transport = cast(asyncio.Transport, transport)  # of a stream
        self.client, self.server = remote_address(self.transport), local_address(self.transport)
        self.is_secure = is_secure(self.transport)
        self.shared.connections.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the connection."""
        del exc
        self.shared.book.left(self)
        self.shared.connections.discard(self)
        if self._timer is not None:
            self._timer.cancel()
        self._step(Event.LOST)
        self._reader = None  # it knows us, and we know it

    def data_received(self, data: bytes) -> None:
        """Read a chunk, and see that it does not become too much."""
        reader = self._reader
        if self._phase not in READING or reader is None:
            return
        before = self._bytes
        self._bytes = before + len(data)
        try:
            reader.feed(data)
        except Unreadable as wrong:
            self._complain(wrong.words)
            return
        if self._bytes:
            self._note_unfinished()
        elif before:
            self.shared.book.hold(self, 0)
        if self._phase is _TAKING:
            self._turns.linger()

    def _note_unfinished(self) -> None:
        """See what has come since the last head or request that ended."""
        match self._phase:
            case Phase.PASSING:
                self._idle_since = self._loop.time()
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
        return self._phase is Phase.LAST and not self.is_secure

    def pause_writing(self) -> None:
        """Note that the peer does not read; until it does, nothing that would be answered is read from it."""
        self._writable = False
        self.shared.book.stalled(self)
        self._read_or_not()

    def resume_writing(self) -> None:
        """Note that the peer reads again."""
        self._writable = True
        self.shared.book.flowing(self)
        self._read_or_not()
        self._turns.flowing()

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
        if self._turns.waiting >= MAX_PIPELINED:
            raise Unreadable(partings.AHEAD)
        self._bytes = 0
        self._turns.add(request)
        self._step(_HEAD)

    def take_part(self, part: bytes) -> None:
        """Take a part of a body."""
        self._turns.take(part)

    def take_end(self) -> None:
        """Note that a request is there to its end."""
        self._bytes = 0
        self._turns.note_end()
        if self._phase in READING:  # else its answer was the last
            self._step(_WHOLE)

    def may_upgrade(self) -> bool:
        """Tell whether everything is answered that was asked."""
        return self._turns.request is None

    def upgrade(self, handshake: Handshake) -> None:
        """Hand the connection over, and be forgotten at once."""
        self._bytes = 0
        self._step(Event.UPGRADED)
        cast(BoundedWebSocket, self.transport.get_protocol()).begin(handshake)

    # From what answers

    @property
    def is_writable(self) -> bool:
        """Whether the peer reads what it is sent."""
        return self._writable

    def write(self, request: Request, data: bytes) -> None:
        """Send a part of an answer."""
        if request is self._turns.request:
            self.transport.write(data)

    def answer(self, request: Request, data: bytes) -> None:
        """Send the whole answer."""
        if request is self._turns.request:
            self.transport.write(data)
            self.finish(request)

    def finish(self, request: Request) -> None:
        """Note that a request is answered."""
        turns = self._turns
        if request is not turns.request:
            return
        turns.finish()
        if not request.keep_alive:
            self._step(Event.ANSWERED_LAST)
        elif turns.waiting:
            self._step(Event.TURN_OF_WHOLE if turns.next_is_whole else Event.TURN_OF_COMING)
        else:
            self._step(_ANSWERED)

    def hold_back(self, request: Request) -> None:
        """Read no more for now."""
        if request is self._turns.request:
            self._pause()

    def go_on(self, request: Request) -> None:
        """Read on."""
        if request is self._turns.request:
            self._read_or_not()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task, which the server waits for, and cancels, when it leaves."""
        self.shared.start(work)

    # From the table

    def _step(self, event: Event) -> None:
        self._phase, effects = step(TABLE, self._phase, event)
        for effect in effects:
            self._PERFORM[effect](self)

    def _next(self) -> None:
        if not self.transport.is_closing():
            self._turns.go_on()
            self._read_or_not()

    def _rest(self) -> None:
        """Begin to be idle."""
        self._idle_since = self._loop.time()
        if self._timer is None:
            self._timer = self._loop.call_later(self.shared.idle_timeout, self._look_if_idle)
        if not self._reads:
            self._read_or_not()

    def _look_if_idle(self) -> None:
        """Close a connection that has been idle for long: one timer sees to that, rather than one for each answer."""
        self._timer = None
        if self._phase not in QUIET:  # the end of what it is busy with will set the timer
            return
        left = self._idle_since + self.shared.idle_timeout - self._loop.time()
        if left > 0:
            self._timer = self._loop.call_later(left, self._look_if_idle)
        else:
            self._step(Event.EXPIRED)

    def _pause(self) -> None:
        if self._reads:
            self._reads = False
            self.transport.pause_reading()

    def _read_or_not(self) -> None:
        """Read where the peer reads too, and no request waits."""
        reads = self._writable and not self._turns.waiting
        if reads is not self._reads and self._phase in READING and not self.transport.is_closing():
            if reads:
                self._reads = True
                self.transport.resume_reading()
            else:
                self._pause()

    def _part(self) -> None:
        if self._farewell:
            self.transport.write(self._farewell)
        self.transport.close()

    def _hand_over(self) -> None:
        self.shared.connections.discard(self)
        successor = BoundedWebSocket(self.shared)
        self.shared.book.hand_over(self, successor)
        successor.connection_made(self.transport)
        self.transport.set_protocol(successor)
        self._reader = None  # it knows us, and we know it
        if self._timer is not None:
            self._timer.cancel()

    _PERFORM: ClassVar[dict[Effect, Callable[[HttpConnection], object]]] = {
        Effect.WATCH: lambda self: self.shared.book.silent(self),
        Effect.HEARD: lambda self: self.shared.book.heard(self),
        Effect.BEGIN: lambda self: self._turns.begin(),
        Effect.QUEUE: _read_or_not,
        Effect.PAUSE: _pause,
        Effect.COMPLETE: lambda self: self._turns.complete(),
        Effect.NEXT: _next,
        Effect.REST: _rest,
        Effect.MARK_LAST: lambda self: self._turns.mark_last(),
        Effect.TEAR: lambda self: setattr(self, "_farewell", self.shared.torn),
        Effect.DROP_TORN: lambda self: self._turns.drop_torn(),
        Effect.DISMISS: lambda self: self._turns.dismiss(),
        Effect.PART: _part,
        Effect.ABORT: lambda self: self.transport.abort(),
        Effect.HAND_OVER: _hand_over,
    }
