"""Deadlines that are all the same time away: a FIFO, so that one alarm for the first serves them all."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar

_COMPACT_FROM = 1024  # entries; below that, what was stopped may stay until its turn comes


class Timed(Protocol):
    """What can have a deadline: on the loop's clock, 0 while none runs."""

    deadline: float


T = TypeVar("T", bound=Timed)


class Deadlines(Generic[T]):
    """A queue of deadlines, each ``length`` seconds after its start.

    The ``deadline`` of what waits says which of its entries is in force: one that was stopped or started anew is passed
    over when its turn comes, so that stopping costs nothing.
    """

    def __init__(self, length: float) -> None:
        self._length = length
        self.entries: deque[tuple[float, T]] = deque()
        """What was started, with what may have been stopped since; whether there is any is looked at after each batch."""
        self._limit = _COMPACT_FROM

    def __len__(self) -> int:
        return len(self.entries)

    def start(self, timed: T, now: float) -> None:
        """Begin a deadline."""
        self.start_all((timed,), now)

    def start_all(self, several: Iterable[T], now: float) -> None:
        """Begin the same deadline for several."""
        deadline = now + self._length
        for timed in several:
            timed.deadline = deadline
            self.entries.append((deadline, timed))
        if len(self.entries) > self._limit:
            self.entries = deque(entry for entry in self.entries if entry[1].deadline == entry[0])
            self._limit = max(_COMPACT_FROM, 2 * len(self.entries))

    def next(self) -> float | None:
        """Return the earliest deadline in force, or None."""
        while self.entries and self.entries[0][1].deadline != self.entries[0][0]:
            self.entries.popleft()
        return self.entries[0][0] if self.entries else None

    def take_due(self, now: float) -> list[T]:
        """Return those whose deadline has come; they have none any more."""
        due: list[T] = []
        while (first := self.next()) is not None and first <= now:
            _, timed = self.entries.popleft()
            timed.deadline = 0.0
            due.append(timed)
        return due
