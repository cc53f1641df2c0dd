"""What tells a request from all others: its id, its trace and its correlation vector."""

from __future__ import annotations

import os
from collections.abc import Callable
from time import monotonic
from typing import Final, NamedTuple

from tocsin.protocol.service.wns import correlation_vector

_AT_ONCE: Final = 64  # requests whose randomness the system is asked for at a time


class RequestId(NamedTuple):
    """A request that is being answered: its id, trace and correlation vector, and when it came on the clock."""

    id: str
    trace: str
    vector: str
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
        id, trace, entropy = self._made.pop()  # noqa: A001 - the field's name
        return _new(RequestId, (id, trace, correlation_vector(vector, entropy), self._clock()))

    def _make(self) -> list[tuple[str, str, bytes]]:
        """Make ids and traces for some requests, with the randomness of a vector each."""
        start, entropy = self._start, os.urandom(_AT_ONCE * 16)
        digits = os.urandom(_AT_ONCE * 8).hex().upper()
        return [
            (digits[at : at + 16], f"{start}-{digits[at : at + 16]}", entropy[at : at + 16])
            for at in range(0, _AT_ONCE * 16, 16)
        ]
