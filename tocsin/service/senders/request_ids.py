"""What tells a request from all others: its id, its trace and its correlation vector."""

from __future__ import annotations

import os
from typing import Final

from tocsin.protocol.service.wns import VECTOR_BYTES, correlation_vector, new_vectors

_AT_ONCE: Final = 64  # requests that are given theirs at a time, which costs each a tenth
_BYTES: Final = 8  # of an id, which is their digits
_CUT: Final = b"\0"  # between the headers of two answers


class RequestIds:
    """Gives each request its own."""

    def __init__(self) -> None:
        start = os.urandom(4).hex()  # tells the service's starts apart in what senders report
        self._trace = f"{start}-%s"
        self._lines = f"X-WNS-Msg-ID: %s\r\nX-WNS-Debug-Trace: {self._trace}\r\nMS-CV: %s\r\n"
        self._between = self._lines.encode().split(b"%s")
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
        """Make what some requests are told who send no vector: each step for all of them."""
        ids = os.urandom(_AT_ONCE * _BYTES).hex(" ", _BYTES).upper()
        begin, behind_id, behind_trace, end = self._between
        parts = [begin, b"", behind_id, b"", behind_trace, b"", end, _CUT] * _AT_ONCE
        parts[1::8] = parts[3::8] = ids.encode().split()
        parts[5::8] = new_vectors(os.urandom(_AT_ONCE * VECTOR_BYTES))
        *headers, _ = b"".join(parts).split(_CUT)  # behind the last cut is nothing
        return list(zip(ids.split(), headers, strict=True))
