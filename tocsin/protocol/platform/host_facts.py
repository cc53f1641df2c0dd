"""What sensors tell of the machine, and what follows from it for the state that payloads are judged by.

What no sensor knows is None. Then an app or a test may say it, or else the default of ``HostState`` is assumed: all is well.
"""

from __future__ import annotations

from collections.abc import Iterable

from attrs import asdict, frozen


@frozen
class HostFacts:
    """What is known of the machine; None for what is not."""

    on_battery: bool | None = None
    battery_low: bool | None = None
    """Whether the battery is so low that its user is warned, and runs the machine."""
    power_saver: bool | None = None
    """Whether the user, or the system for the user, has chosen to save power."""
    session_connected: bool | None = None
    """Whether the user of this process is logged on."""
    user_present: bool | None = None
    """Whether the user is at the machine: not idle, and the screen not locked."""
    internet: bool | None = None
    metered: bool | None = None
    """Whether the network in use costs by what goes over it."""

    def fields(self) -> dict[str, bool]:
        """Return the fields of ``HostState`` that follow from what is known."""
        saving = either(self.power_saver, self.battery_low)
        found = {
            "user_present": self.user_present,
            "internet_available": self.internet,
            "session_connected": self.session_connected,
            "free_network_available": None if self.metered is None else not self.metered,
            "background_work_cost_high": saving,
            "energy_saver": saving,
            "screen_on_or_plugged": self._screen_on_or_plugged(),
        }
        return {name: value for name, value in found.items() if value is not None}

    def _screen_on_or_plugged(self) -> bool | None:
        """No service tells whether the screen is on: that of a session that is idle or locked goes off."""
        if self.on_battery is None:
            return None
        return self.user_present if self.on_battery else True


def either(*several: bool | None) -> bool | None:
    """Return whether one of several holds; None where that depends on what is not known."""
    if any(several):
        return True
    return None if None in several else False


def merged(several: Iterable[HostFacts]) -> HostFacts:
    """Return what all sensors tell together: of each fact what the first tells that knows it."""
    found: dict[str, bool] = {}
    for facts in several:
        for name, value in asdict(facts).items():
            if value is not None:
                found.setdefault(name, value)
    return HostFacts(**found)
