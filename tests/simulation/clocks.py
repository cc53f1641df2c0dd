"""The clocks of the device and of the service: one time that really passes, and what each machine makes of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

from tocsin.actors.clock import LoopClock
from tocsin.protocol.platform.service_time import Mark
from tocsin.service.registry.service_store import ServiceStore
from tocsin.service.registry.steady_clock import SteadyClock

EPOCH = 1.7e9
"""What all wall clocks say when a run begins, in seconds."""


class Time:
    """The time that really passes, in seconds since the epoch: the loop's, and what went by while the device slept."""

    def __init__(self, loop: Callable[[], float]) -> None:
        self.loop = loop
        self.slept = 0.0

    def __call__(self) -> float:
        """Tell the time."""
        return EPOCH + self.loop() + self.slept


class DeviceClock(LoopClock):
    """The device's clocks.

    ``offset`` is what its wall clock was set to, ``missed`` what its steady clock does not know of, ``boot`` where that
    began; all in seconds.
    """

    def __init__(self, time: Time) -> None:
        super().__init__(seed=0)
        self.offset = 0.0
        self.missed = 0.0
        self.boot = 0.0
        self._time = time

    def steady(self) -> float:
        """Return the seconds since it was booted."""
        return self._time() - EPOCH - self.missed - self.boot

    def wall(self) -> float:
        """Return the seconds since the epoch, as the device has them."""
        return self._time() + self.offset


class ServiceMachine:
    """The service's clocks: its wall clock is set as the device's is, its own time goes on by the code of the service."""

    def __init__(self, time: Time) -> None:
        self.offset = 0.0
        self._time = time
        self._kept: dict[str, bytes] = {}
        self.now = SteadyClock(Mark(), self._wall, self._time)

    async def restart(self) -> None:
        """Let the service stop and start again."""
        await self.now.look(cast(ServiceStore, self))
        kept = Mark.parse(self._kept["time"].decode())
        self.now = SteadyClock(kept, self._wall, self._time)

    async def set_meta(self, key: str, value: bytes) -> None:
        """Keep a value, as the service's store does."""
        self._kept[key] = value

    def _wall(self) -> float:
        return self._time() + self.offset
