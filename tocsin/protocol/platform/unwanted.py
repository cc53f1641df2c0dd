"""What a device does not want to be sent: by policy or by its user, for an app, for a type, or altogether.

The service is told, so that a sender hears of it. Source: "Push notification service request and response headers", ``dropped``.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Final

from attrs import frozen

from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.values import WNS_TYPES, DropReason, NotificationType

MAX_NAMES: Final = 256
"""Names of apps that one device may give at a time; a service closes the connection of a device that gives more."""

MAX_NAMES_BYTES: Final = 32 * 1024
"""Bytes that they may have together in UTF-8, so that one frame holds them."""


@frozen
class Unwanted:
    """All of it; what names no app holds for all of them."""

    everything: bool = False
    """Whether group policy forbids notifications from the network."""
    types: tuple[NotificationType, ...] = ()
    apps: tuple[str, ...] = ()
    """Apps whose notifications are off, of every type."""
    toasts: tuple[str, ...] = ()
    """Apps whose toasts are off; so of tiles and badges."""
    tiles: tuple[str, ...] = ()
    badges: tuple[str, ...] = ()

    def reason(self, app: str, kind: NotificationType) -> DropReason | None:
        """Return why what is of this type is not wanted for an app; None where it is. A message of Web Push is a raw one."""
        if self.everything:
            return DropReason.CLOUD_DISABLED
        if app in self.apps:
            return DropReason.NOTIFICATIONS_DISABLED
        counts_as = NotificationType.RAW if kind is NotificationType.PUSH else kind
        if counts_as in self.types or app in self._of(kind):
            return DropReason.TYPE_DISABLED
        return None

    @property
    def names(self) -> Iterable[str]:
        """All apps that it names, as often as it does."""
        return chain(self.apps, self.toasts, self.tiles, self.badges)

    @property
    def fault(self) -> str:
        """Say what is wrong with one that is too long; nothing for one that is within its bounds."""
        count, size = len([*self.names]), _size(self.names)
        if count <= MAX_NAMES and size <= MAX_NAMES_BYTES and len(self.types) <= len(WNS_TYPES):
            return ""
        return (
            f"{count} names of apps with {size} bytes are unwanted, and {len(self.types)} types: at most {MAX_NAMES}"
            f" names may be, with {MAX_NAMES_BYTES} bytes, and each type once"
        )

    def _of(self, kind: NotificationType) -> tuple[str, ...]:
        return {
            NotificationType.TOAST: self.toasts,
            NotificationType.TILE: self.tiles,
            NotificationType.BADGE: self.badges,
        }.get(kind, ())


NOTHING: Final = Unwanted()
"""Of a device that wants whatever comes."""


def unwanted_of(host: HostState, apps: Iterable[tuple[str, AppSettings]]) -> Unwanted:
    """Return what a machine in this state, with these apps, does not want, within the bounds.

    Apps for which there is no room are left out: what comes for them is dropped on the device.
    """
    kinds = NotificationType.TOAST, NotificationType.TILE, NotificationType.BADGE
    shown = dict(zip(kinds, (host.toasts, host.tiles, host.badges), strict=True))
    named: dict[str, list[str]] = {"apps": [], "toasts": [], "tiles": [], "badges": []}
    count = size = 0
    for app, settings in apps:
        off = [name for name in ("toasts", "tiles", "badges") if not getattr(settings, name)]
        for name in off if settings.notifications else ["apps"]:
            count, size = count + 1, size + _size([app])
            if count > MAX_NAMES or size > MAX_NAMES_BYTES:
                break
            named[name].append(app)
    return Unwanted(
        not host.cloud_notifications,
        tuple(kind for kind in kinds if not (shown[kind] and host.notifications)),
        **{name: tuple(apps) for name, apps in named.items()},
    )


def _size(names: Iterable[str]) -> int:
    return sum(len(each.encode(errors="backslashreplace")) for each in names)
