"""What tells a request from all others: its id, its trace and its correlation vector."""

from __future__ import annotations

import os
from itertools import chain
from typing import Final

from tocsin.protocol.service.wns import VECTOR_ENTROPY, correlation_vector, new_vectors

_AT_ONCE: Final = 64  # requests that are given theirs at a time, which costs each a quarter
_DIGITS: Final = 16  # of an id


class RequestIds:
    """Gives each request its own."""

    def __init__(self) -> None:
        start = os.urandom(4).hex()  # tells the service's starts apart in what senders report
        self._trace = f"{start}-%s"
        self._lines = f"X-WNS-Msg-ID: %s\r\nX-WNS-Debug-Trace: {self._trace}\r\nMS-CV: %s\r\n"
        self._made: list[tuple[str, bytes]] = []

    def next(self, vector: str | None) -> tuple[str, bytes]:
        """Give a request an id, and the headers of its answer that say so; a correlation vector that its sender has sent is extended."""
        if not self._made:
            self._made = self._make()
        made = self._made.pop()
        if vector is None:
            return made
        id, _ = made  # noqa: A001 - the field's name
        return id, (self._lines % (id, id, correlation_vector(vector, os.urandom(16)))).encode()

    def trace_of(self, id: str) -> str:  # noqa: A002 - the field's name
        """Return the trace of a request, which names this start of the service too."""
        return self._trace % id

    def _make(self) -> list[tuple[str, bytes]]:
        """Make what some requests are told who send no vector; all headers are as long, so they are written at once."""
        digits = os.urandom(_AT_ONCE * _DIGITS // 2).hex().upper()
        ids = [digits[at : at + _DIGITS] for at in range(0, len(digits), _DIGITS)]
        vectors = new_vectors(os.urandom(_AT_ONCE * VECTOR_ENTROPY))
        written = (self._lines * _AT_ONCE % tuple(chain.from_iterable(zip(ids, ids, vectors, strict=True)))).encode()
        size = len(written) // _AT_ONCE
        return [(id, written[number * size : (number + 1) * size]) for number, id in enumerate(ids)]  # noqa: A001 - as above
