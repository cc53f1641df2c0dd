"""One payload's life between the router and its end: foreground, background or shell, cancellation, and the one terminal phase."""

from __future__ import annotations

from collections.abc import Mapping
from enum import auto
from typing import TypeVar

from attrs import define

from tocsin.protocol.delivery.plain_rows import PlainRow
from tocsin.protocol.kernel.machine import Label
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.values import DropReason, Outcome


class Phase(Label):
    """Where a payload stands."""

    OFFERED = auto()
    """It is with the app's foreground handlers, or in a handler queue."""
    QUEUED = auto()
    """It waits for its turn in the background, and for its conditions."""
    LAUNCHING = auto()
    """A process is being started that will do its background work."""
    ACTIVATED = auto()
    """Its background work is done by a session."""
    CANCELING = auto()
    """The app was told that the work is cancelled, and has its time of grace."""
    ABORTING = auto()
    """The time of grace is over, and the handler is being cancelled; an app that does not even answer has 5 s more."""
    ENDING = auto()
    """The same in a process that was launched: it may say what it has left open, then it is ended."""
    GIVING_WAY = auto()
    """An earlier attempt has handled it, and the later one is being cut off: until it is, its app begins nothing else."""
    SHOWING = auto()
    """The shell has it."""
    HANDLED = auto()
    COMPLETED = auto()
    SHOWN = auto()
    SUPPRESSED = auto()
    """It was to be shown, and is not, as the user or the machine wants it."""
    GIVEN_BACK = auto()
    """It goes back to the inbox, and waits for its next handler."""
    EXPIRED = auto()
    DEAD = auto()
    SUPERSEDED = auto()
    """Another attempt has taken its place, and tells of its end."""


class Event(Label):
    """What happens to it.

    ``..._ACTIVATABLE``: the app has an activator that may take it next. ``..._SHOWABLE``: the shell may.
    """

    HANDLED = auto()
    HANDLED_BEFORE = auto()
    """An earlier attempt has handled it, and the later one is with the app."""
    COMPLETED = auto()
    REFUSED = auto()
    REFUSED_ACTIVATABLE = auto()
    REFUSED_SHOWABLE = auto()
    NO_SESSION = auto()
    NO_SESSION_ACTIVATABLE = auto()
    NO_SESSION_SHOWABLE = auto()
    SHOWN = auto()
    SUPPRESSED = auto()
    NOT_SHOWN = auto()
    """The shell could not show it."""
    GIVEN_BACK = auto()
    FAILED = auto()
    TURN = auto()
    """Its turn has come, its conditions hold, and a session takes it."""
    LAUNCH = auto()
    """Its turn has come and its conditions hold, and no session is there: a process can be started."""
    TAKEN = auto()
    """A handler takes it while a process is being started for it, be it in that process or in another: one that has not been started
    yet need not be."""
    HELD = auto()
    """A session is at work on it since before the agent was away: the process that was to be started is not needed."""
    LAUNCH_FAILED = auto()
    """The process could not be started, or has ended before it took the payload, and another would do no better."""
    LAUNCH_TIMED_OUT = auto()
    """The process that was started has not asked for it within the budget."""
    CRASHED_AGAIN = auto()
    """Sessions that had it have died too often."""
    EXPIRED = auto()
    OVERFLOW = auto()
    CANCEL = auto()
    GRACE_OVER = auto()
    OUTLIVED = auto()
    """A process that was launched has outlived the grace of work that was cancelled, or cut off since an earlier attempt has handled it."""
    ABORTED = auto()
    OFFERED_AGAIN = auto()
    """The router has handed it on once more."""


class Effect(Label):
    """What the supervisor has to do."""

    PARK = auto()
    """Tell the router that it is on its way no more, but not ended either."""
    SHOW = auto()
    """Give it to the shell."""
    LAUNCH = auto()
    STOP_LAUNCH = auto()
    CALL_OFF_LAUNCH = auto()
    """Have no process started for it, unless one has been."""
    ACTIVATE = auto()
    START_BUDGET = auto()
    TELL_CANCEL = auto()
    START_GRACE = auto()
    TELL_ABORT = auto()
    START_LAST_WORD = auto()
    END_PROCESS = auto()
    """Have the launched process ended that has it, with all that it has started, and note what it has left open."""
    SETTLE = auto()
    FORGET = auto()
    """Take it out without a word."""


_SETTLE = (Effect.SETTLE,)
_SHOW = (Effect.SHOW,)
_END = (Effect.END_PROCESS, Effect.SETTLE)
TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.OFFERED, Event.HANDLED): (Phase.HANDLED, _SETTLE),
    (Phase.OFFERED, Event.REFUSED): (Phase.DEAD, _SETTLE),
    (Phase.OFFERED, Event.REFUSED_ACTIVATABLE): (Phase.QUEUED, (Effect.PARK,)),
    (Phase.OFFERED, Event.NO_SESSION): (Phase.GIVEN_BACK, _SETTLE),
    (Phase.OFFERED, Event.NO_SESSION_ACTIVATABLE): (Phase.QUEUED, (Effect.PARK,)),
    (Phase.OFFERED, Event.REFUSED_SHOWABLE): (Phase.SHOWING, _SHOW),
    (Phase.OFFERED, Event.NO_SESSION_SHOWABLE): (Phase.SHOWING, _SHOW),
    (Phase.OFFERED, Event.GIVEN_BACK): (Phase.GIVEN_BACK, _SETTLE),
    (Phase.OFFERED, Event.CRASHED_AGAIN): (Phase.DEAD, _SETTLE),
    (Phase.OFFERED, Event.CANCEL): (Phase.CANCELING, (Effect.TELL_CANCEL, Effect.START_GRACE)),
    (Phase.QUEUED, Event.TURN): (Phase.ACTIVATED, (Effect.ACTIVATE, Effect.START_BUDGET)),
    (Phase.QUEUED, Event.LAUNCH): (Phase.LAUNCHING, (Effect.LAUNCH, Effect.START_BUDGET)),
    (Phase.QUEUED, Event.HANDLED): (Phase.HANDLED, _SETTLE),
    (Phase.QUEUED, Event.EXPIRED): (Phase.EXPIRED, _SETTLE),
    (Phase.QUEUED, Event.OVERFLOW): (Phase.DEAD, _SETTLE),
    (Phase.QUEUED, Event.GIVEN_BACK): (Phase.GIVEN_BACK, _SETTLE),
    (Phase.LAUNCHING, Event.TURN): (Phase.ACTIVATED, (Effect.ACTIVATE, Effect.START_BUDGET)),
    (Phase.LAUNCHING, Event.TAKEN): (
        Phase.ACTIVATED,
        (Effect.CALL_OFF_LAUNCH, Effect.ACTIVATE, Effect.START_BUDGET),
    ),
    (Phase.LAUNCHING, Event.HELD): (
        Phase.ACTIVATED,
        (Effect.STOP_LAUNCH, Effect.ACTIVATE, Effect.START_BUDGET),
    ),
    (Phase.LAUNCHING, Event.LAUNCH_FAILED): (Phase.DEAD, _SETTLE),
    (Phase.LAUNCHING, Event.LAUNCH_TIMED_OUT): (Phase.DEAD, (Effect.STOP_LAUNCH, Effect.SETTLE)),
    (Phase.LAUNCHING, Event.EXPIRED): (Phase.EXPIRED, (Effect.STOP_LAUNCH, Effect.SETTLE)),
    (Phase.LAUNCHING, Event.HANDLED): (Phase.HANDLED, (Effect.STOP_LAUNCH, Effect.SETTLE)),
    (Phase.LAUNCHING, Event.GIVEN_BACK): (Phase.GIVEN_BACK, (Effect.STOP_LAUNCH, Effect.SETTLE)),
    (Phase.ACTIVATED, Event.COMPLETED): (Phase.COMPLETED, _SETTLE),
    (Phase.ACTIVATED, Event.CRASHED_AGAIN): (Phase.DEAD, _SETTLE),
    (Phase.ACTIVATED, Event.FAILED): (Phase.DEAD, _SETTLE),
    (Phase.ACTIVATED, Event.NO_SESSION): (Phase.GIVEN_BACK, _SETTLE),
    (Phase.ACTIVATED, Event.GIVEN_BACK): (Phase.GIVEN_BACK, _SETTLE),
    (Phase.ACTIVATED, Event.CANCEL): (Phase.CANCELING, (Effect.TELL_CANCEL, Effect.START_GRACE)),
    (Phase.CANCELING, Event.HANDLED): (Phase.HANDLED, _SETTLE),
    (Phase.CANCELING, Event.REFUSED): (Phase.DEAD, _SETTLE),
    # A handler that hangs keeps no toast from the user.
    (Phase.CANCELING, Event.REFUSED_SHOWABLE): (Phase.SHOWING, _SHOW),
    (Phase.CANCELING, Event.FAILED): (Phase.DEAD, _SETTLE),
    (Phase.CANCELING, Event.GIVEN_BACK): (Phase.GIVEN_BACK, _SETTLE),
    (Phase.CANCELING, Event.CRASHED_AGAIN): (Phase.DEAD, _SETTLE),
    (Phase.CANCELING, Event.GRACE_OVER): (Phase.ABORTING, (Effect.TELL_ABORT, Effect.START_GRACE)),
    (Phase.CANCELING, Event.OUTLIVED): (Phase.ENDING, (Effect.TELL_ABORT, Effect.START_LAST_WORD)),
    (Phase.ENDING, Event.HANDLED): (Phase.HANDLED, _SETTLE),
    (Phase.ENDING, Event.REFUSED_SHOWABLE): (Phase.SHOWING, (Effect.END_PROCESS, Effect.SHOW)),
    (Phase.ENDING, Event.ABORTED): (Phase.DEAD, _END),
    (Phase.ENDING, Event.GRACE_OVER): (Phase.DEAD, _END),
    (Phase.ENDING, Event.CRASHED_AGAIN): (Phase.DEAD, _END),
    (Phase.ENDING, Event.GIVEN_BACK): (Phase.DEAD, _END),  # its connection may be lost, and the process go on
    (Phase.ABORTING, Event.HANDLED): (Phase.HANDLED, _SETTLE),
    (Phase.ABORTING, Event.REFUSED_SHOWABLE): (Phase.SHOWING, _SHOW),
    (Phase.ABORTING, Event.ABORTED): (Phase.DEAD, _SETTLE),
    (Phase.ABORTING, Event.CRASHED_AGAIN): (Phase.DEAD, _SETTLE),
    (Phase.ABORTING, Event.GRACE_OVER): (Phase.DEAD, _SETTLE),
    (Phase.ABORTING, Event.GIVEN_BACK): (Phase.GIVEN_BACK, _SETTLE),
    # What was only offered keeps nothing else waiting, so it need not wait until its handler is cut off.
    (Phase.OFFERED, Event.HANDLED_BEFORE): (Phase.HANDLED, (Effect.TELL_ABORT, Effect.SETTLE)),
    # What is cut off already is not told again.
    (Phase.ACTIVATED, Event.HANDLED_BEFORE): (Phase.GIVING_WAY, (Effect.TELL_ABORT, Effect.START_GRACE)),
    (Phase.CANCELING, Event.HANDLED_BEFORE): (Phase.GIVING_WAY, (Effect.TELL_ABORT, Effect.START_GRACE)),
    (Phase.ABORTING, Event.HANDLED_BEFORE): (Phase.GIVING_WAY, (Effect.START_GRACE,)),
    (Phase.ENDING, Event.HANDLED_BEFORE): (Phase.GIVING_WAY, (Effect.START_GRACE,)),
    (Phase.GIVING_WAY, Event.HANDLED): (Phase.HANDLED, _SETTLE),
    (Phase.GIVING_WAY, Event.ABORTED): (Phase.HANDLED, _SETTLE),
    (Phase.GIVING_WAY, Event.GIVEN_BACK): (Phase.HANDLED, _SETTLE),
    (Phase.GIVING_WAY, Event.CRASHED_AGAIN): (Phase.HANDLED, _SETTLE),
    (Phase.GIVING_WAY, Event.GRACE_OVER): (Phase.HANDLED, _SETTLE),
    (Phase.GIVING_WAY, Event.OUTLIVED): (Phase.HANDLED, _END),
    (Phase.SHOWING, Event.SHOWN): (Phase.SHOWN, _SETTLE),
    (Phase.SHOWING, Event.SUPPRESSED): (Phase.SUPPRESSED, _SETTLE),
    (Phase.SHOWING, Event.NOT_SHOWN): (Phase.DEAD, _SETTLE),
    (Phase.SHOWING, Event.HANDLED): (Phase.HANDLED, _SETTLE),
    (Phase.SHOWING, Event.GIVEN_BACK): (Phase.GIVEN_BACK, _SETTLE),
    (Phase.SHOWING, Event.OFFERED_AGAIN): (Phase.SUPERSEDED, (Effect.FORGET,)),
    (Phase.OFFERED, Event.OFFERED_AGAIN): (Phase.SUPERSEDED, (Effect.FORGET,)),
    (Phase.QUEUED, Event.OFFERED_AGAIN): (Phase.SUPERSEDED, (Effect.FORGET,)),
    (Phase.LAUNCHING, Event.OFFERED_AGAIN): (Phase.SUPERSEDED, (Effect.STOP_LAUNCH, Effect.FORGET)),
    (Phase.ACTIVATED, Event.OFFERED_AGAIN): (Phase.SUPERSEDED, (Effect.FORGET,)),
    (Phase.CANCELING, Event.OFFERED_AGAIN): (Phase.SUPERSEDED, (Effect.FORGET,)),
    (Phase.ABORTING, Event.OFFERED_AGAIN): (Phase.SUPERSEDED, (Effect.FORGET,)),
    (Phase.ENDING, Event.OFFERED_AGAIN): (Phase.SUPERSEDED, (Effect.FORGET,)),
    (Phase.GIVING_WAY, Event.OFFERED_AGAIN): (Phase.SUPERSEDED, (Effect.FORGET,)),
}

TERMINAL = frozenset(Phase) - frozenset(phase for phase, _ in TABLE)
"""The phases in which a payload's life with the supervisor has ended."""

OUTCOMES = {
    Phase.HANDLED: Outcome.HANDLED,
    Phase.COMPLETED: Outcome.HANDLED,
    Phase.SHOWN: Outcome.SHOWN,
    Phase.SUPPRESSED: Outcome.SUPPRESSED,
    Phase.GIVEN_BACK: Outcome.GIVEN_BACK,
    Phase.EXPIRED: Outcome.DROPPED,
    Phase.DEAD: Outcome.DROPPED,
}
"""What each end means for the inbox; that of a superseded attempt means nothing."""


@define(eq=False)
class Tracked:
    """What the supervisor knows of a payload; ``deadline`` on the loop's clock, 0 while none runs.

    ``row`` is the payload as it came.
    """

    sequence: int
    app: str
    channel: str
    attempt: int
    expires: float | None
    row: PlainRow
    phase: Phase = Phase.OFFERED
    parked: bool = False
    """Whether it stands in the queue of its app's background work."""
    deadline: float = 0.0
    session: str = ""
    """The session that had it in the foreground, or has it, or is to have it, in the background; empty where none has yet."""
    request: int = 0
    """The claim of a launched process that is to be answered with it; 0 where it goes to a handler."""
    reason: DropReason | None = None
    detail: str = ""
    cancellation: CancellationReason | None = None
    command: str = ""
    """What has launched the process that is being ended because of it, in words."""
    is_withdrawn: bool = False
    """Whether its sender has deleted it, so that it is not to be shown any more."""


D = TypeVar("D")


def ended_by_failure(deferrals: Mapping[D, object], handler: object) -> list[D]:
    """Decide which open deferrals end where a handler has failed: those that it has taken itself.

    What it has left open it may never complete, and its failure is the reason why the payload was not handled; to wait
    would tell of the time that was exceeded instead. Those of other handlers are waited for.

    :param deferrals: each with the handler that has taken it.
    """
    return [deferral for deferral, subscriber in deferrals.items() if subscriber is handler]


def words_of_end(command: str, left_open: str) -> str:
    """Say of a dead letter that its process was ended.

    :param command: what had started it.
    :param left_open: what its session has said of that; empty where it has not answered.
    """
    return f"the process of {command} was ended: {left_open or 'the handler was running, and did not answer'}"
