"""Deadlines that are all the same time away: a FIFO, so that one alarm for the first serves them all."""

from __future__ import annotations

from collections import deque

from tocsin.protocol.delivery import Tracked

_COMPACT_FROM = 1024  # entries; below that, what was stopped may stay until its turn comes


class Deadlines:
    """A queue of deadlines, each ``length`` seconds after its start.

    A payload's ``deadline`` says which of its entries is in force: one that was stopped or started anew is passed over
    when its turn comes, so that stopping costs nothing.
    """

    def __init__(self, length: float) -> None:
        self._length = length
        self._fifo: deque[tuple[float, Tracked]] = deque()
        self._limit = _COMPACT_FROM

    def __len__(self) -> int:
        return len(self._fifo)

    def start(self, tracked: Tracked, now: float) -> None:
        """Give a payload its deadline."""
        tracked.deadline = now + self._length
        self._fifo.append((tracked.deadline, tracked))
        if len(self._fifo) > self._limit:
            self._fifo = deque(entry for entry in self._fifo if entry[1].deadline == entry[0])
            self._limit = max(_COMPACT_FROM, 2 * len(self._fifo))

    def next(self) -> float | None:
        """Return the earliest deadline in force, or None."""
        while self._fifo and self._fifo[0][1].deadline != self._fifo[0][0]:
            self._fifo.popleft()
        return self._fifo[0][0] if self._fifo else None

    def take_due(self, now: float) -> list[Tracked]:
        """Return the payloads whose deadline has come; they have none any more."""
        due: list[Tracked] = []
        while (first := self.next()) is not None and first <= now:
            _, tracked = self._fifo.popleft()
            tracked.deadline = 0.0
            due.append(tracked)
        return due
