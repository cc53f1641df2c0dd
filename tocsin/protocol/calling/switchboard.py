"""The record of a calling service: which endpoints are connected, which are rung by pushes, and how all calls stand.

Each operation returns a :class:`Turn` and changes nothing: the turn is written down first, then installed here, and then told.
So what could not be written has not happened.

A user may call their own other devices; the one that calls does not ring. Any device of the caller may ask how a call stands, but
only the one that has started it is in it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from attrs import evolve

from tocsin.protocol.calling import questions_on_calls, questions_on_pushes
from tocsin.protocol.calling.call_at_service import Event, Phase
from tocsin.protocol.calling.call_id import read_call_id
from tocsin.protocol.calling.call_reports import concerns, rings_at
from tocsin.protocol.calling.switchboard_draft import Draft
from tocsin.protocol.calling.switchboard_record import Record
from tocsin.protocol.calling.switchboard_rows import (
    STOP_FOR,
    CallRow,
    Endpoint,
    Part,
    Push,
    Pushed,
    PushRegistration,
    Standing,
    Turn,
    TurnRows,
)
from tocsin.protocol.errors import Busy, IllegalCall, InvalidArgument, ProtocolViolation, PushError, SenderNotAllowed
from tocsin.protocol.messages.base import Message
from tocsin.protocol.messages.calling import (
    MAX_CALL_NAME,
    MAX_LISTED_CALLS,
    AcceptCall,
    AttendCall,
    CallHello,
    CallReady,
    CallRefused,
    HangUpCall,
    RegisterForCallPush,
    RejectCall,
    SetCallMedia,
    StartCall,
    UnregisterFromCallPush,
)

MAX_CONNECTED: Final = 64
"""Endpoints of a user that are connected at a time."""

MAX_DEVICE: Final = 128
"""Characters of a device's id."""

UNHEARD: Final = 60.0
"""Seconds for which it is in doubt whether a connection that breaks has brought what it was told: until pings find that out."""

_QUESTIONS: Mapping[type[Message], Callable[[Draft, Endpoint, Any], Turn]] = {
    RegisterForCallPush: questions_on_pushes.register,
    UnregisterFromCallPush: questions_on_pushes.unregister,
    AttendCall: questions_on_calls.attend,
    AcceptCall: questions_on_calls.accept,
    CallReady: questions_on_calls.ready,
    RejectCall: questions_on_calls.reject,
    HangUpCall: questions_on_calls.hang_up,
    SetCallMedia: questions_on_calls.set_media,
}


def refusal(request: int, error: PushError) -> CallRefused:
    """Say on the wire why something cannot be done."""
    return CallRefused(request, type(error).__name__, str(error), error.hresult)


DISPLACED: Final = refusal(0, IllegalCall("another process of this device has connected in its place"))
"""The last word to a connection that another of the same endpoint displaces."""

REMOVED: Final = refusal(0, SenderNotAllowed("the user of this token was removed"))
"""The last word to the connections of a user that was removed."""


class Switchboard:
    """Decides what each event comes to.

    ``now`` is everywhere in seconds on the service's clock, the one that the rows have. What cannot be done is raised as an error, and
    has changed nothing, as all else that is only decided.

    :param calls: those that were kept; the endpoints that are in them count as away from now on.
    :param registrations: those that were kept.
    :param ring_time: seconds for which a call rings at most.
    """

    def __init__(
        self,
        calls: Iterable[CallRow] = (),
        registrations: Iterable[PushRegistration] = (),
        *,
        now: float,
        ring_time: float = 120.0,
    ) -> None:
        self._record = Record()
        self._ring_time = ring_time
        draft = Draft(self._record, now)
        for row in sorted((row.not_ahead_of(now) for row in calls), key=lambda row: row.ended):
            draft.put(row)
            if row.phase is not Phase.ENDED:
                for side in (row.caller, row.callee) if row.answered else (row.caller,):
                    draft.stand(side.endpoint, Standing(side.name, away_since=now))
        for registration in registrations:
            draft.put_registration(registration)
        self.install(draft.turn())

    def install(self, turn: Turn) -> None:
        """Take over what was written."""
        self._record.install(turn)

    def as_installed(self, rows: TurnRows) -> TurnRows:
        """Return how all stands here that other rows are about, which may have been written and were not taken over."""
        return self._record.as_installed(rows)

    @property
    def open_calls(self) -> list[CallRow]:
        """The calls that have not ended."""
        return [row for row in self._record.calls.values() if row.phase is not Phase.ENDED]

    # Time

    def next_due(self) -> float | None:
        """Return the moment at which :meth:`due` has something to do; None: there is none."""
        record = self._record
        moments = (record.calls_due.next(), record.absences_due.next(), record.registrations_due.next())
        return min((each for each in moments if each is not None), default=None)

    def due(self, now: float) -> Turn:
        """Time has passed: calls are not answered, endpoints are lost, registrations expire, and ended calls are forgotten."""
        draft = Draft(self._record, now)
        for call in self._record.calls_due.due(now):
            row = self._record.calls[call]
            if row.phase is Phase.ENDED:
                draft.forget_call(call)
            else:
                draft.step(row, Event.TIMED_OUT)
        for endpoint in self._record.absences_due.due(now):
            for call in self._record.open_calls(endpoint):
                _lose(draft, call, endpoint)
            draft.stand(endpoint, None)
        for endpoint in self._record.registrations_due.due(now):
            draft.forget_registration(endpoint)
        return draft.turn()

    def resume(self, now: float) -> Turn:
        """The service was started anew: ring once more by pushes for what rings, and stop what has been stopped a short while ago."""
        draft = Draft(self._record, now)
        for row in self._record.calls.values():
            if row.phase is Phase.RINGING and row.rings_until > now:
                draft.ring_by_pushes(row)
            elif row.phase is not Phase.RINGING and row.silent_since + STOP_FOR > now:
                draft.stop_pushes(row)
        return draft.turn()

    # Endpoints

    def hello(self, endpoint: Endpoint, hello: CallHello, now: float) -> Turn:
        """An endpoint is connected: calls that it does not list have lost it, and of the others it is told how they stand.

        :raises InvalidArgument: what it says of itself cannot be right.
        :raises Busy: the user has as many endpoints connected as may be.
        """
        _check_hello(endpoint, hello)
        draft = Draft(self._record, now)
        others = [each for each in draft.connected(endpoint.user) if each != endpoint]
        if len(others) >= MAX_CONNECTED:
            raise Busy(f"this user has {MAX_CONNECTED} devices connected, which is as many as may be")
        draft.stand(endpoint, Standing(hello.name, hello.quiet))
        listed = dict.fromkeys(hello.open_calls)
        for call in self._record.open_calls(endpoint):
            if call not in listed:
                _lose(draft, call, endpoint)
        if not hello.quiet:
            listed |= dict.fromkeys(self._record.ringing(endpoint.user))
        for call in listed:
            row = draft.row(call)
            if row is None or not concerns(row, endpoint.user):
                draft.tell_unknown(endpoint, call)
            elif call in hello.open_calls or (row.phase is Phase.RINGING and rings_at(row, endpoint)):
                draft.tell(endpoint, row)
        return draft.turn()

    def left(self, endpoint: Endpoint, now: float, *, said_goodbye: bool = False) -> Turn:
        """An endpoint is connected no more; it may come back within the grace, if it is in a call.

        :param said_goodbye: whether its agent has, by ``CallGoodbye``. Else it may have been gone when it was told last
            that a call rings no more, and is told of that by pushes, too.
        """
        draft = Draft(self._record, now)
        standing = draft.standing(endpoint)
        if standing is not None and standing.away_since is None:
            waits = bool(self._record.open_calls(endpoint))
            draft.stand(endpoint, evolve(standing, away_since=now) if waits else None)
            if not said_goodbye:
                _stop_lately(draft, endpoint)
        return draft.turn()

    def remove_user(self, user: str, now: float) -> Turn:
        """End all of a user: calls, registrations and connections."""
        draft = Draft(self._record, now)
        for row in self.open_calls:
            if concerns(row, user):
                draft.step(row, Event.REMOVED)
        for registration in self._record.registered(user):
            draft.forget_registration(registration.endpoint)
        for endpoint in self._record.known(user):
            if draft.is_connected(endpoint):
                draft.effect(Part(endpoint, REMOVED))
            draft.stand(endpoint, None)
        return draft.turn()

    # What endpoints ask

    def ask(self, endpoint: Endpoint, question: Message, now: float) -> Turn:
        """Decide what a question of a connected endpoint comes to, except for ``StartCall``; the turn has the answer.

        :raises InvalidArgument: something in it cannot be right.
        :raises IllegalCall: it is not for this endpoint to do, or not now.
        :raises Busy: the user has as many calls or registrations as may be.
        :raises ProtocolViolation: it is no question.
        """
        decide = _QUESTIONS.get(type(question))
        if decide is None:
            raise ProtocolViolation(f"{type(question).__name__} is no question to a calling service")
        return decide(Draft(self._record, now, endpoint), endpoint, question)

    def start(self, endpoint: Endpoint, asked: StartCall, context: str, now: float) -> Turn:
        """Ring a user; what is raised is that of :meth:`ask`.

        :param context: unguessable, made anew for each call.
        """
        return questions_on_calls.start(
            Draft(self._record, now, endpoint), endpoint, asked, context, now + self._ring_time
        )

    def pushed(self, push: Push, outcome: Pushed, now: float) -> Turn:
        """A push has come to something: a channel that is gone is forgotten, and what rings nowhere ends."""
        draft = Draft(self._record, now)
        endpoint, row = push.registration.endpoint, self._record.calls.get(push.row.call)
        current = self._record.registrations.get(endpoint)
        if current is None or current.uri != push.registration.uri or outcome not in {Pushed.DROPPED, Pushed.GONE}:
            return draft.turn()
        if outcome is Pushed.GONE:
            draft.forget_registration(endpoint)
        if row is not None and row.phase is Phase.RINGING:
            draft.set_unreached(row.call, draft.unreached(row.call) | {endpoint})
            if not draft.can_ring(row):
                left = [each for each in draft.registered(row.callee.user) if rings_at(row, each.endpoint)]
                draft.step(row, Event.NOT_ONLINE if left else Event.NO_ENDPOINT)
        return draft.turn()


def _lose(draft: Draft, call: str, endpoint: Endpoint) -> None:
    """A call has lost one of the two endpoints that are in it."""
    row = draft.row(call)
    if row is not None and row.phase is not Phase.ENDED:
        draft.step(row, Event.CALLER_LOST if endpoint == row.caller.endpoint else Event.CALLEE_LOST)


def _stop_lately(draft: Draft, endpoint: Endpoint) -> None:
    """Tell an endpoint by pushes what it was told by its connection a short while ago, and may not have heard."""
    for registration in draft.registered(endpoint.user):
        if registration.endpoint == endpoint:
            for row in draft.record.silent(endpoint.user):
                if row.silent_since + UNHEARD > draft.now:
                    draft.stop_push(row, registration)


def _check_hello(endpoint: Endpoint, hello: CallHello) -> None:
    if not (0 < len(endpoint.device) <= MAX_DEVICE and endpoint.device.isprintable()):
        raise InvalidArgument(f"the id of a device has 1 to {MAX_DEVICE} characters that can be printed")
    if len(hello.name) > MAX_CALL_NAME:
        raise InvalidArgument(f"a display name has at most {MAX_CALL_NAME} characters, not {len(hello.name)}")
    if len(hello.open_calls) > MAX_LISTED_CALLS:
        raise InvalidArgument(f"a hello lists up to {MAX_LISTED_CALLS} calls, not {len(hello.open_calls)}")
    for call in hello.open_calls:
        read_call_id(call)
