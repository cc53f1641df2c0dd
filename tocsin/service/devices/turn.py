"""What is written in one turn of the event loop: to all devices that have something to be sent, by one callback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Protocol


class WritesInTurn(Protocol):
    """A connection that may have something to send."""

    def write(self) -> None:
        """Send what there is, and what the peer can take; an error of it concerns that connection alone."""
        ...


class WritingTurn:
    """Lets connections write, each once in a turn, however much has come for it meanwhile.

    :param before: called before they do, in each turn in which one does.
    """

    def __init__(self, before: Callable[[], None] | None = None) -> None:
        self._before = before
        self._loop = asyncio.get_running_loop()
        self._writers: list[WritesInTurn] = []
        self._written: list[WritesInTurn] = []
        """Empty but for while they write; two lists, rather than one for each turn."""

    def join(self, writer: WritesInTurn) -> None:
        """Let a connection write, which has not joined since it did last."""
        if not self._writers:
            self._loop.call_soon(self._write)
        self._writers.append(writer)

    def _write(self) -> None:
        writers = self._writers
        self._writers, self._written = self._written, writers
        if self._before is not None:
            self._before()
        for writer in writers:
            writer.write()
        writers.clear()
