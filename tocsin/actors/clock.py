"""The one seam through which actors take time."""

from __future__ import annotations

import time
from asyncio import get_running_loop
from random import Random

import anyio

from tocsin.protocol.delivery.batches import latest
from tocsin.protocol.messages import Arrivals, ChannelGranted, ConnectionUp, Message
from tocsin.protocol.platform.service_time import Mark, ServiceTime, Verdict
from tocsin.steady import steady


class LoopClock:
    """Time and chance of the running event loop; a test hands in another."""

    def __init__(self, seed: int | None = None) -> None:
        self._random = Random(seed)  # noqa: S311  # jitter, no secret

    def monotonic(self) -> float:
        """Return the event loop's time in seconds: for budgets, waits and alarms."""
        try:
            return get_running_loop().time()  # every batch asks: a tenth of the time
        except RuntimeError:  # it is another library's
            return anyio.current_time()

    def steady(self) -> float:
        """Return seconds that go by whatever the wall clock is set to, also while the machine sleeps: for moments of the service."""
        return steady()

    def wall(self) -> float:
        """Return the seconds since the epoch as this machine has them: for what it shows, and keeps over a restart."""
        return time.time()

    def fraction(self) -> float:
        """Return a random number from 0 to 1."""
        return self._random.random()


class ServiceClock:
    """The service's time as this device knows it: what judges when payloads expire and channels end.

    A platform has one. What the service says sets it at the door; the actors read it.
    """

    def __init__(self, clock: LoopClock) -> None:
        self._clock = clock
        self._time = ServiceTime.recalled(Mark(), clock.wall(), clock.steady())

    def recall(self, mark: str | None) -> None:
        """Begin with what was kept."""
        self._time = ServiceTime.recalled(Mark.parse(mark), self._clock.wall(), self._clock.steady())

    def mark(self) -> str:
        """Return what is to be kept for the next start."""
        return str(Mark(self.least(), self._clock.wall()))

    @property
    def known(self) -> bool:
        """Whether the service was heard since the start."""
        return self._time.known

    def hear(self, message: Message) -> None:
        """Take from a message what time it was at the service when it was sent, if it says so."""
        if isinstance(message, Arrivals):
            now = latest(message.sent)
        else:
            now = message.now if isinstance(message, ConnectionUp | ChannelGranted) else None
        if now is not None:
            self._time.hear(now, self._clock.steady())

    def wall(self) -> float:
        """Return the seconds since the epoch as this machine has them."""
        return self._clock.wall()

    def least(self) -> float:
        """Return what time it is at the service at least, in seconds since the epoch."""
        return self._time.least(self._clock.steady())

    def judge(self, moment: float) -> Verdict:
        """Tell whether a moment that the service has set has passed."""
        return self._time.judge(moment, self._clock.steady())

    def on_our_wall(self, moment: float) -> float:
        """Return a moment of the service as this machine's wall clock shows it if it is not set meanwhile."""
        return self._clock.wall() + moment - self._time.likely(self._clock.steady())
