"""The record of one agent's calls: what rings, what was started or accepted, and which ends it remembers.

Reports of the service, pushes, the user's commands and the clock go in; what is to be told and asked comes out as effects, in their order.
A push is a hint: nothing rings before the service has said that it does, and nothing that has ended rings again.
"""

from __future__ import annotations

from math import inf
from typing import Final

from tocsin.protocol.calling.agent_call import SERVICE_FAILED, AgentCall
from tocsin.protocol.calling.agent_ring import AgentRing
from tocsin.protocol.calling.call_book import CallBook
from tocsin.protocol.calling.call_effects import Asked, CallEffect, CallEffects, NotRung, Participant, Ring
from tocsin.protocol.calling.call_state import IN_CALL, ParticipantState
from tocsin.protocol.calling.call_state import Phase as CallStanding
from tocsin.protocol.calling.end_reason import ANSWERED_ELSEWHERE, CallEndReason
from tocsin.protocol.calling.ended_calls import NO_SUCH_CALL, End, EndedCalls
from tocsin.protocol.calling.incoming_call import UNDECIDED, Event, Phase
from tocsin.protocol.calling.push_notification import PushEventType, PushNotificationDetails
from tocsin.protocol.calling.push_outcome import PushOutcome
from tocsin.protocol.errors import Busy, CallEnded, IllegalCall
from tocsin.protocol.messages.calling import (
    MAX_OPEN_CALLS,
    AcceptCall,
    AttendCall,
    CallPhase,
    CallRefused,
    CallReport,
    HangUpCall,
    RejectCall,
    SetCallMedia,
    StartCall,
)
from tocsin.protocol.text import quoted

_OVER: Final = frozenset({CallPhase.UNKNOWN, CallPhase.ENDED})
_DECIDED: Final = {
    Phase.ACCEPTING: "is being accepted already",
    Phase.REJECTING: "is being declined already",
    Phase.LEAVING: "is being hung up",
}
_ASKED_IN: Final = {AcceptCall: Phase.ACCEPTING, RejectCall: Phase.REJECTING, HangUpCall: Phase.LEAVING}


class AgentCalls:
    """The calls of the agent of ``user``, a raw id; the newest ``remembered`` ends are kept.

    Times are seconds on a clock of the driver's that never goes back. Each effect is to be carried out, in order; an ``Ask`` goes to the
    service while there is a connection, and may be dropped while there is none: what still matters comes again from ``reconnected``.
    """

    def __init__(self, user: str, remembered: int = 1024) -> None:
        self.user = user
        self._book = CallBook(EndedCalls(remembered))

    # What the service says

    def heard(self, report: CallReport, now: float) -> CallEffects:
        """Take in a report that was told without having been asked for."""
        return tuple(self._book.heard(report, now))

    def answered(self, asked: Asked, answer: CallReport | CallRefused, now: float) -> CallEffects:
        """Take in the answer to the message of an ``Ask``; where it is a refusal, its user can be told the error besides.

        After an ``AcceptCall`` or a ``RejectCall`` that was refused, the call may be accepted or declined again, as long as it rings.
        """
        call = self._book.calls.get(asked.call)
        if isinstance(answer, CallRefused):
            return tuple(self._refused(asked))
        if call is not None and isinstance(asked, SetCallMedia):
            call.media_told(asked)
        if call is not None and isinstance(asked, StartCall | HangUpCall) and answer.phase is CallPhase.UNKNOWN:
            reason = NO_SUCH_CALL if call.phase is CallStanding.STARTING else call.reason_here
            return tuple(self._book.call_over(call, call.gone(), reason))
        if (
            call is None
            and isinstance(asked, HangUpCall)
            and asked.call not in self._book.rings
            and answer.phase not in _OVER
        ):
            return ()  # asked again, it would be answered so again
        return tuple(self._book.heard(answer, now))

    def _refused(self, asked: Asked) -> list[CallEffect]:
        ring, call = self._book.rings.get(asked.call), self._book.calls.get(asked.call)
        if ring is not None:
            return ring.step(Event.REFUSED)[0] if ring.phase is _ASKED_IN.get(type(asked)) else []
        return [] if call is None else self._book.call_over(call, call.refused(asked), SERVICE_FAILED)

    def reconnected(self) -> CallEffects:
        """Ask anew what may have had no answer on the connection before; for when the service has welcomed the agent."""
        done: list[CallEffect] = []
        for ring in self._book.rings.values():
            done += ring.step(Event.RECONNECTED)[0]
        for call in self._book.calls.values():
            done += call.reconnected()
        return tuple(done)

    def open_calls(self) -> tuple[str, ...]:
        """Return the calls that a ``CallHello`` lists: those that ring here, and those that this process is in, or begins."""
        return (*self._book.rings, *self._book.calls)

    # What pushes say

    def before_asking(self, details: PushNotificationDetails) -> PushOutcome | None:
        """Return what has become of a push where that can be said without the service; None: ask it by ``question``."""
        if details.event_type in {None, PushEventType.NONE}:
            return PushOutcome.UNKNOWN_KIND
        if not details.call_id and not details.context:
            return PushOutcome.MALFORMED
        if details.recipient is not None and details.recipient.raw_id != self.user:
            return PushOutcome.NOT_OURS
        if _is_stop(details):
            end = self._book.ends.get(details.call_id)
            return None if end is None else _outcome_of(end)
        return self._known(details.call_id)

    def question(self, details: PushNotificationDetails) -> AttendCall:
        """Return what the service is asked about a push; the driver sets its ``request``."""
        return AttendCall(0, details.call_id, details.context)

    def pushed(
        self, details: PushNotificationDetails, report: CallReport | None, now: float
    ) -> tuple[PushOutcome, CallEffects]:
        """Take in what the service says of the call of a push, None where it could not be asked; return what has become of the push.

        That the service knows no such call ends nothing here: a push with a wrong context would silence a ring else.
        """
        if report is None:
            return PushOutcome.KEPT, ()
        if report.phase is CallPhase.UNKNOWN:
            return PushOutcome.UNKNOWN_CALL, ()
        before = self._known(report.call)
        if before is None and not report.incoming:
            return PushOutcome.NOT_OURS, tuple(self._book.heard(report, now))
        effects = tuple(self._book.heard(report, now))
        if report.phase is CallPhase.RINGING:
            return _ringing(effects, before), effects
        outcome = self._known(report.call) or PushOutcome.ALREADY_HANDLED
        if before is PushOutcome.DUPLICATE and outcome is PushOutcome.ALREADY_ENDED and _is_stop(details):
            return PushOutcome.STOPPED_RINGING, effects
        return outcome, effects

    def _known(self, call: str) -> PushOutcome | None:
        """Return what a push that wants to ring is, for a call that is known here; None for another."""
        ring, end = self._book.rings.get(call), self._book.ends.get(call)
        if ring is not None:
            return PushOutcome.DUPLICATE if ring.phase in UNDECIDED else PushOutcome.ALREADY_HANDLED
        if call in self._book.calls:
            return PushOutcome.ALREADY_HANDLED
        return None if end is None else _outcome_of(end)

    # What the user wants

    def accept(self, call: str, *, muted: bool = False, video: bool = False) -> CallEffects:
        """Accept a call that rings; it goes on with its ``CallBegan``, or ends with its ``IncomingEnded``.

        :raises CallEnded: it has ended; the reason says why.
        :raises IllegalCall: it does not ring here, or was accepted or declined before.
        :raises Busy: the agent is in as many calls as it may be.
        """
        ring = self._undecided(call)
        self._check_room()
        ring.accepting = AcceptCall(0, call, muted, video)
        return tuple(ring.step(Event.ACCEPT)[0])

    def reject(self, call: str) -> CallEffects:
        """Decline a call that rings; it ends with its ``IncomingEnded``.

        :raises CallEnded: it has ended; the reason says why.
        :raises IllegalCall: it does not ring here, or was accepted or declined before.
        """
        return tuple(self._undecided(call).step(Event.REJECT)[0])

    def start(self, call: str, callee: str, now: float, *, video: bool = False, muted: bool = False) -> CallEffects:
        """Ring a user, by raw id; ``call`` is a UUID that was never used before.

        :raises IllegalCall: the agent knows a call with this id.
        :raises Busy: the agent is in as many calls as it may be.
        """
        if self._known(call) is not None:
            raise IllegalCall(f"there is or was a call {quoted(call)}: each has an id of its own")
        self._check_room()
        participant = Participant(callee, "", ParticipantState.IDLE, is_muted=False)
        begun = self._book.calls[call] = AgentCall(
            call, incoming=False, video=video, participant=participant, muted=muted
        )
        return tuple(begun.start(now))

    def hang_up(self, call: str, now: float) -> CallEffects:
        """End a call that was started or accepted here, or is being accepted; nothing where that was asked for before.

        :raises CallEnded: it has ended; the reason says why.
        :raises IllegalCall: it is no call of this agent, or it rings, or is being declined.
        """
        ring = self._book.rings.get(call)
        if ring is None:
            return tuple(self._open(call).hang_up(now))
        if ring.phase is Phase.LEAVING:
            return ()
        if ring.phase is Phase.ACCEPTING:
            return tuple(ring.step(Event.HANG_UP)[0])
        raise IllegalCall(f"the call {quoted(call)} rings: it is accepted or declined, not hung up")

    def set_media(self, call: str, *, muted: bool | None = None, held: bool | None = None) -> CallEffects:
        """Mute this side of a call, or put the call on hold, or the reverse; None: as it is. It counts here at once.

        :raises CallEnded: it has ended; the reason says why.
        :raises IllegalCall: it is no call of this agent, or is being hung up; or it is to be held, and not both sides are there.
        """
        found = self._open(call)
        was_muted, was_held = found.media
        if found.phase is CallStanding.DISCONNECTING:
            raise IllegalCall(f"the call {quoted(call)} is being hung up")
        if held and found.phase not in IN_CALL:
            raise IllegalCall(f"the call {quoted(call)} is not connected yet: only then can it be put on hold")
        return tuple(found.set_media(was_muted if muted is None else muted, was_held if held is None else held))

    def _undecided(self, call: str) -> AgentRing:
        ring = self._book.rings.get(call)
        if ring is None:
            raise self._missing(call, "was accepted already")
        if ring.phase not in UNDECIDED:
            raise IllegalCall(f"the call {quoted(call)} {_DECIDED[ring.phase]}")
        return ring

    def _open(self, call: str) -> AgentCall:
        if (found := self._book.calls.get(call)) is None:
            raise self._missing(call, "rings, and was not accepted")
        return found

    def _missing(self, call: str, otherwise: str) -> IllegalCall:
        if (end := self._book.ends.get(call)) is not None:
            pair = end.reason.code, end.reason.subcode
            return CallEnded(
                f"the call {quoted(call)} has ended ({pair[0]}/{pair[1]}): {end.reason.meaning}", reason=pair
            )
        if call in self._book.rings or call in self._book.calls:
            return IllegalCall(f"the call {quoted(call)} {otherwise}")
        return IllegalCall(f"this agent has no call {quoted(call)}")

    def _check_room(self) -> None:
        accepting = sum(each.phase is Phase.ACCEPTING for each in self._book.rings.values())
        if len(self._book.calls) + accepting >= MAX_OPEN_CALLS:
            raise Busy(f"{MAX_OPEN_CALLS} calls are open here, the most there may be: hang one up first")

    # What the clock says

    def next_due(self) -> float | None:
        """Return when ``due`` has something to do at the earliest, if nothing else happens; None: never."""
        first = min((ring.deadline for ring in self._book.rings.values()), default=inf)
        first = min([first, *(call.deadline for call in self._book.calls.values())])
        return None if first == inf else first

    def end_all(self, reason: CallEndReason) -> CallEffects:
        """End all that is open here, and ask nothing: the agent is about to end, or will not be connected again."""
        done: list[CallEffect] = []
        for ring in list(self._book.rings.values()):
            done += self._book.ring_over(ring, Event.GONE, reason)
        for call in list(self._book.calls.values()):
            done += self._book.call_over(call, call.gone(), reason)
        return tuple(done)

    def due(self, now: float) -> CallEffects:
        """Give up what the service has told nothing of for too long: so a bell stops also without a connection."""
        done: list[CallEffect] = []
        for ring in [ring for ring in self._book.rings.values() if ring.deadline <= now]:
            done += self._book.ring_over(ring, Event.RANG_OUT, ring.reason_where_rung_out())
        for call in [call for call in self._book.calls.values() if call.deadline <= now]:
            done += self._book.call_over(call, call.overdue(), call.reason_here)
        return tuple(done)


def _is_stop(details: PushNotificationDetails) -> bool:
    return details.event_type is PushEventType.STOP_RINGING


def _outcome_of(end: End) -> PushOutcome:
    if end.is_ours:
        return PushOutcome.ALREADY_HANDLED
    return PushOutcome.ANSWERED_ELSEWHERE if end.reason == ANSWERED_ELSEWHERE else PushOutcome.ALREADY_ENDED


def _ringing(effects: CallEffects, before: PushOutcome | None) -> PushOutcome:
    """Return what a push is whose call rings at the service."""
    if before is not None:
        return before
    if any(isinstance(effect, Ring) for effect in effects):
        return PushOutcome.RINGS
    return PushOutcome.TOO_MANY if any(isinstance(effect, NotRung) for effect in effects) else PushOutcome.UNKNOWN_CALL
