"""One call that was started or accepted at an agent, and what follows from each event."""

from __future__ import annotations

from math import inf
from typing import Final

from attrs import define, evolve

from tocsin.protocol.calling import call_state
from tocsin.protocol.calling.call_effects import (
    Ask,
    Asked,
    CallBegan,
    CallEffect,
    CallStateChanged,
    MutedChanged,
    Participant,
    ParticipantChanged,
)
from tocsin.protocol.calling.call_state import (
    HELD_HERE,
    HELD_THERE,
    IN_CALL,
    UNANSWERED,
    Effect,
    Event,
    Phase,
    participant_state_of,
    state_of,
)
from tocsin.protocol.calling.end_reason import CANCELLED, HUNG_UP, CallEndReason, end_reason
from tocsin.protocol.calling.ended_calls import NO_SUCH_CALL
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages.calling import CallPhase, CallReady, CallReport, HangUpCall, SetCallMedia, StartCall

HEARD_WITHIN: Final = 30.0
"""Seconds that the service may take to answer a beginning or a hang-up, also over a lost connection: a call that is still to begin
then is given up, so that it does not ring long after its caller has turned away."""

NETWORK_LOST: Final = end_reason(496, 7)
SERVICE_FAILED: Final = end_reason(503, 0)

_EVENTS: Final = {
    CallPhase.RINGING: Event.RINGS,
    CallPhase.CONNECTING: Event.ANSWERED,
    CallPhase.CONNECTED: Event.CONNECTED,
}


_ASKED_IN: Final = {StartCall: Phase.STARTING, CallReady: Phase.PREPARING, HangUpCall: Phase.DISCONNECTING}
_QUESTIONS: Final = frozenset({Effect.ASK_START, Effect.ASK_READY, Effect.ASK_HANG_UP})


@define(eq=False)
class AgentCall:
    """A call that has begun here."""

    call: str
    incoming: bool
    video: bool
    participant: Participant
    muted: bool = False
    told: tuple[bool, bool] = (False, False)
    """What the service has taken in last of this side: whether it is muted, and held."""
    is_in_doubt: bool = False
    """Whether the service may have taken in another thing, of which it has said nothing."""
    phase: Phase = Phase.NEW
    is_known: bool = False
    """Whether the service has said that there is such a call."""
    deadline: float = inf
    """When it is given up, if the service does not answer until then."""
    reason_here: CallEndReason = NO_SUCH_CALL
    """The reason of an end that the service does not name."""

    @property
    def media(self) -> tuple[bool, bool]:
        """Whether this side is muted, and held."""
        return self.muted, self.phase in HELD_HERE

    def start(self, now: float) -> list[CallEffect]:
        """Ring the callee, whom the participant names."""
        self.deadline, self.reason_here = now + HEARD_WITHIN, NETWORK_LOST
        return self._step(Event.START)

    def accepted(self) -> list[CallEffect]:
        """Get ready: the ring was accepted."""
        return self._step(Event.ACCEPTED)

    def heard(self, report: CallReport) -> list[CallEffect]:
        """Take in what the service says of a call that goes on."""
        before, self.is_known = self.phase, True
        if before in UNANSWERED:
            self.deadline, self.reason_here = inf, NO_SUCH_CALL
        done = self._step(_EVENTS[report.phase])
        if report.phase is CallPhase.CONNECTED and self.phase in IN_CALL:
            if report.peer_held != (self.phase in HELD_THERE):
                done += self._step(Event.PEER_HELD if report.peer_held else Event.PEER_RESUMED)
            if before not in IN_CALL and self.media != self.told:
                done.append(self._ask_media())
        known = evolve(
            self.participant,
            raw_id=report.peer or self.participant.raw_id,
            display_name=report.peer_name or self.participant.display_name,
            is_muted=report.peer_muted,
        )
        return done + self._participate(known)

    def hang_up(self, now: float) -> list[CallEffect]:
        """Ask for its end, unless that was asked for before."""
        if self.phase is Phase.DISCONNECTING:
            return []
        self.deadline = now + HEARD_WITHIN
        self.reason_here = CANCELLED if self.phase in UNANSWERED else HUNG_UP
        return self._step(Event.HANG_UP)

    def set_media(self, muted: bool, held: bool) -> list[CallEffect]:  # noqa: FBT001  # as SetCallMedia has them
        """Mute and hold at once what is to be, and tell the service where it has both sides."""
        if (muted, held) == self.media:
            return []
        done = self._apply(muted, held)
        return [*done, self._ask_media()] if self.phase in IN_CALL else done

    def media_told(self, asked: SetCallMedia) -> None:
        """Note that the service has taken in what was set."""
        self.told = asked.muted, asked.held
        self.is_in_doubt = self.told != self.media

    def reconnected(self) -> list[CallEffect]:
        """Ask again what may have had no answer."""
        done = self._step(Event.RECONNECTED)
        if self.phase in IN_CALL and (self.is_in_doubt or any(self.media)):
            done.append(self._ask_media())
        return done

    def refused(self, asked: Asked) -> list[CallEffect]:
        """Go on after the service would not do what it was asked, unless that is of no interest any more."""
        if isinstance(asked, SetCallMedia):
            return self._apply(*self.told) if (asked.muted, asked.held) == self.media and self.phase in IN_CALL else []
        if self.phase is not _ASKED_IN.get(type(asked)):
            return []
        if self.phase is Phase.STARTING:
            self.reason_here = SERVICE_FAILED
        return self._step(Event.REFUSED)

    def overdue(self) -> list[CallEffect]:
        """Give it up: the service has not answered."""
        return self._step(Event.OVERDUE)

    def gone(self) -> list[CallEffect]:
        """End it, since the service says so."""
        return self._step(Event.GONE)

    def _apply(self, muted: bool, held: bool) -> list[CallEffect]:  # noqa: FBT001  # as SetCallMedia has them
        done: list[CallEffect] = []
        if muted != self.muted:
            self.muted = muted
            done.append(MutedChanged(self.call, muted))
        if held != (self.phase in HELD_HERE):
            done += self._step(Event.HOLD if held else Event.RESUME)
        return done

    def _step(self, event: Event) -> list[CallEffect]:
        """Take a step, and return what it makes; the end itself is told by the record, which knows its reason."""
        before = self.phase
        self.phase, effects = step(call_state.TABLE, before, event)
        state = participant_state_of(self.phase, self.participant.state)
        done: list[CallEffect] = []
        if Effect.BEGIN in effects:
            self.participant = evolve(self.participant, state=state)
            done.append(
                CallBegan(self.call, self.incoming, state_of(self.phase), self.participant, self.video, self.muted)
            )
        elif state_of(self.phase) is not state_of(before) and Effect.END not in effects:
            done.append(CallStateChanged(self.call, state_of(self.phase)))
        done += self._participate(evolve(self.participant, state=state))
        return done + [Ask(self._question(effect)) for effect in effects if effect in _QUESTIONS]

    def _participate(self, participant: Participant) -> list[CallEffect]:
        if participant == self.participant:
            return []
        self.participant = participant
        return [ParticipantChanged(self.call, participant)]

    def _question(self, effect: Effect) -> Asked:
        if effect is Effect.ASK_START:
            return StartCall(0, self.call, self.participant.raw_id, self.video)
        return CallReady(0, self.call) if effect is Effect.ASK_READY else HangUpCall(0, self.call)

    def _ask_media(self) -> Ask:
        self.is_in_doubt = True
        return Ask(SetCallMedia(0, self.call, *self.media))
