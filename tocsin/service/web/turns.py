"""The requests of one connection that are not answered yet: one has its turn, the others wait in the order in which they came."""

from __future__ import annotations

import logging
import traceback
from collections import deque

from tocsin.service.web.exchanges import Exchange, OpenExchange, Request, answer_failure
from tocsin.service.web.shared_state import SharedState

logger = logging.getLogger(__name__)


class _Waiting:
    """A request that was sent ahead of the answer to another, as far as it has come."""

    __slots__ = ("is_whole", "parts", "request")

    def __init__(self, request: Request) -> None:
        self.request = request
        self.parts: list[bytes] = []
        self.is_whole = False


class Turns:
    """Begins one exchange after the other.

    :param open_exchange: begins to answer a request.
    :param shared: counts those that are being answered.
    """

    __slots__ = ("_exchange", "_open_exchange", "_shared", "_waiting", "request")

    def __init__(self, open_exchange: OpenExchange, shared: SharedState) -> None:
        self._open_exchange = open_exchange
        self._shared = shared
        self.request: Request | None = None
        """The one whose turn it is; None where all is answered."""
        self._exchange: Exchange | None = None
        self._waiting: deque[_Waiting] | None = None  # most senders wait for each answer: then there is none

    @property
    def waiting(self) -> int:
        """How many requests wait for their turn."""
        return len(self._waiting) if self._waiting else 0

    @property
    def next_is_whole(self) -> bool:
        """Whether the one that waits for longest is there to its end."""
        return bool(self._waiting) and self._waiting[0].is_whole  # type: ignore[index]  # there is one

    def add(self, request: Request) -> None:
        """Take the head of a request: it has its turn, or waits for it."""
        if self.request is None:
            self.request = request
        elif self._waiting is None:
            self._waiting = deque([_Waiting(request)])
        else:
            self._waiting.append(_Waiting(request))

    def take(self, part: bytes) -> None:
        """Take a part of the body of the request that came last; what is answered already needs none."""
        if self._waiting:
            self._waiting[-1].parts.append(part)
        elif self._exchange is not None:
            self._exchange.take(part)

    def note_end(self) -> None:
        """Note that the request that came last is there to its end, if it waits."""
        if self._waiting:
            self._waiting[-1].is_whole = True

    def begin(self) -> None:
        """Begin to answer the request whose turn it is; a fault of ours is answered for, and logged."""
        request = self.request
        assert request is not None  # noqa: S101  # else it has no turn
        self._shared.busy += 1
        try:
            exchange = self._open_exchange(request)
        except Exception:  # noqa: BLE001  # the reader would take it for the sender's
            self._fail(request)
            return
        if request is self.request:  # else it is answered
            self._exchange = exchange

    def complete(self) -> None:
        """Let the exchange know that its request is there to its end."""
        request, exchange = self.request, self._exchange
        if request is not None and exchange is not None:
            try:
                exchange.complete()
            except Exception:  # noqa: BLE001  # as above
                self._fail(request)

    def linger(self) -> None:
        """Let the exchange know that its request is not."""
        if self._exchange is not None:
            self._exchange.linger()

    def flowing(self) -> None:
        """Let the exchange know that the peer reads again."""
        if self._exchange is not None:
            self._exchange.flowing()

    def finish(self) -> None:
        """Note that the request whose turn it was is answered."""
        self._shared.busy -= 1
        self.request = self._exchange = None

    def go_on(self) -> None:
        """Give the next request its turn."""
        assert self._waiting  # noqa: S101  # else there is none
        waiting = self._waiting.popleft()
        self.request = request = waiting.request
        self.begin()
        for part in waiting.parts:
            if self.request is request and self._exchange is not None:
                self._exchange.take(part)
        if self.request is request:
            if waiting.is_whole:
                self.complete()
            else:
                self.linger()

    def mark_last(self) -> None:
        """Let the answer to the request that came last say that the connection ends."""
        last = self._waiting[-1].request if self._waiting else self.request
        assert last is not None  # noqa: S101  # else all is answered
        last.keep_alive = False

    def drop_torn(self) -> None:
        """Forget the request that came last."""
        if self._waiting:
            self._waiting.pop()

    def dismiss(self) -> None:
        """Forget all, and let the exchange know that its peer has gone."""
        exchange = self._exchange
        if self.request is not None:
            self.finish()
        self._waiting = None
        if exchange is not None:
            exchange.dismiss()

    def _fail(self, request: Request) -> None:
        trace = traceback.format_exc()
        self._shared.recurring.log(logger, logging.ERROR, trace, "answering a request failed: %s", trace)
        answer_failure(request)
