"""Events of clients, agents and calls: handlers are added and removed, and called one after the other."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, Generic, TypeVar

from tocsin.api.attached import token_of
from tocsin.calling.handler_calls import HandlerCalls, Lane
from tocsin.protocol.arguments import check_callable
from tocsin.protocol.errors import NotFound

T = TypeVar("T")

Handler = Callable[[T], Awaitable[Any] | Any]
"""What an app adds to an event: sync or async, for as long as it likes; what it returns is not looked at."""


def _nothing() -> tuple[()]:
    return ()


class CallEvent(Generic[T]):
    """An event that handlers are added to.

    Each handler is called in a task of the client's: for one event after the other, in their order, and on its own: one that takes its
    time keeps no other waiting. For calls that ring it is called side by side, as they have nothing to do with each other. What
    it raises is logged and ends nothing. A handler hears of what happens after it was added; those of calls that ring hear at once
    of the calls that ring already.

    :param what: the event in words, for the log.
    :param calls: what calls the handlers.
    :param standing: what a handler that is added hears of at once.
    :param also: an event that is told of everything as well.
    :param width: for how many things at a time a handler is called, where they have nothing to do with each other.
    """

    def __init__(
        self,
        what: str,
        calls: HandlerCalls,
        standing: Callable[[], Iterable[T]] = _nothing,
        also: CallEvent[T] | None = None,
        width: int = 1,
    ) -> None:
        self._what = what
        self._calls = calls
        self._standing = standing
        self._also = also
        self._width = width
        self._handlers: tuple[tuple[int, Handler[T]], ...] = ()
        self._lanes: dict[int, Lane[T]] = {}
        self._last = 0

    def __repr__(self) -> str:
        return f"<event: {self._what}, {len(self._handlers)} handlers>"

    def add(self, handler: Handler[T]) -> int:
        """Call a handler from now on, and return the token that removes it.

        :raises InvalidArgument: it cannot be called.
        """
        check_callable(handler, f"a handler of {self._what}")
        self._last += 1
        self._handlers += ((self._last, handler),)
        lane = self._lanes[self._last] = self._calls.lane(self._what, handler, self._width)
        for args in self._standing():
            lane.call(args)
        return self._last

    def remove(self, handler: int | Handler[T]) -> None:
        """Call a handler no more, also not for what has happened before; named by its token or by itself.

        :raises InvalidArgument: it is neither.
        :raises NotFound: it is not added.
        """
        token = token_of(handler, self._handlers, self._what)
        self._handlers = tuple(each for each in self._handlers if each[0] != token)
        self._lanes.pop(token).close()

    @contextmanager
    def __call__(self, handler: Handler[T]) -> Iterator[int]:
        """Call a handler while the block runs."""
        token = self.add(handler)
        try:
            yield token
        finally:
            with suppress(NotFound):  # it was removed in the block
                self.remove(token)

    def emit(self, args: T) -> None:
        """Let all handlers be called that are added just now; not for apps."""
        for lane in tuple(self._lanes.values()):
            lane.call(args)
        if self._also is not None:
            self._also.emit(args)
