"""What tells a request from all others: its id, its trace and its correlation vector."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple

from tocsin.protocol.service.wns import correlation_vector
from tocsin.service.senders.wns_answers import identify

_AT_ONCE: Final = 64  # requests that are given their ids at a time, which costs each a third


class RequestId(NamedTuple):
    """A request that is being answered: its id and trace, the headers of every answer that say who it is, and when it came on the clock."""

    id: str
    trace: str
    headers: bytes
    began: float


_new: Final = tuple.__new__  # what a named tuple does, at a third of the cost


class RequestIds:
    """Gives each request its own.

    :param clock: seconds on a clock that never goes back.
    """

    def __init__(self, clock: Callable[[], float] = monotonic) -> None:
        self._clock = clock
        self._start = os.urandom(4).hex()  # tells the service's starts apart in what senders report
        self._made: list[tuple[str, str, bytes]] = []

    def next(self, vector: str | None) -> RequestId:
        """Give a request an id, and extend the correlation vector that its sender has sent."""
        if not self._made:
            self._made = self._make()
        id, trace, headers = self._made.pop()  # noqa: A001 - the field's name
        if vector is not None:
            headers = identify(id, trace, correlation_vector(vector, os.urandom(16)))
        return _new(RequestId, (id, trace, headers, self._clock()))

    def _make(self) -> list[tuple[str, str, bytes]]:
        """Make what some requests are told who send no vector."""
        digits, entropy = os.urandom(_AT_ONCE * 8).hex().upper(), os.urandom(_AT_ONCE * 16)
        made = []
        for at in range(0, _AT_ONCE * 16, 16):
            id = digits[at : at + 16]  # noqa: A001 - the field's name
            trace = f"{self._start}-{id}"
            made.append((id, trace, identify(id, trace, correlation_vector(None, entropy[at : at + 16]))))
        return made
