"""What a device's power state does to notifications on their way to it, by priority.

Sources: "WNS notification priorities"; for registrations of UnifiedPush, whose priority is the urgency of RFC 8030, the table of urgencies
in UnifiedPush's D-Bus specification. Battery saver counts before the screen; a device that reports nothing is plugged in.
"""

from __future__ import annotations

from enum import Enum, auto

from attrs import frozen

BATCH_TIME = 60.0
"""Seconds that a notification waits at most for others to go with; then all that wait so go together."""


class Passage(Enum):
    """What becomes of a notification for a device that is connected."""

    DELIVER = auto()
    BATCH = auto()
    """It is stored until the device's state changes, or its time is up."""
    CACHE = auto()
    """It is stored until the device's state changes."""


@frozen
class Power:
    """The power state that a device has reported; ``exempt`` names the apps that may run in battery saver."""

    screen_on_or_plugged: bool = True
    battery_saver: bool = False
    exempt: tuple[str, ...] = ()


MAX_EXEMPT = 256
"""Apps of one device that may be exempt at a time; a service closes the connection of a device that names more."""

MAX_EXEMPT_BYTES = 32 * 1024
"""Bytes that their names may have together in UTF-8, so that one frame holds them."""

PLUGGED_IN = Power()
"""The state of a device that has reported none: everything is delivered."""

_D, _B, _C = Passage.DELIVER, Passage.BATCH, Passage.CACHE
TABLE_BY_PRIORITY: dict[str, tuple[tuple[Passage, ...], tuple[Passage, ...]]] = {
    # for the priorities 1, high, to 4, very low: an app that is not exempt, one that is
    "on": ((_D, _D, _D, _D), (_D, _D, _D, _D)),
    "battery": ((_D, _B, _C, _C), (_D, _D, _D, _C)),
    "saver": ((_C, _C, _C, _C), (_D, _D, _D, _C)),
}
"""The whole table."""

TABLE_BY_URGENCY: dict[str, tuple[Passage, ...]] = {
    # for the urgencies high, normal, low and very-low, which are the priorities 1 to 4
    "on": (_D, _D, _D, _D),
    "battery": (_D, _D, _C, _C),
    "saver": (_D, _C, _C, _C),
}
"""That for registrations of UnifiedPush, exempt or not. Whether the network is metered, or which one it is, is not judged."""

UNIFIED_PUSH = "unifiedpush:"
"""What the name of an app begins with that is a registration of UnifiedPush."""


def is_unified_push(app: str) -> bool:
    """Tell whether an app is a registration of UnifiedPush."""
    return app.startswith(UNIFIED_PUSH)


def passage(power: Power, app: str, priority: int) -> Passage:
    """Look up what becomes of a notification of that app and priority, from 1, high, to 4, very low."""
    state = "saver" if power.battery_saver else "on" if power.screen_on_or_plugged else "battery"
    if is_unified_push(app):
        return TABLE_BY_URGENCY[state][priority - 1]
    return TABLE_BY_PRIORITY[state][app in power.exempt][priority - 1]
