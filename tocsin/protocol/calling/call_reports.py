"""How a call stands for the one endpoint that is told of it."""

from __future__ import annotations

from typing import Final

from tocsin.protocol.calling.call_at_service import Phase
from tocsin.protocol.calling.end_reason import ANSWERED_ELSEWHERE
from tocsin.protocol.calling.switchboard_rows import CallRow, Endpoint, Side
from tocsin.protocol.messages.calling import CallPhase, CallReport

_PHASES: Final = {
    Phase.RINGING: CallPhase.RINGING,
    Phase.CONNECTING: CallPhase.CONNECTING,
    Phase.CONNECTED: CallPhase.CONNECTED,
    Phase.ENDED: CallPhase.ENDED,
}


def unknown(call: str, request: int) -> CallReport:
    """Report that there is no such call of this user."""
    return CallReport(request, call, CallPhase.UNKNOWN, False, "", "", False, 0.0, False, 0, 0, False, False)  # noqa: FBT003 - the message's fields


def concerns(row: CallRow, user: str) -> bool:
    """Tell whether a user is one of the two of a call."""
    return user in {row.caller.user, row.callee.user}


def rings_at(row: CallRow, endpoint: Endpoint) -> bool:
    """Tell whether a call is for this endpoint to ring: who calls their own other devices does not ring here."""
    return endpoint.user == row.callee.user and endpoint != row.caller.endpoint


def is_in(row: CallRow, endpoint: Endpoint) -> bool:
    """Tell whether an endpoint has started a call, or accepted it."""
    return endpoint in {row.caller.endpoint, row.callee.endpoint}


def report(row: CallRow, endpoint: Endpoint, now: float, request: int = 0) -> CallReport:
    """Report how a call stands for an endpoint of one of its two users."""
    incoming = rings_at(row, endpoint)
    here = is_in(row, endpoint)
    peer: Side = row.caller if incoming else row.callee
    phase, reason = _PHASES[row.phase], (row.code, row.subcode)
    if incoming and row.answered and not here:
        phase, reason = CallPhase.ENDED, (ANSWERED_ELSEWHERE.code, ANSWERED_ELSEWHERE.subcode)
    return CallReport(
        request=request,
        call=row.call,
        phase=phase,
        incoming=incoming,
        peer=peer.user,
        peer_name=peer.name,
        video=peer.video,
        rings_for=max(row.rings_until - now, 0.0) if phase is CallPhase.RINGING else 0.0,
        here=here,
        code=reason[0],
        subcode=reason[1],
        peer_muted=peer.muted,
        peer_held=peer.held,
    )
