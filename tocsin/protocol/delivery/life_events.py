"""Which event in a payload's life it is that something has happened, by what stands in the table of its life."""

from __future__ import annotations

from enum import Enum, auto

from tocsin.protocol.delivery.payload_life import Event, Phase
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.values import Outcome

# Members that every payload meets: up to Python 3.11 looking one up in its class costs as much as a table step.
_OFFERED, _QUEUED, _ACTIVATED = Phase.OFFERED, Phase.QUEUED, Phase.ACTIVATED
_HANDLED, _RETURNED = Outcome.HANDLED, Outcome.GIVEN_BACK
_IS_HANDLED = Event.HANDLED


class Onward(Enum):
    """Where a payload may go that the foreground has not handled."""

    NOWHERE = auto()
    BACKGROUND = auto()
    SHELL = auto()


_NO_SESSION = {
    Onward.NOWHERE: Event.NO_SESSION,
    Onward.BACKGROUND: Event.NO_SESSION_ACTIVATABLE,
    Onward.SHELL: Event.NO_SESSION_SHOWABLE,
}
_REFUSED = {
    Onward.NOWHERE: Event.REFUSED,
    Onward.BACKGROUND: Event.REFUSED_ACTIVATABLE,
    Onward.SHELL: Event.REFUSED_SHOWABLE,
}
_WITH_NO_SESSION = frozenset({Phase.QUEUED, Phase.LAUNCHING, Phase.SHOWING})
_OF_SHELL = {Outcome.SHOWN: Event.SHOWN, Outcome.SUPPRESSED: Event.SUPPRESSED, Outcome.GIVEN_BACK: Event.GIVEN_BACK}


def event_of_outcome(phase: Phase, outcome: Outcome, *, onward: Onward) -> Event | None:
    """Decide which event it is that the app is through with a payload; None where it only repeats an earlier answer.

    Handled late is handled all the same: while it waits for the background or the shell, and while it is being cut off.
    """
    if outcome == _HANDLED and phase is not _ACTIVATED:
        return _IS_HANDLED
    if outcome == _RETURNED or phase in _WITH_NO_SESSION:
        return Event.GIVEN_BACK if phase not in _WITH_NO_SESSION else None
    failed = outcome == Outcome.HANDLER_FAILED
    if phase is _ACTIVATED:
        return Event.FAILED if failed else Event.COMPLETED
    if phase is _OFFERED or (onward is Onward.SHELL and phase is not Phase.GIVING_WAY):
        return _REFUSED[onward]
    if phase in {Phase.ABORTING, Phase.ENDING, Phase.GIVING_WAY}:
        return Event.ABORTED
    return Event.FAILED if failed else Event.REFUSED


def event_of_earlier_attempt(phase: Phase) -> Event | None:
    """Decide which event it is that an earlier attempt has handled a payload; None where that is known."""
    if phase is Phase.GIVING_WAY:
        return None
    return _IS_HANDLED if phase in _WITH_NO_SESSION else Event.HANDLED_BEFORE


def event_of_showing(phase: Phase, outcome: Outcome) -> Event | None:
    """Decide which event it is that the shell is through with a payload; None where it has that no more."""
    return _OF_SHELL.get(outcome, Event.NOT_SHOWN) if phase is Phase.SHOWING else None


def event_of_absence(phase: Phase, *, onward: Onward, offerable: bool = True) -> Event | None:
    """Decide which event it is that no session was there to take a payload; None where it waits without one anyway.

    :param offerable: whether its type goes to the foreground at all; else it does not wait for a handler there.
    """
    if phase in _WITH_NO_SESSION:
        return None
    if phase in {Phase.CANCELING, Phase.ABORTING, Phase.ENDING, Phase.GIVING_WAY}:
        return Event.GIVEN_BACK
    if phase is Phase.OFFERED and not offerable:
        return _REFUSED[onward]
    return _NO_SESSION[onward] if phase is Phase.OFFERED else Event.NO_SESSION


def comes_again(*, launched: bool, retired: bool) -> bool:
    """Decide whether background work that a fence cuts off comes again to the session that has it.

    :param launched: whether its process was launched for work, and so may have no handler to take it again.
    :param retired: whether it is to have no more work.
    """
    return not (launched or retired)


MAX_CRASHES = 3
"""Sessions that may die with one payload, the last of them in the background, or processes that may be killed on their way
for it; each starts another process."""

MAX_FOREGROUND_CRASHES = 10
"""Sessions that may die with one payload, the last of them in the foreground, where those of other channels are with
handlers, too, and one of them may be the cause."""


def event_of_death(crashes: int, *, in_background: bool) -> Event:
    """Decide which event it is that a session has died while it was at work on a payload.

    :param crashes: how many sessions have died with it, this one included.
    """
    limit = MAX_CRASHES if in_background else MAX_FOREGROUND_CRASHES
    return Event.CRASHED_AGAIN if crashes >= limit else Event.GIVEN_BACK


def event_of_failed_launch(crashes: int, *, was_killed: bool) -> Event:
    """Decide which event it is that the process of a launch has not come for its payload.

    :param crashes: how many processes have died with it or on their way for it, this one included.
    :param was_killed: whether a signal has ended it: only then may the next one do better.
    """
    return Event.GIVEN_BACK if was_killed and crashes < MAX_CRASHES else Event.LAUNCH_FAILED


def event_of_grace(phase: Phase, *, launched: bool, onward: Onward = Onward.NOWHERE) -> Event:
    """Decide which event it is that the grace of work is over that was cancelled or cut off.

    :param launched: whether the agent has launched the process that has it; what else runs is never ended.
    :param onward: where it may go; what is to be shown goes to the shell, since the app does not even answer.
    """
    if onward is Onward.SHELL and phase in {Phase.ABORTING, Phase.ENDING}:
        return Event.REFUSED_SHOWABLE
    return Event.OUTLIVED if phase in {Phase.CANCELING, Phase.GIVING_WAY} and launched else Event.GRACE_OVER


def event_of_cancellation(phase: Phase, reason: CancellationReason) -> Event | None:
    """Decide which event it is that work is to be cancelled; None where there is none to cancel.

    A process that is only being started is waited for no more: the payload comes again when its conditions hold again.
    """
    if phase is Phase.LAUNCHING:
        timed_out = reason is CancellationReason.EXECUTION_TIME_EXCEEDED
        return Event.LAUNCH_TIMED_OUT if timed_out else Event.GIVEN_BACK
    return Event.CANCEL if phase in {Phase.OFFERED, Phase.ACTIVATED} else None
