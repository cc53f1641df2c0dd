"""One call that rings at an agent, and what follows from each event."""

from __future__ import annotations

from collections.abc import Mapping
from math import isnan
from typing import Final

from attrs import define

from tocsin.protocol.calling import incoming_call
from tocsin.protocol.calling.call_effects import Ask, CallEffect, Caller, Ring, Silence
from tocsin.protocol.calling.end_reason import (
    DECLINED,
    HUNG_UP,
    NOT_ANSWERED,
    SETUP_FAILED,
    CallEndReason,
)
from tocsin.protocol.calling.ended_calls import NO_SUCH_CALL
from tocsin.protocol.calling.incoming_call import Effect, Event, Phase
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages.calling import AcceptCall, CallReport, HangUpCall, RejectCall

MAX_RING: Final = 3600.0
"""Seconds that a call rings at most, whatever a service says."""

SLACK: Final = 5.0
"""Seconds beyond a ring's time that the word of the service is waited for, where the user has not accepted it."""

ANSWER_WITHIN: Final = 30.0
"""Seconds more that it is waited for, where the user has: the acceptance may be on its way."""

_BY_US: Final[Mapping[Phase, CallEndReason]] = {Phase.REJECTING: DECLINED, Phase.LEAVING: HUNG_UP}


@define(eq=False)
class AgentRing:
    """A call that rings here, or that is being accepted or declined."""

    call: str
    caller: Caller
    video: bool
    until: float
    """When its time is over, on the agent's clock."""
    phase: Phase = Phase.NEW
    accepting: AcceptCall | None = None
    """How it was accepted last."""

    @property
    def deadline(self) -> float:
        """When it is given up, if the service tells nothing."""
        later = ANSWER_WITHIN if self.phase in {Phase.ACCEPTING, Phase.LEAVING} else 0.0
        return self.until + SLACK + later

    def step(self, event: Event) -> tuple[list[CallEffect], bool]:
        """Take a step; return what it makes, and whether a call begins. Its end is told by the book, which knows the reason."""
        self.phase, effects = step(incoming_call.TABLE, self.phase, event)
        done = [made for effect in effects if (made := self._make(effect)) is not None]
        return done, Effect.BEGIN_CALL in effects

    def _make(self, effect: Effect) -> CallEffect | None:
        if effect is Effect.RING:
            return Ring(self.call, self.caller, self.video, self.until)
        if effect is Effect.SILENCE:
            return Silence(self.call)
        if effect is Effect.ASK_ACCEPT:
            return None if self.accepting is None else Ask(self.accepting)
        if effect is Effect.ASK_REJECT:
            return Ask(RejectCall(0, self.call))
        return Ask(HangUpCall(0, self.call)) if effect is Effect.ASK_HANG_UP else None

    def reason_where_rung_out(self) -> CallEndReason:
        """Return the reason of an end that the service has not told."""
        return _BY_US.get(self.phase, SETUP_FAILED if self.phase is Phase.ACCEPTING else NOT_ANSWERED)

    def reason_where_forgotten(self) -> CallEndReason:
        """Return the reason of an end of which the service knows only that there is no such call."""
        return _BY_US.get(self.phase, NO_SUCH_CALL)


def caller_of(report: CallReport) -> Caller:
    """Return the other side that a report names."""
    return Caller(report.peer, report.peer_name)


def rings_until(report: CallReport, now: float) -> float:
    """Return when a ring is over by what a report says of it, within ``MAX_RING``."""
    left = 0.0 if isnan(report.rings_for) else report.rings_for
    return now + min(max(left, 0.0), MAX_RING)
