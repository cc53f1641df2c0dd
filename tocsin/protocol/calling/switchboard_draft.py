"""A turn while it is being decided: what it changes lies over the record, which stays as it is."""

from __future__ import annotations

from itertools import islice
from typing import Any, Final

from attrs import evolve

from tocsin.protocol.calling import call_at_service
from tocsin.protocol.calling.call_at_service import ENDINGS, Event, Phase
from tocsin.protocol.calling.call_reports import is_in, report, rings_at, unknown
from tocsin.protocol.calling.switchboard_record import Record
from tocsin.protocol.calling.switchboard_rows import (
    CallRow,
    Effect,
    Endpoint,
    PushRegistration,
    RingByPush,
    Standing,
    StopByPush,
    Tell,
    Turn,
    TurnRows,
)
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages.base import Message

MAX_REMEMBERED: Final = 1_024
"""Ended calls of one caller that are remembered at most; the one that ended first makes room."""


class Draft:
    """What one event comes to.

    :param asker: the endpoint that gets an answer, and is not told the same besides.
    """

    def __init__(self, record: Record, now: float, asker: Endpoint | None = None) -> None:
        self.record = record
        self.now = now
        self._asker = asker
        self._calls: dict[str, CallRow] = {}
        self._forgotten_calls: dict[str, None] = {}
        self._registrations: dict[Endpoint, PushRegistration] = {}
        self._forgotten_registrations: dict[Endpoint, None] = {}
        self._standings: dict[Endpoint, Standing | None] = {}
        self._unreached: dict[str, frozenset[Endpoint]] = {}
        self._effects: list[Effect] = []

    def turn(self, answer: Message | None = None) -> Turn:
        """Return what it has come to."""
        rows = TurnRows(
            tuple(self._calls.values()),
            tuple(self._forgotten_calls),
            tuple(self._registrations.values()),
            tuple(self._forgotten_registrations),
        )
        return Turn(answer, rows, tuple(self._effects), self._standings, self._unreached)

    # As it stands after what was decided so far

    def row(self, call: str) -> CallRow | None:
        """Return a call."""
        return self._calls.get(call) or self.record.calls.get(call)

    def standing(self, endpoint: Endpoint) -> Standing | None:
        """Return how an endpoint is connected."""
        if endpoint in self._standings:
            return self._standings[endpoint]
        return self.record.standings.get(endpoint)

    def is_connected(self, endpoint: Endpoint) -> bool:
        """Tell whether an endpoint is connected."""
        standing = self.standing(endpoint)
        return standing is not None and standing.away_since is None

    def listens(self, endpoint: Endpoint) -> bool:
        """Tell whether an endpoint is connected and wants to be told by that of calls that ring."""
        standing = self.standing(endpoint)
        return standing is not None and standing.away_since is None and not standing.quiet

    def connected(self, user: str) -> list[Endpoint]:
        """Return the connected endpoints of a user."""
        known = dict.fromkeys((*self.record.known(user), *(each for each in self._standings if each.user == user)))
        return [endpoint for endpoint in known if self.is_connected(endpoint)]

    def registered(self, user: str) -> list[PushRegistration]:
        """Return the push registrations of a user that are in force."""
        gone = self._forgotten_registrations
        return [each for each in self.record.registered(user) if each.endpoint not in gone and each.expires > self.now]

    def unreached(self, call: str) -> frozenset[Endpoint]:
        """Return the endpoints that no push reaches for a call."""
        return self._unreached.get(call, self.record.unreached.get(call, frozenset()))

    def can_ring(self, row: CallRow) -> bool:
        """Tell whether a call rings anywhere, or may yet: at a connected endpoint, or where a push may reach."""
        unreached = self.unreached(row.call)
        listening = (each for each in self.connected(row.callee.user) if self.listens(each))
        pushed = (each.endpoint for each in self.registered(row.callee.user) if each.endpoint not in unreached)
        return any(rings_at(row, each) for each in (*listening, *pushed))

    # Changing

    def stand(self, endpoint: Endpoint, standing: Standing | None) -> None:
        """An endpoint is connected in another way than before."""
        self._standings[endpoint] = standing

    def put(self, row: CallRow) -> None:
        """Keep a call."""
        self._calls[row.call] = row

    def forget_call(self, call: str) -> None:
        """Keep a call no more."""
        self._forgotten_calls[call] = None

    def put_registration(self, registration: PushRegistration) -> None:
        """Keep a registration."""
        self._registrations[registration.endpoint] = registration

    def forget_registration(self, endpoint: Endpoint) -> None:
        """Keep a registration no more."""
        self._forgotten_registrations[endpoint] = None

    def set_unreached(self, call: str, endpoints: frozenset[Endpoint]) -> None:
        """Note the endpoints that no push reaches for a call."""
        self._unreached[call] = endpoints

    def effect(self, effect: Effect) -> None:
        """Have something done."""
        self._effects.append(effect)

    def tell(self, endpoint: Endpoint, row: CallRow) -> None:
        """Tell an endpoint how a call stands, if it is connected, and is not answered that."""
        if endpoint != self._asker and self.is_connected(endpoint):
            self._effects.append(Tell(endpoint, report(row, endpoint, self.now)))

    def tell_unknown(self, endpoint: Endpoint, call: str) -> None:
        """Tell an endpoint that there is no such call of its user."""
        self._effects.append(Tell(endpoint, unknown(call, 0)))

    def step(self, row: CallRow, event: Event, **changes: Any) -> CallRow:
        """Something happens to a call: take it a step on, with what else changes of it."""
        phase, effects = step(call_at_service.TABLE, row.phase, event)
        if phase is Phase.ENDED:
            reason = ENDINGS[row.phase, event]
            changes |= {"ended": self.now, "code": reason.code, "subcode": reason.subcode}
            self._make_room(row.caller.user)
        row = evolve(row, phase=phase, **changes)
        self._calls[row.call] = row
        for effect in effects:
            _PERFORM[effect](self, row)
        return row

    def _make_room(self, caller: str) -> None:
        """Forget of a caller's ended calls what is more than is remembered."""
        ending = sum(each.phase is Phase.ENDED and each.caller.user == caller for each in self._calls.values())
        spare = self.record.count_ended(caller) + ending + 1 - MAX_REMEMBERED
        for call in islice(self.record.ended(caller), max(spare, 0)):
            self._forgotten_calls[call] = None

    # Effects

    def _stop_ringing(self, row: CallRow) -> None:
        for endpoint in self.connected(row.callee.user):
            if rings_at(row, endpoint) and not is_in(row, endpoint):
                self.tell(endpoint, row)
        self.stop_pushes(row)

    def stop_pushes(self, row: CallRow) -> None:
        """Tell the endpoints by pushes that a call rings no more, except for those that are told by their connections."""
        for registration in self.registered(row.callee.user):
            self.stop_push(row, registration)

    def stop_push(self, row: CallRow, registration: PushRegistration) -> None:
        """Tell one of them."""
        endpoint = registration.endpoint
        if rings_at(row, endpoint) and not is_in(row, endpoint) and not self.is_connected(endpoint):
            self._effects.append(StopByPush(registration, row))

    def ring(self, row: CallRow) -> None:
        """Ring wherever it can be."""
        for endpoint in self.connected(row.callee.user):
            if rings_at(row, endpoint) and self.listens(endpoint):
                self.tell(endpoint, row)
        self.ring_by_pushes(row)

    def ring_by_pushes(self, row: CallRow) -> None:
        """Ring all registrations of the callee."""
        for registration in self.registered(row.callee.user):
            if rings_at(row, registration.endpoint):
                self._effects.append(RingByPush(registration, row))

    def _tell_sides(self, row: CallRow) -> None:
        self.tell(row.caller.endpoint, row)
        self.tell(row.callee.endpoint, row)


_PERFORM: Final = {
    call_at_service.Effect.STOP_RINGING: Draft._stop_ringing,  # noqa: SLF001  # one table for all drafts
    call_at_service.Effect.TELL_SIDES: Draft._tell_sides,  # noqa: SLF001
}
