"""Many things, each with a moment of its own at which something is due: the next of them, and those that have come."""

from __future__ import annotations

from collections.abc import Hashable
from heapq import heapify, heappop, heappush
from itertools import count
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

_COMPACT_FROM: Final = 1_024  # entries; below that, what was put off may stay until its turn comes


class Moments(Generic[K]):
    """By what is due, when; each has one moment at most."""

    def __init__(self) -> None:
        self._at: dict[K, float] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._ties = count()

    def set(self, key: K, at: float | None) -> None:
        """Let something be due at a moment, instead of any moment set before; None: not at all."""
        if self._at.get(key) == at:
            return
        if at is None:
            del self._at[key]
            return
        self._at[key] = at
        heappush(self._heap, (at, next(self._ties), key))
        if len(self._heap) > _COMPACT_FROM + 2 * len(self._at):
            self._heap = [(at, next(self._ties), key) for key, at in self._at.items()]
            heapify(self._heap)

    def next(self) -> float | None:
        """Return the earliest moment; None where there is none."""
        while self._heap and self._at.get(self._heap[0][2]) != self._heap[0][0]:
            heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: float) -> list[K]:
        """Return those whose moment has come, the earliest first; they stay due until they are set anew."""
        come: dict[K, tuple[float, int, K]] = {}
        while (first := self.next()) is not None and first <= now:
            entry = heappop(self._heap)
            come.setdefault(entry[2], entry)
        for entry in come.values():
            heappush(self._heap, entry)
        return list(come)
