"""What notification daemons do each in its own way, as it was seen with them; one that is not known is taken as the standard has it.

Seen with dunst 1.9, xfce4-notifyd 0.7, notification-daemon 3.20, mate-notification-daemon 1.26 and lxqt-notificationd 1.2.
"""

from __future__ import annotations

from typing import Final

from attrs import frozen


@frozen
class DaemonTraits:
    """The ways of a daemon."""

    one_at_a_time: bool = False
    """It shows one popup, and the next when that is gone; one without a time is never gone, unless it is transient."""
    leaves_closed: bool = False
    """It says that it has closed a popup, and leaves it on the screen, where it can still be clicked and hides the next one."""
    has_buttons: bool = True
    """It draws actions as buttons; else they stand in a menu that the user has to know."""
    draws_progress: bool = True
    """It draws a bar beside the text; else the bar takes the place of title, text and buttons."""


STANDARD: Final = DaemonTraits()

TRAITS: Final = {
    ("Notification Daemon", "GNOME"): DaemonTraits(one_at_a_time=True, leaves_closed=True),
    ("dunst", "knopwob"): DaemonTraits(has_buttons=False),
    ("Xfce Notify Daemon", "Xfce"): DaemonTraits(draws_progress=False),
}
"""By the names and the vendors that they give themselves."""

_FULL_NAME: Final = "MaxNotificationsExceeded"
_FULL_WORDS: Final = "exceeded maximum number of notifications"

_ABSENT: Final = frozenset(
    {
        "org.freedesktop.DBus.Error.ServiceUnknown",
        "org.freedesktop.DBus.Error.NameHasNoOwner",
        "org.freedesktop.DBus.Error.NoReply",
        "org.freedesktop.DBus.Error.Disconnected",
    }
)
_SPAWN: Final = "org.freedesktop.DBus.Error.Spawn."


def traits_of(name: str, vendor: str) -> DaemonTraits:
    """Return the ways of a daemon, by what it says of itself."""
    return TRAITS.get((name, vendor), STANDARD)


def says_full(error: str, words: str) -> bool:
    """Tell whether an error says that there are too many popups: two daemons do, each in its own words."""
    return error.endswith(_FULL_NAME) or _FULL_WORDS in words.lower()


def says_absent(error: str) -> bool:
    """Tell whether an error says that no daemon is there."""
    return error in _ABSENT or error.startswith(_SPAWN)
