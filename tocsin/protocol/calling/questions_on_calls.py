"""What an endpoint asks about calls: how each question is decided.

Of what has happened already, each just tells how the call stands: an agent that got no answer asks again.
"""

from __future__ import annotations

from hmac import compare_digest
from typing import TypeAlias

from attrs import evolve

from tocsin.protocol.calling.call_at_service import Event, Phase
from tocsin.protocol.calling.call_id import read_call_id
from tocsin.protocol.calling.call_reports import concerns, is_in, report, rings_at, unknown
from tocsin.protocol.calling.raw_id import read_raw_id
from tocsin.protocol.calling.switchboard_draft import Draft
from tocsin.protocol.calling.switchboard_rows import CallRow, Endpoint, Side, Turn
from tocsin.protocol.errors import Busy, IllegalCall, InvalidArgument
from tocsin.protocol.messages.calling import (
    MAX_OPEN_CALLS,
    MAX_RINGING_CALLS,
    AcceptCall,
    AttendCall,
    CallReady,
    HangUpCall,
    RejectCall,
    SetCallMedia,
    StartCall,
)

_Command: TypeAlias = AcceptCall | CallReady | HangUpCall | RejectCall | SetCallMedia


def start(draft: Draft, endpoint: Endpoint, asked: StartCall, context: str, rings_until: float) -> Turn:
    """Ring a user.

    :param context: unguessable, made anew for each call.
    :raises InvalidArgument: the id is taken, or one of the ids cannot be right.
    :raises Busy: the endpoint is in as many calls as may be, or as many ring for the callee.
    """
    if read_call_id(asked.call) != asked.call:
        raise InvalidArgument(f"the id of a call is a UUID in lower case, not {asked.call}")
    callee = read_raw_id(asked.callee).raw_id
    former = draft.record.calls.get(asked.call)
    if former is not None:
        if (former.caller.user, former.callee.user) != (endpoint.user, callee):
            raise InvalidArgument(f"the id {asked.call} is that of another call: make a new UUID for each")
        return _report(draft, former, endpoint, asked.request)
    _check_room(draft, endpoint)
    if len(draft.record.ringing(callee)) >= MAX_RINGING_CALLS:
        raise Busy(f"{MAX_RINGING_CALLS} calls ring for {callee}, which is as many as may be")
    standing = draft.standing(endpoint)
    caller = Side(endpoint.user, endpoint.device, standing.name if standing else "", asked.video)
    row = CallRow(asked.call, Phase.RINGING, caller, Side(callee, "", "", asked.video), context, draft.now, rings_until)
    if draft.can_ring(row):
        draft.put(row)
        draft.ring(row)
    else:
        row = draft.step(row, Event.NO_ENDPOINT)
    return _report(draft, row, endpoint, asked.request)


def attend(draft: Draft, endpoint: Endpoint, asked: AttendCall) -> Turn:
    """Tell how a call stands; one that is named by the context of another is not known."""
    row = draft.record.calls.get(asked.call) if asked.call else draft.record.of_context(asked.context)
    wrong = row is not None and asked.context and not _same(row.context, asked.context)
    if row is None or wrong or not concerns(row, endpoint.user):
        return draft.turn(unknown(asked.call, asked.request))
    return _report(draft, row, endpoint, asked.request)


def accept(draft: Draft, endpoint: Endpoint, asked: AcceptCall) -> Turn:
    """Accept a call that rings.

    :raises IllegalCall: this endpoint, or its user, calls.
    :raises Busy: the endpoint is in as many calls as may be.
    """
    row = _row(draft, endpoint, asked)
    if row is None:
        return draft.turn(unknown(asked.call, asked.request))
    _check_rings(row, endpoint, "accepted")
    if row.phase is not Phase.RINGING:
        return _report(draft, row, endpoint, asked.request)
    _check_room(draft, endpoint)
    standing = draft.standing(endpoint)
    name = standing.name if standing else ""
    side = Side(endpoint.user, endpoint.device, name, asked.video, asked.muted)
    return _report(draft, draft.step(row, Event.ACCEPTED, callee=side, answered=draft.now), endpoint, asked.request)


def ready(draft: Draft, endpoint: Endpoint, asked: CallReady) -> Turn:
    """The endpoint that has accepted is ready.

    :raises IllegalCall: this endpoint, or its user, calls; or it has not accepted.
    """
    row = _row(draft, endpoint, asked)
    if row is None:
        return draft.turn(unknown(asked.call, asked.request))
    _check_rings(row, endpoint, "got ready for")
    if row.phase is Phase.RINGING:
        raise IllegalCall(f"the call {row.call} rings: accept it first")
    if row.phase is not Phase.CONNECTING or endpoint != row.callee.endpoint:
        return _report(draft, row, endpoint, asked.request)
    return _report(draft, draft.step(row, Event.READY), endpoint, asked.request)


def reject(draft: Draft, endpoint: Endpoint, asked: RejectCall) -> Turn:
    """Decline a call that rings.

    :raises IllegalCall: this endpoint, or its user, calls; or it has accepted the call.
    """
    row = _row(draft, endpoint, asked)
    if row is None:
        return draft.turn(unknown(asked.call, asked.request))
    _check_rings(row, endpoint, "declined")
    if row.phase is Phase.RINGING:
        return _report(draft, draft.step(row, Event.REJECTED), endpoint, asked.request)
    if row.phase is not Phase.ENDED and endpoint == row.callee.endpoint:
        raise IllegalCall(f"the call {row.call} was accepted here: hang up")
    return _report(draft, row, endpoint, asked.request)


def hang_up(draft: Draft, endpoint: Endpoint, asked: HangUpCall) -> Turn:
    """End a call that this endpoint is in, or rings with.

    :raises IllegalCall: another device of the caller is in it.
    """
    row = _row(draft, endpoint, asked)
    if row is None:
        return draft.turn(unknown(asked.call, asked.request))
    _check_party(row, endpoint)
    if row.phase is Phase.ENDED or (row.answered and not is_in(row, endpoint)):
        return _report(draft, row, endpoint, asked.request)
    if row.phase is not Phase.RINGING:
        event = Event.HUNG_UP
    else:
        event = Event.REJECTED if rings_at(row, endpoint) else Event.CANCELLED
    return _report(draft, draft.step(row, event), endpoint, asked.request)


def set_media(draft: Draft, endpoint: Endpoint, asked: SetCallMedia) -> Turn:
    """Set what this side has switched off.

    :raises IllegalCall: another device of the caller is in it, or it has not been accepted here.
    """
    row = _row(draft, endpoint, asked)
    if row is None:
        return draft.turn(unknown(asked.call, asked.request))
    _check_party(row, endpoint)
    side = row.caller if endpoint == row.caller.endpoint else row.callee
    changed = evolve(side, muted=asked.muted, held=asked.held)
    if row.phase is Phase.ENDED or (row.answered and not is_in(row, endpoint)) or changed == side:
        return _report(draft, row, endpoint, asked.request)
    if not is_in(row, endpoint):
        raise IllegalCall(f"the call {row.call} rings: accept it first")
    if side is row.caller:
        return _report(draft, draft.step(row, Event.MEDIA_CHANGED, caller=changed), endpoint, asked.request)
    return _report(draft, draft.step(row, Event.MEDIA_CHANGED, callee=changed), endpoint, asked.request)


def _row(draft: Draft, endpoint: Endpoint, asked: _Command) -> CallRow | None:
    """Return the call that is asked about, if it is one of the endpoint's user."""
    row = draft.record.calls.get(asked.call)
    return row if row is not None and concerns(row, endpoint.user) else None


def _report(draft: Draft, row: CallRow, endpoint: Endpoint, request: int) -> Turn:
    """Answer how a call stands after what was decided."""
    return draft.turn(report(row, endpoint, draft.now, request))


def _check_rings(row: CallRow, endpoint: Endpoint, done: str) -> None:
    if not rings_at(row, endpoint):
        raise IllegalCall(f"the call {row.call} cannot be {done} by a device that calls: its callee's devices can")


def _check_party(row: CallRow, endpoint: Endpoint) -> None:
    if not rings_at(row, endpoint) and endpoint != row.caller.endpoint:
        raise IllegalCall(f"the call {row.call} was started on another device of this user: only that one can do this")


def _check_room(draft: Draft, endpoint: Endpoint) -> None:
    if len(draft.record.open_calls(endpoint)) >= MAX_OPEN_CALLS:
        raise Busy(f"this device is in {MAX_OPEN_CALLS} calls, which is as many as may be: hang up one")


def _same(one: str, other: str) -> bool:
    """Compare without telling by the time it takes how much is right."""
    return compare_digest(one.encode(), other.encode("utf-8", "surrogatepass"))
