"""The battery as psutil sees it, where there is no system bus; psutil is not told of changes, so it looks when it is asked."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import anyio
import anyio.to_thread

from tocsin.host.system_bus import SystemBus
from tocsin.protocol.platform.host_facts import HostFacts

ASK_AGAIN: Final = 60.0
"""Seconds in which it looks once at most."""

LOW_PERCENT: Final = 20
"""What is left in a battery that counts as low, where no daemon says so: the default of UPower, too."""

SUPPLIES: Final = Path("/sys/class/power_supply")
EXTRA: Final = "the battery is looked at by psutil: pip install 'tocsin[desktop]'"


class BatterySensor:
    """Knows whether the machine runs on its battery, and whether that is low, at the moments at which it was asked.

    :param bus: while that is there, UPower knows better, and this sensor knows nothing.
    :param now: seconds on a clock that never goes back.
    """

    def __init__(self, bus: SystemBus | None, now: Callable[[], float] = time.monotonic) -> None:
        self.name = "psutil"
        self.standing = "not looked at yet"
        self._bus, self._now = bus, now
        self._stirred = anyio.Event()
        self._next = -math.inf

    @property
    def is_polled(self) -> bool:
        """Whether there is no bus."""
        return self._bus is None or not self._bus.is_connected

    async def run(self, tell: Callable[[HostFacts], None]) -> None:
        """Tell what it knows at once, and again when it was asked, until cancelled."""
        if self._bus is None:
            await self._watch(tell)
        else:
            with self._bus.heard_by(self):
                await self._bus.tried.wait()
                await self._watch(tell)

    async def _watch(self, tell: Callable[[HostFacts], None]) -> None:
        while True:
            self._stirred = anyio.Event()
            tell(await self._look())
            await self._stirred.wait()

    def ask(self) -> None:
        """Look, unless it was asked in the last ``ASK_AGAIN`` seconds."""
        if self._now() >= self._next and self.is_polled:
            self._next = self._now() + ASK_AGAIN
            self._stirred.set()

    def hear(self, message: Any) -> None:
        """Pass over what is said on the bus."""

    def turned(self) -> None:
        """The bus has come or gone: this sensor may know something only while it is not there."""
        self._stirred.set()

    async def _look(self) -> HostFacts:
        if not self.is_polled:
            self.standing = "not looked at: there is a system bus"
            return HostFacts()
        if sys.platform == "linux" and not has_own_battery(SUPPLIES):  # psutil takes that of a mouse for the machine's
            self.standing = "the kernel shows no battery of the machine"
            return HostFacts()
        try:
            psutil = import_module("psutil")
        except ImportError:
            self.standing = EXTRA
            return HostFacts()
        found = await anyio.to_thread.run_sync(_battery, psutil)  # some firmware takes its time
        if found is None:
            self.standing = "psutil finds no battery of the machine"
            return HostFacts()
        plugged, percent = found.power_plugged, found.percent
        self.standing = f"psutil, when it was asked last: {percent:.0f}% in the battery"
        if plugged is None:
            return HostFacts()
        return HostFacts(on_battery=not plugged, battery_low=not plugged and percent <= LOW_PERCENT)


def _battery(psutil: Any) -> Any:
    """Return the battery; None where there is none that can be read."""
    look = getattr(psutil, "sensors_battery", None)  # some systems lack it
    try:
        return None if look is None else look()
    except (OSError, RuntimeError, ValueError):  # a battery that is taken out meanwhile, a file that holds no number
        return None


def has_own_battery(supplies: Path) -> bool:
    """Tell whether a battery in this folder of the kernel's is the machine's, and not that of a device."""
    batteries = (supply for supply in supplies.glob("*") if _said(supply / "type") == "Battery")
    return any(_said(battery / "scope") != "Device" for battery in batteries)


def _said(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
