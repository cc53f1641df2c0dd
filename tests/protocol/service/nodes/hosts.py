"""Time, machines and what waits on them: a small world in which nothing happens but what its seed says."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from itertools import count
from random import Random
from typing import Any

Resume = Callable[[Any], None]
Wait = Callable[[Resume], None]
"""Begins something, and calls back with what came of it."""

Process = Generator[Wait, Any, Any]
"""What runs on a machine: it yields what it waits for."""


class Time:
    """Virtual time, in seconds, and chance."""

    def __init__(self, seed: int) -> None:
        self.chance = Random(seed)  # noqa: S311  # not for secrets
        self.now = 0.0
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._order = count()

    def later(self, delay: float, run: Callable[[], None]) -> None:
        """Do something so many seconds from now."""
        heapq.heappush(self._heap, (self.now + delay, next(self._order), run))

    def go_on(self, until: float) -> None:
        """Let time pass."""
        while self._heap and self._heap[0][0] <= until:
            self.now, _, run = heapq.heappop(self._heap)
            run()
        self.now = until


class Host:
    """A machine's process: it may stand still, be killed, and has a steady clock that is not quite right."""

    def __init__(self, time: Time, drift: float) -> None:
        self._time = time
        self._rate = 1 + time.chance.uniform(-drift, drift)
        self._start = time.chance.uniform(0, 1e6)
        self.alive = True
        self.stalled = False
        self._held: list[Callable[[], None]] = []

    def clock(self) -> float:
        """Tell the time of its steady clock, which goes on while the process stands still."""
        return self._start + self._time.now * self._rate

    def run(self, what: Callable[[], None]) -> None:
        """Do something now; or later, or never, as its standing is."""
        if self.alive and self.stalled:
            self._held.append(what)
        elif self.alive:
            what()

    def go_on(self) -> None:
        """Do all that came while it stood still, in any order, as a loop does that wakes up."""
        self.stalled = False
        held, self._held = self._held, []
        self._time.chance.shuffle(held)
        for what in held:
            self.run(what)

    def spawn(self, process: Process, done: Resume = lambda _: None) -> None:
        """Run a process on it, and call back with what it returns."""

        def go_on(value: Any) -> None:
            try:
                wait = process.send(value)
            except StopIteration as end:
                done(end.value)
            else:
                wait(_once(lambda result: self.run(lambda: go_on(result))))

        self.run(lambda: go_on(None))

    def sleep(self, seconds: float) -> Wait:
        """Wait for so long by its own clock."""
        return lambda resume: self._time.later(max(seconds, 0.0) / self._rate, lambda: resume(None))

    def within(self, seconds: float, wait: Wait) -> Wait:
        """Wait for something, for so long at most by its own clock; then it is None."""

        def begin(resume: Resume) -> None:
            first = _once(resume)
            self.sleep(seconds)(first)
            wait(first)

        return begin


def _once(resume: Resume) -> Resume:
    """Pass on the first result, and no other."""
    done = False

    def first(result: Any) -> None:
        nonlocal done
        if not done:
            done = True
            resume(result)

    return first
