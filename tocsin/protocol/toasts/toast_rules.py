"""Whether what is to be shown may be: by what the user has decided, for an app, for a type, and for all."""

from __future__ import annotations

from tocsin.protocol.errors import NotShown
from tocsin.protocol.hresult import HResult
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.values import DropReason, NotificationType


def refusal(kind: str, host: HostState, settings: AppSettings) -> tuple[DropReason, str] | None:
    """Return why what is of this type is not shown, and that in words; None where it may be."""
    if not host.notifications:
        return DropReason.NOTIFICATIONS_DISABLED, "the user has switched off notifications"
    decider = "group policy has" if settings.by_policy else "the user has"
    if not settings.notifications:
        return DropReason.NOTIFICATIONS_DISABLED, f"{decider} switched off the notifications of this app"
    if not _is_on(kind, host):
        return DropReason.TYPE_DISABLED, f"group policy forbids {kind}s"
    if not _is_on(kind, settings):
        toasts = NotificationType(kind) is NotificationType.TOAST
        words = f"{decider} switched off toasts of this app" if toasts else f"{kind}s of this app are switched off"
        return DropReason.TYPE_DISABLED, words
    return None


def check_allowed(kind: str, host: HostState) -> None:
    """See that an app may set a tile or a badge itself; what only the user does not want is no error.

    :raises NotShown: group policy forbids what is of this type (WPN_E_NOTIFICATION_TYPE_DISABLED).
    """
    if not _is_on(kind, host):
        raise NotShown(f"group policy forbids {kind}s", HResult.WPN_E_NOTIFICATION_TYPE_DISABLED)


def _is_on(kind: str, where: HostState | AppSettings) -> bool:
    by_kind = {
        NotificationType.TOAST: where.toasts,
        NotificationType.TILE: where.tiles,
        NotificationType.BADGE: where.badges,
    }
    return by_kind[NotificationType(kind)]


def is_over(moment: float | None, now: float) -> bool:
    """Tell whether a moment has come, both in seconds since the epoch; None never comes."""
    return moment is not None and moment <= now
