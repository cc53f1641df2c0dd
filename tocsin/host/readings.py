"""What the daemons of the system bus say, read as facts of the machine; None for what they leave open.

Seen with UPower 0.99 and 1.90, power-profiles-daemon 0.12 and 0.30; their D-Bus references say the rest.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from attrs import define

from tocsin.protocol.platform.host_facts import HostFacts

Properties = Mapping[str, Any]
"""Values of a daemon's properties by name, each of the type that it should have; what is missing is unknown."""

LOW: Final = 3
"""UPower's ``WarningLevel`` from which on its user is warned: low, critical, action; below are unknown, none, discharging."""

SAVER: Final = "power-saver"
CHECKED: Final = 4
"""NetworkManager's ``Connectivity`` of a network that reaches the internet; 1 to 3 do not, 0 is unknown."""
LOCAL: Final = 50
"""NetworkManager's ``State`` of a machine that reaches only itself; below are those without a network; 0 is unknown."""


def read_power(found: Properties) -> HostFacts:
    """Read UPower: without a battery, ``OnBattery`` is False."""
    on_battery, level = found.get("OnBattery"), found.get("WarningLevel")
    if on_battery is False:
        return HostFacts(on_battery=False, battery_low=False)
    warned = level >= LOW if level else None
    return HostFacts(on_battery=on_battery, battery_low=warned if on_battery else None)


def read_profile(found: Properties) -> HostFacts:
    """Read the power profiles; there is no field that says only whether power is saved."""
    profile = found.get("ActiveProfile")
    return HostFacts(power_saver=profile == SAVER if profile else None)


def read_network(found: Properties) -> HostFacts:
    """Read NetworkManager; ``Metered`` 1 and 3 are yes (3 by guess), 2 and 4 no, 0 says that nothing is active."""
    metered = {1: True, 2: False, 3: True, 4: False}.get(found.get("Metered", 0))
    return HostFacts(internet=_reaches_internet(found), metered=metered)


def _reaches_internet(found: Properties) -> bool | None:
    """Full connectivity proves nothing where it is not checked; that there is no network needs no check."""
    connectivity, state = found.get("Connectivity", 0), found.get("State", 0)
    if found.get("ConnectivityCheckEnabled") and connectivity:
        return bool(connectivity == CHECKED)
    return False if 0 < state <= LOCAL else None


LOGGED_OFF: Final = HostFacts(session_connected=False, user_present=False)
"""The user is not logged on, so nor at the machine."""


def read_user(found: Properties) -> HostFacts:
    """Read logind's user: one for whom processes linger is not logged on, and one who is closing not any more."""
    state = found.get("State")
    return HostFacts(session_connected=state in {"online", "active"} if state else None)


@define
class Presence:
    """Whether the user of a session is at the machine, by its hints and by the signals Lock and Unlock.

    ``LockedHint`` stays False where the locker does not tell of itself: then Lock counts, until Unlock or until the user
    is active again after having been idle.
    """

    _is_locked: bool = False
    _idle: bool = False
    _hinted: bool = False

    def hear(self, signal: str) -> None:
        """Take the signal Lock or Unlock."""
        self._is_locked = signal == "Lock"

    def read(self, found: Properties) -> bool | None:
        """Read the session as it is now; one in the background, behind another user's, has no user at the machine."""
        idle, hinted, active = found.get("IdleHint"), found.get("LockedHint"), found.get("Active")
        if (self._hinted and hinted is False) or (self._idle and idle is False and not hinted):
            self._is_locked = False
        self._idle, self._hinted = bool(idle), bool(hinted)
        if self._is_locked or hinted or active is False:
            return False
        return None if idle is None else not idle
