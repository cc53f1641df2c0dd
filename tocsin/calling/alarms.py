"""The moments at which an agent has something to do by itself."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from tocsin.tasks import Signal


class Alarms:
    """Calls what is due, in the task that runs it; each name has one alarm at most.

    :param now: seconds on the event loop's clock.
    """

    def __init__(self, now: Callable[[], float] = anyio.current_time) -> None:
        self._now = now
        self._set: dict[str, tuple[float, Callable[[], None]]] = {}
        self._changed = Signal()

    def set_at(self, name: str, moment: float | None, then: Callable[[], None]) -> None:
        """Call something at a moment, in place of what has that name; None: never."""
        if moment is None:
            self._set.pop(name, None)
        else:
            self._set[name] = (moment, then)
        self._changed.set()

    def set_in(self, name: str, seconds: float, then: Callable[[], None]) -> None:
        """Call something in so many seconds, in place of what has that name."""
        self.set_at(name, self._now() + seconds, then)

    def clear(self, *names: str) -> None:
        """Call nothing of these names."""
        for name in names:
            self._set.pop(name, None)

    async def run(self) -> None:
        """Call what is due, until cancelled."""
        while True:
            for name, (moment, then) in list(self._set.items()):
                if moment <= self._now() and self._set.get(name) == (moment, then):
                    del self._set[name]
                    then()
            left = min((moment for moment, _ in self._set.values()), default=float("inf")) - self._now()
            with anyio.move_on_after(max(left, 0.0)):
                await self._changed.wait()
