"""What one agent knows of calls: those that ring, those that were started or accepted, and the ends that it remembers."""

from __future__ import annotations

from typing import Final

from attrs import Factory, define

from tocsin.protocol.calling.agent_call import AgentCall
from tocsin.protocol.calling.agent_ring import AgentRing, caller_of, rings_until
from tocsin.protocol.calling.call_effects import (
    Ask,
    CallDisconnected,
    CallEffect,
    CallerInfoChanged,
    IncomingEnded,
    NotRung,
    Participant,
    UnrungEnded,
)
from tocsin.protocol.calling.call_state import ENDED, ParticipantState
from tocsin.protocol.calling.end_reason import ANSWERED_ELSEWHERE, CallEndReason, end_reason
from tocsin.protocol.calling.ended_calls import End, EndedCalls
from tocsin.protocol.calling.incoming_call import Event, Phase
from tocsin.protocol.messages.calling import MAX_RINGING_CALLS, CallPhase, CallReport, HangUpCall

_TAKEN: Final = frozenset({CallPhase.CONNECTING, CallPhase.CONNECTED})
_OURS: Final = frozenset({Phase.REJECTING, Phase.LEAVING})


@define(eq=False)
class CallBook:
    """The calls of one agent, by their ids, and what a report changes about them."""

    ends: EndedCalls
    rings: dict[str, AgentRing] = Factory(dict)
    calls: dict[str, AgentCall] = Factory(dict)

    def heard(self, report: CallReport, now: float) -> list[CallEffect]:
        """Take in a report; one of another direction than the call that is known by this id is about none of it."""
        is_unknown = report.phase is CallPhase.UNKNOWN
        ring, call = self.rings.get(report.call), self.calls.get(report.call)
        if ring is not None:
            return self._ring_heard(ring, report, now) if report.incoming or is_unknown else []
        if call is not None:
            return self._call_heard(call, report) if report.incoming == call.incoming or is_unknown else []
        return [] if is_unknown else self._other_heard(report, now)

    def _ring_heard(self, ring: AgentRing, report: CallReport, now: float) -> list[CallEffect]:
        if report.phase is CallPhase.UNKNOWN:
            return self.ring_over(ring, Event.GONE, ring.reason_where_forgotten())
        if report.phase is CallPhase.ENDED:
            return self.ring_over(ring, Event.GONE, end_reason(report.code, report.subcode))
        if report.phase in _TAKEN:
            return self._taken(ring, report) if report.here else self.ring_over(ring, Event.GONE, ANSWERED_ELSEWHERE)
        ring.until = rings_until(report, now)
        caller = caller_of(report)
        done, _ = ring.step(Event.RANG)
        if caller != ring.caller:
            ring.caller = caller
            done.append(CallerInfoChanged(ring.call, caller))
        return done

    def _taken(self, ring: AgentRing, report: CallReport) -> list[CallEffect]:
        done, begins = ring.step(Event.TAKEN)
        if not begins:
            return done
        del self.rings[ring.call]
        muted = ring.accepting is not None and ring.accepting.muted
        participant = Participant(ring.caller.raw_id, ring.caller.display_name, ParticipantState.IDLE, is_muted=False)
        call = self.calls[ring.call] = AgentCall(
            ring.call,
            incoming=True,
            video=ring.video,
            participant=participant,
            muted=muted,
            told=(muted, False),
        )
        return [*done, *call.accepted(), *call.heard(report)]

    def _call_heard(self, call: AgentCall, report: CallReport) -> list[CallEffect]:
        if report.phase is CallPhase.UNKNOWN:
            # Where the service has yet to hear of it, as on a connection after the one on which it was started, it has not ended.
            return self.call_over(call, call.gone(), call.reason_here) if call.is_known else []
        if report.phase is CallPhase.ENDED:
            return self.call_over(call, call.gone(), end_reason(report.code, report.subcode))
        return call.heard(report)

    def _other_heard(self, report: CallReport, now: float) -> list[CallEffect]:
        """Take in a report about a call that neither rings here nor goes on here."""
        call, is_over = report.call, report.phase is CallPhase.ENDED
        if report.here and not is_over and (report.phase in _TAKEN or not report.incoming):
            return [Ask(HangUpCall(0, call))]  # an earlier process of the app was in it, or this one has given it up
        if not report.incoming or self.ends.get(call) is not None:
            return []
        if report.phase is CallPhase.RINGING:
            if len(self.rings) >= MAX_RINGING_CALLS:
                return [NotRung(call)]
            ring = self.rings[call] = AgentRing(call, caller_of(report), report.video, rings_until(report, now))
            return ring.step(Event.RANG)[0]
        reason = end_reason(report.code, report.subcode) if is_over else ANSWERED_ELSEWHERE
        self.ends.add(call, End(reason, is_ours=report.here))
        return [] if report.here else [UnrungEnded(call, caller_of(report), report.video, reason.code, reason.subcode)]

    def ring_over(self, ring: AgentRing, event: Event, reason: CallEndReason) -> list[CallEffect]:
        """End a ring, tell its end, and remember it."""
        is_ours = ring.phase in _OURS
        done, _ = ring.step(event)
        del self.rings[ring.call]
        self.ends.add(ring.call, End(reason, is_ours=is_ours))
        return [*done, IncomingEnded(ring.call, reason.code, reason.subcode)]

    def call_over(self, call: AgentCall, done: list[CallEffect], reason: CallEndReason) -> list[CallEffect]:
        """Tell the end of a call that has taken its last step, and remember it."""
        if call.phase not in ENDED:
            return done
        del self.calls[call.call]
        self.ends.add(call.call, End(reason, is_ours=True))
        return [*done, CallDisconnected(call.call, reason.code, reason.subcode)]
