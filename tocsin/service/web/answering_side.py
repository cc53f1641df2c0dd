"""The half of an HTTP connection that answers: one request has its turn, others wait in the order in which they came."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import traceback
from abc import abstractmethod
from collections import deque
from collections.abc import Coroutine
from typing import Any

from tocsin.protocol.network.http_connection import READING, Event, Phase
from tocsin.service.web.exchanges import OpenExchange, Request, RequestExchange, answer_failure
from tocsin.service.web.shared_state import SharedState
from tocsin.service.web.transport_ends import close

_ANSWERED = Event.ANSWERED  # up to Python 3.11 looking it up in its class costs as much as a step

logger = logging.getLogger(__name__)


class WaitingRequest:
    """A request that was sent ahead of the answer to another, as far as it has come."""

    __slots__ = ("is_whole", "parts", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.parts: list[bytes] = []
        self.is_whole = False


class AnsweringSide:
    """What a connection that speaks HTTP is to those who answer, does with the requests that it has read, and says last.

    It is a half of :class:`HttpConnection`, rather than a part, because each call between the two would cost every request.

    :param open_exchange: begins to answer a request.
    """

    __slots__ = (
        "_bytes", "_exchange", "_farewell", "_open_exchange", "_phase", "_reads", "_request", "_waiting", "client", "is_secure",
        "is_writable", "server", "shared", "transport"
    )  # fmt: skip

    def __init__(self, shared: SharedState, open_exchange: OpenExchange) -> None:
        self.shared = shared
        self.transport: asyncio.Transport = None  # type: ignore[assignment]  # until it is made
        self.client: tuple[str, int] | None = None
        self.server: tuple[str, int] | None = None
        self.is_secure = False
        self.is_writable = True
        self._open_exchange = open_exchange
        self._phase = Phase.AWAITED
        self._request: Request | None = None  # the one whose turn it is; none where all is answered
        self._exchange: RequestExchange | None = None  # what answers it
        self._waiting: deque[WaitingRequest] | None = None  # most senders wait for each answer: then there is none
        self._reads = True
        self._bytes = 0  # that have come since the last head or request that ended, or since what was said last
        self._farewell = b""  # what is said last

    @abstractmethod
    def _step(self, event: Event) -> None:
        """Do what the table says."""

    @abstractmethod
    def drop(self) -> None:
        """End the connection at once."""

    # From the reader

    def take_part(self, part: bytes) -> None:
        """Take a part of the body of the request that came last; what is answered already needs none."""
        if self._waiting:
            self._waiting[-1].parts.append(part)
        elif self._exchange is not None:
            self._exchange.take(part)

    # From what answers

    def write(self, request: Request, data: bytes) -> None:
        """Send a part of an answer."""
        if request is self._request and not self.transport.is_closing():
            self.transport.write(data)

    def answer(self, request: Request, data: bytes) -> None:
        """Send the rest of the answer, or the whole, and note that the request is answered."""
        if request is not self._request:
            return
        if not self.transport.is_closing():
            self.transport.write(data)
        self._request = self._exchange = None
        self.shared.busy -= 1
        if not request.keep_alive:
            self._step(Event.ANSWERED_LAST)
        elif self._waiting:
            self._step(Event.TURN_OF_WHOLE if self._waiting[0].is_whole else Event.TURN_OF_COMING)
        else:
            self._step(_ANSWERED)

    def mark_last(self) -> None:
        """Let the answer to the request that came last say that the connection ends."""
        last = self._waiting[-1].request if self._waiting else self._request
        if last is not None:  # else all is answered
            last.keep_alive = False

    def hold_back(self, request: Request) -> None:
        """Read no more for now."""
        if request is self._request:
            self._pause()

    def go_on(self, request: Request) -> None:
        """Read on."""
        if request is self._request:
            self._read_or_not()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task, which the server waits for, and cancels, when it leaves."""
        self.shared.start(work)

    # From the table

    def _begin(self) -> None:
        """Begin to answer the request whose turn it is; a fault of ours is answered for, and logged."""
        request = self._request
        assert request is not None  # noqa: S101  # else it has no turn
        self.shared.busy += 1
        try:
            exchange = self._open_exchange(request)
        except Exception:  # noqa: BLE001  # the reader would take it for the sender's
            self._fail(request)
            return
        if request is self._request:  # else it is answered
            self._exchange = exchange

    def _complete(self) -> None:
        """Let the exchange know that its request is there to its end."""
        request, exchange = self._request, self._exchange
        if request is not None and exchange is not None:
            try:
                exchange.complete()
            except Exception:  # noqa: BLE001  # as above
                self._fail(request)

    def _fail(self, request: Request) -> None:
        trace = traceback.format_exc()
        self.shared.recurring.log(logger, logging.ERROR, trace, "answering a request failed: %s", trace)
        answer_failure(request)

    def _wait(self, request: Request) -> None:
        """Let a request wait for its turn."""
        if self._waiting is None:
            self._waiting = deque()
        self._waiting.append(WaitingRequest(request))

    def _next(self) -> None:
        """Give the next request its turn."""
        if self.transport.is_closing() or not self._waiting:
            return
        waiting = self._waiting.popleft()
        self._request = request = waiting.request
        self._begin()
        for part in waiting.parts:
            if self._request is request and self._exchange is not None:
                self._exchange.take(part)
        if self._request is request and waiting.is_whole:
            self._complete()
        elif self._request is request and self._exchange is not None:
            self._exchange.await_body()
        self._read_or_not()

    def _queue(self) -> None:
        """Read no more while a request waits."""
        self._read_or_not()

    _mark_last = mark_last  # as the table names it

    def _drop_torn(self) -> None:
        """Forget the request that came last."""
        if self._waiting:
            self._waiting.pop()

    def _dismiss(self) -> None:
        """Forget all, and let the exchange know that its peer has gone."""
        exchange, self._exchange = self._exchange, None
        self.shared.busy -= self._request is not None
        self._request = self._waiting = None
        if exchange is not None:
            exchange.dismiss()

    def _pause(self) -> None:
        """Read no more for now."""
        if self._reads:
            self._reads = False
            self.transport.pause_reading()

    def _read_or_not(self) -> None:
        """Read where the peer reads too, and no request waits."""
        reads = self.is_writable and not self._waiting
        if reads is self._reads or self._phase not in READING or self.transport.is_closing():
            return
        if reads:
            self._reads = True
            self.transport.resume_reading()
        else:
            self._pause()

    def _tear(self) -> None:
        self._farewell = self.shared.torn

    def _hush(self) -> None:
        self._farewell = b""

    def _linger(self) -> None:
        self._say_farewell()
        self._bytes = 0
        # Over TLS asyncio takes what comes behind an end for an error; there the answer alone says that it is the last.
        if not self.is_secure:
            with contextlib.suppress(OSError):  # the peer has left
                self.transport.write_eof()
        if not self._reads and not self.transport.is_closing():
            self._reads = True
            self.transport.resume_reading()
        self.shared.book.parting(self)

    def _part(self) -> None:
        self._say_farewell()
        close(self.transport)
        self.shared.book.parting(self)

    def _say_farewell(self) -> None:
        words, self._farewell = self._farewell, b""
        if words and not self.transport.is_closing():
            self.transport.write(words)

    def _abort(self) -> None:
        self.transport.abort()
