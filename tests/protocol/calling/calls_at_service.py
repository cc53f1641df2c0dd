"""A calling service in a few lines, as one agent of one user sees it: what it is asked changes its calls, and it reports how they stand."""

from __future__ import annotations

from attrs import Factory, define

from tocsin.protocol.calling.call_effects import Asked
from tocsin.protocol.messages.calling import (
    AcceptCall,
    CallPhase,
    CallReady,
    CallRefused,
    CallReport,
    HangUpCall,
    RejectCall,
    SetCallMedia,
    StartCall,
)

OPEN = {CallPhase.CONNECTING, CallPhase.CONNECTED}


@define
class ServedCall:
    """One call of the user: to them, or from them."""

    call: str
    incoming: bool
    until: float
    phase: CallPhase = CallPhase.RINGING
    here: bool = False
    reason: tuple[int, int] = (0, 0)
    name: str = "Ann"
    peer: tuple[bool, bool] = (False, False)
    """Whether the other side is muted, and has put it on hold."""
    media: tuple[bool, bool] = (False, False)
    """The same of the agent's."""

    @property
    def is_over(self) -> bool:
        """Whether it has ended for the agent."""
        return self.phase is CallPhase.ENDED

    def end(self, code: int, subcode: int) -> None:
        """End it, if it has not ended before."""
        if not self.is_over:
            self.phase, self.reason = CallPhase.ENDED, (code, subcode)


@define
class ServedCalls:
    """The service's calls; ``report`` says how one stands, and ``asked`` does what an agent asks."""

    calls: dict[str, ServedCall] = Factory(dict)

    def report(self, call: str, now: float) -> CallReport:
        """Report how a call stands for the agent."""
        known = self.calls.get(call)
        if known is None:
            return report_of(call, CallPhase.UNKNOWN, incoming=False, peer="", peer_name="")
        return report_of(
            call,
            known.phase,
            incoming=known.incoming,
            peer_name=known.name,
            rings_for=max(known.until - now, 0.0),
            here=known.here,
            reason=known.reason if known.is_over else (0, 0),
            peer_muted=known.peer[0],
            peer_held=known.peer[1],
        )

    def asked(self, message: Asked, now: float) -> CallReport | CallRefused:
        """Do what an agent asks, and answer."""
        call = self.calls.get(message.call)
        if isinstance(message, StartCall) and call is None:
            call = self.calls[message.call] = ServedCall(message.call, incoming=False, until=now + 60, here=True)
        elif call is None or call.is_over:
            return self.report(message.call, now)
        if isinstance(message, AcceptCall) and call.incoming and call.phase is CallPhase.RINGING:
            call.phase, call.here, call.media = CallPhase.CONNECTING, True, (message.muted, False)
        elif isinstance(message, CallReady) and call.phase is CallPhase.CONNECTING and call.here:
            call.phase = CallPhase.CONNECTED
        elif isinstance(message, RejectCall) and call.phase is CallPhase.RINGING:
            call.end(603, 0)
        elif isinstance(message, RejectCall):
            return CallRefused(0, "IllegalCall", "the call was accepted here: hang up", 0)
        elif isinstance(message, HangUpCall):
            call.end(*((0, 0) if call.phase in OPEN else (603, 0) if call.incoming else (487, 0)))
        elif isinstance(message, SetCallMedia) and call.here:
            call.media = message.muted, message.held
        return self.report(message.call, now)

    def greeted(self, open_calls: tuple[str, ...], now: float) -> list[CallReport]:
        """Take a hello: calls that the agent is no longer in are lost; tell of those that it is in, and of those that ring."""
        for call in self.calls.values():
            if call.here and call.call not in open_calls:
                call.end(0, 4521)
        ringing = [each.call for each in self.calls.values() if each.incoming and each.phase is CallPhase.RINGING]
        return [self.report(call, now) for call in dict.fromkeys([*ringing, *open_calls])]

    def ring_out(self, now: float) -> list[CallReport]:
        """End what has rung for long enough, and tell of it."""
        over = [each for each in self.calls.values() if each.phase is CallPhase.RINGING and each.until <= now]
        for call in over:
            call.end(487, 10004)
        return [self.report(call.call, now) for call in over]


def report_of(  # as many as a report has fields
    call: str,
    phase: CallPhase,
    *,
    incoming: bool = True,
    peer: str = "8:acs:x_ann",
    peer_name: str = "Ann",
    video: bool = False,
    rings_for: float = 60.0,
    here: bool = False,
    reason: tuple[int, int] = (0, 0),
    peer_muted: bool = False,
    peer_held: bool = False,
) -> CallReport:
    """Make a report that was not asked for."""
    return CallReport(
        request=0,
        call=call,
        phase=phase,
        incoming=incoming,
        peer=peer,
        peer_name=peer_name,
        video=video,
        rings_for=rings_for,
        here=here,
        code=reason[0],
        subcode=reason[1],
        peer_muted=peer_muted,
        peer_held=peer_held,
    )
