"""What an endpoint asks about the pushes that ring it: how each question is decided."""

from __future__ import annotations

from typing import Final

from tocsin.protocol.arguments import check_finite
from tocsin.protocol.calling.call_reports import rings_at
from tocsin.protocol.calling.push_registration import MAX_TEAMS_TTL, MAX_TTL, MIN_TTL
from tocsin.protocol.calling.switchboard_draft import Draft
from tocsin.protocol.calling.switchboard_rows import Endpoint, PushRegistration, RingByPush, Turn
from tocsin.protocol.errors import Busy, InvalidArgument
from tocsin.protocol.messages.calling import CallDone, CallPushRegistered, RegisterForCallPush, UnregisterFromCallPush

MAX_REGISTRATIONS: Final = 32
"""Push registrations of a user."""

MAX_URI: Final = 2_048
"""Characters of a channel's URI."""

_TEAMS: Final = "8:orgid:"


def register(draft: Draft, endpoint: Endpoint, asked: RegisterForCallPush) -> Turn:
    """Ring an endpoint by pushes, for as long as it asks or as may be.

    A channel rings the endpoint that has named it last: where users take turns on a device, only the one who is there now.

    :raises InvalidArgument: the URI or the time cannot be right.
    :raises Busy: the user has as many registrations as may be.
    """
    check_uri(asked.uri)
    ttl = granted(endpoint.user, asked.ttl)
    former, holder = draft.record.registrations.get(endpoint), draft.record.of_uri(asked.uri)
    if holder is not None and holder != endpoint:
        draft.forget_registration(holder)
    if former is None and len(draft.registered(endpoint.user)) >= MAX_REGISTRATIONS:
        raise Busy(
            f"{MAX_REGISTRATIONS} devices of this user are rung by pushes, which is as many as may be: unregister one"
        )
    registration = PushRegistration(endpoint, asked.uri, draft.now + ttl)
    draft.put_registration(registration)
    if former is None or former.uri != asked.uri:
        for call in draft.record.ringing(endpoint.user):
            row = draft.record.calls[call]
            if rings_at(row, endpoint):
                draft.effect(RingByPush(registration, row))
                draft.set_unreached(call, draft.unreached(call) - {endpoint})
    return draft.turn(CallPushRegistered(asked.request, ttl))


def unregister(draft: Draft, endpoint: Endpoint, asked: UnregisterFromCallPush) -> Turn:
    """Ring an endpoint, or all of its user, by pushes no more."""
    for registration in draft.record.registered(endpoint.user):
        if asked.every_device or registration.endpoint == endpoint:
            draft.forget_registration(registration.endpoint)
    return draft.turn(CallDone(asked.request))


def check_uri(uri: str) -> None:
    """Refuse what can be no channel's URI; whether pushes may go there is the pusher's to say.

    :raises InvalidArgument: the sentence does not show it.
    """
    if not uri.startswith(("https://", "http://")) or len(uri) > MAX_URI or not (uri.isascii() and uri.isprintable()):
        raise InvalidArgument(
            f"a channel's URI begins with https:// or http://, and has at most {MAX_URI} characters, all of ASCII"
        )


def granted(user: str, ttl: float) -> float:
    """Return for how many seconds a registration is granted.

    :raises InvalidArgument: what is asked for is no finite number of seconds above 0.
    """
    check_finite(ttl, "the time for which to ring by pushes")
    if ttl <= 0:
        raise InvalidArgument(f"the time for which to ring by pushes is above 0 s, not {ttl:g}")
    return min(max(ttl, MIN_TTL), MAX_TEAMS_TTL if user.startswith(_TEAMS) else MAX_TTL)
