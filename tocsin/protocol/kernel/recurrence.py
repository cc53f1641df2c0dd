"""Recurring events are logged once: the first at once, then once an interval how often they came since."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Generic, NamedTuple, TypeVar

from attrs import define

Words = TypeVar("Words")


@define
class _Said(Generic[Words]):
    """When something was last said, in which words, and how often it came since."""

    moment: float
    words: Words
    again: int = 0


class Repeats(NamedTuple, Generic[Words]):
    """What came again since it was last said: how often, within how many seconds; without words, various things."""

    words: Words | None
    again: int
    seconds: float


class Recurrences(Generic[Words]):
    """Decides what is said now; moments are seconds on a clock that never goes back.

    :param interval: seconds from one saying of the same thing to the next.
    :param most: things that are remembered at a time; what would be one more is counted, together with all such.
    """

    def __init__(self, interval: float, most: int) -> None:
        self._interval = interval
        self._most = most
        self._said: dict[Hashable, _Said[Words]] = {}  # in the order of their moments
        self._others: _Said[None] | None = None

    def note(self, thing: Hashable, words: Words, now: float) -> bool:
        """Note that something has come; tell whether it is to be said now."""
        said = self._said.get(thing)
        if said is not None:
            said.again += 1
            return False
        if len(self._said) < self._most:
            self._said[thing] = _Said(now, words)
            return True
        if self._others is None:
            self._others = _Said(now, None)
        self._others.again += 1
        return False

    @property
    def remembers_any(self) -> bool:
        """Whether there is something that may become due, or is to be forgotten."""
        return bool(self._said) or self._others is not None

    def due(self, now: float) -> Iterator[Repeats[Words]]:
        """Give what came again and whose time has come; what did not come again is forgotten, and new when it comes."""
        while self._said:
            thing, said = next(iter(self._said.items()))
            if now - said.moment < self._interval:
                break
            del self._said[thing]
            if said.again:
                self._said[thing] = _Said(now, said.words)
                yield Repeats(said.words, said.again, now - said.moment)
        others = self._others
        if others is not None and now - others.moment >= self._interval:
            self._others = None
            yield Repeats(None, others.again, now - others.moment)

    def rest(self, now: float) -> Iterator[Repeats[Words]]:
        """Give what came again, whether its time has come or not, and forget everything."""
        for said in (*self._said.values(), *([self._others] if self._others is not None else ())):
            if said.again:
                yield Repeats(said.words, said.again, now - said.moment)
        self._said.clear()
        self._others = None
