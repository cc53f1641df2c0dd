"""Which event in the life of a toast it is that something has happened, and where a toast stands after a restart."""

from __future__ import annotations

from tocsin.protocol.toasts.shell_toast import ToastWishes
from tocsin.protocol.toasts.toast_life import Event, Phase
from tocsin.protocol.toasts.toast_rules import is_over
from tocsin.protocol.values import DropReason, Outcome

_NO_FAILURES = frozenset({DropReason.NO_DESKTOP, DropReason.WITHDRAWN})


def event_of_arrival(
    wishes: ToastWishes, *, is_urgent: bool, quiet_hours: bool
) -> tuple[Event, DropReason | None, str] | None:
    """Decide which event keeps a toast from its turn, with the reason and that in words; None where nothing does."""
    if wishes.suppress_display:
        return Event.FILE, None, "its sender wants it kept without being shown"
    if quiet_hours and not is_urgent:
        return Event.HOLD, DropReason.QUIET_HOURS_ENTERED, "it is shown when the quiet hours end"
    return None


def event_of_failure(phase: Phase, reason: DropReason, *, is_second_try: bool, is_answered: bool) -> Event:
    """Decide which event it is that the desktop has not taken a toast.

    :param is_second_try: whether another was taken down for it already.
    :param is_answered: whether all that asked for it have their answer, as after a restart.
    """
    if reason is DropReason.SHELL_FULL and not is_second_try:
        return Event.FULL
    is_unseen = reason is DropReason.NO_DESKTOP and is_answered and phase is Phase.SENDING
    return Event.UNSEEN if is_unseen else Event.FAILED


def outcome_of_failure(reason: DropReason | None) -> Outcome:
    """Return how a toast ends that was not shown, for the reason that is told beside it."""
    return Outcome.SUPPRESSED if reason in _NO_FAILURES else Outcome.DROPPED


def event_of_closing(*, by_itself: bool, is_awaited: bool) -> Event:
    """Decide which event it is that a popup has gone.

    :param by_itself: whether the desktop has taken it down, and not its user.
    :param is_awaited: whether any still waits to hear that the toast is shown: it is another one then than that of the popup.
    """
    return Event.LEFT_SCREEN if by_itself or is_awaited else Event.DISMISSED


def seconds_on_screen(seconds: float | None, expires: float | None, now: float) -> float | None:
    """Return for how many seconds from now a toast is on the screen; None for as long as nothing takes it down.

    :param seconds: how long it would be; None as above.
    :param expires: when it is of no use any more, ``now`` what time it is, in seconds since the epoch.
    """
    if expires is None:
        return seconds
    left = max(0.0, expires - now)
    return left if seconds is None else min(seconds, left)


def phase_after_restart(
    *, is_of_other_boot: bool, is_held: bool, until: float | None, expires: float | None, now: float
) -> Phase:
    """Return where a toast stands that was stored: GONE where it is not to be kept, WAITING where it is shown again.

    :param is_of_other_boot: whether it should not outlive a run of the system that is over.
    :param until: when it leaves the screen, 0 where it is not there, None where it stays; all times in seconds since the epoch.
    """
    if is_of_other_boot or is_over(expires, now):
        return Phase.GONE
    if is_held:
        return Phase.HELD
    return Phase.KEPT if is_over(until, now) else Phase.WAITING
