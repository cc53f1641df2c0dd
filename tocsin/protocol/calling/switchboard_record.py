"""What a calling service knows, by whatever it is looked up by."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from hashlib import sha256
from typing import Final, TypeVar

from tocsin.protocol.calling.call_at_service import GRACE, SETUP_TIME, Phase
from tocsin.protocol.calling.moments import Moments
from tocsin.protocol.calling.switchboard_rows import CallRow, Endpoint, PushRegistration, Standing, Turn, TurnRows

REMEMBERED: Final = 86_400.0
"""Seconds for which an ended call is remembered."""

K = TypeVar("K")
V = TypeVar("V")
_NONE: Final[dict[str, None]] = {}


class Record:
    """Rows and standings, with their indexes; only :meth:`install` changes it."""

    def __init__(self) -> None:
        self.calls: dict[str, CallRow] = {}
        self.registrations: dict[Endpoint, PushRegistration] = {}
        self.standings: dict[Endpoint, Standing] = {}
        self.unreached: dict[str, frozenset[Endpoint]] = {}
        self.calls_due: Moments[str] = Moments()
        self.absences_due: Moments[Endpoint] = Moments()
        self.registrations_due: Moments[Endpoint] = Moments()
        self._open: defaultdict[Endpoint, dict[str, None]] = defaultdict(dict)
        self._ringing: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._ended: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._silent: defaultdict[str, dict[str, None]] = defaultdict(dict)
        self._registered: defaultdict[str, dict[Endpoint, None]] = defaultdict(dict)
        self._known: defaultdict[str, dict[Endpoint, None]] = defaultdict(dict)
        self._by_context: dict[bytes, str] = {}
        self._by_uri: dict[str, Endpoint] = {}

    # Looking up

    def open_calls(self, endpoint: Endpoint) -> tuple[str, ...]:
        """Return the open calls that an endpoint is in."""
        return tuple(self._open.get(endpoint, _NONE))

    def ringing(self, user: str) -> tuple[str, ...]:
        """Return the calls that ring for a user."""
        return tuple(self._ringing.get(user, _NONE))

    def silent(self, callee: str) -> list[CallRow]:
        """Return the calls that have rung for a user and do not any more."""
        return [self.calls[call] for call in self._silent.get(callee, _NONE)]

    def ended(self, caller: str) -> Iterator[str]:
        """Return the ended calls that a user has started, the one that ended first first."""
        return iter(self._ended.get(caller, _NONE))

    def count_ended(self, caller: str) -> int:
        """Count them."""
        return len(self._ended.get(caller, _NONE))

    def registered(self, user: str) -> list[PushRegistration]:
        """Return the push registrations of a user."""
        return [self.registrations[endpoint] for endpoint in self._registered.get(user, ())]

    def known(self, user: str) -> list[Endpoint]:
        """Return the endpoints of a user that have a standing."""
        return list(self._known.get(user, ()))

    def of_context(self, context: str) -> CallRow | None:
        """Find a call by what its pushes have as ``cp``; looked up by its hash, so that time tells nothing about others."""
        call = self._by_context.get(_hashed(context))
        return None if call is None else self.calls[call]

    def of_uri(self, uri: str) -> Endpoint | None:
        """Find the endpoint that a channel rings."""
        return self._by_uri.get(uri)

    # Taking over

    def install(self, turn: Turn) -> None:
        """Take over a turn."""
        for call in turn.rows.forgotten_calls:
            self._forget_call(call)
        for row in turn.rows.calls:
            self._keep_call(row)
        for endpoint in turn.rows.forgotten_registrations:
            self._forget_registration(endpoint)
        for registration in turn.rows.registrations:
            self._keep_registration(registration)
        for endpoint, standing in turn.standings.items():
            self._stand(endpoint, standing)
        for call, unreached in turn.unreached.items():
            if self.calls[call].phase is Phase.RINGING:
                self.unreached[call] = unreached

    def as_installed(self, rows: TurnRows) -> TurnRows:
        """Return how all stands here that these rows are about."""
        calls = (*(row.call for row in rows.calls), *rows.forgotten_calls)
        endpoints = (*(each.endpoint for each in rows.registrations), *rows.forgotten_registrations)
        known, registered = self.calls, self.registrations
        return TurnRows(
            tuple(known[call] for call in calls if call in known),
            tuple(call for call in calls if call not in known),
            tuple(registered[endpoint] for endpoint in endpoints if endpoint in registered),
            tuple(endpoint for endpoint in endpoints if endpoint not in registered),
        )

    def _keep_call(self, row: CallRow) -> None:
        self._drop_indexes(row.call)
        self.calls[row.call] = row
        self._by_context[_hashed(row.context)] = row.call
        self.calls_due.set(row.call, _moment_of(row))
        if row.phase is Phase.ENDED:
            self._ended[row.caller.user][row.call] = None
        else:
            self._open[row.caller.endpoint][row.call] = None
            if row.answered:
                self._open[row.callee.endpoint][row.call] = None
        if row.phase is Phase.RINGING:
            self._ringing[row.callee.user][row.call] = None
        else:
            self._silent[row.callee.user][row.call] = None
            self.unreached.pop(row.call, None)

    def _forget_call(self, call: str) -> None:
        self._drop_indexes(call)
        self.calls_due.set(call, None)
        self.unreached.pop(call, None)
        self.calls.pop(call, None)

    def _drop_indexes(self, call: str) -> None:
        row = self.calls.get(call)
        if row is None:
            return
        self._by_context.pop(_hashed(row.context), None)
        _drop(self._open, row.caller.endpoint, call)
        _drop(self._open, row.callee.endpoint, call)
        _drop(self._ringing, row.callee.user, call)
        _drop(self._ended, row.caller.user, call)
        _drop(self._silent, row.callee.user, call)

    def _keep_registration(self, registration: PushRegistration) -> None:
        endpoint = registration.endpoint
        self._forget_registration(endpoint)
        self.registrations[endpoint] = registration
        self._by_uri[registration.uri] = endpoint
        self._registered[endpoint.user][endpoint] = None
        self.registrations_due.set(endpoint, registration.expires)

    def _forget_registration(self, endpoint: Endpoint) -> None:
        former = self.registrations.pop(endpoint, None)
        if former is not None:
            self._by_uri.pop(former.uri, None)
            _drop(self._registered, endpoint.user, endpoint)
            self.registrations_due.set(endpoint, None)

    def _stand(self, endpoint: Endpoint, standing: Standing | None) -> None:
        if standing is None:
            self.standings.pop(endpoint, None)
            _drop(self._known, endpoint.user, endpoint)
        else:
            self.standings[endpoint] = standing
            self._known[endpoint.user][endpoint] = None
        since = None if standing is None else standing.away_since
        self.absences_due.set(endpoint, None if since is None else since + GRACE)


def _moment_of(row: CallRow) -> float | None:
    """Return when something is due about a call, if nothing happens to it until then."""
    if row.phase is Phase.RINGING:
        return row.rings_until
    if row.phase is Phase.CONNECTING:
        return row.answered + SETUP_TIME
    return row.ended + REMEMBERED if row.phase is Phase.ENDED else None


def _hashed(context: str) -> bytes:
    return sha256(context.encode("utf-8", "surrogatepass")).digest()


def _drop(index: defaultdict[K, dict[V, None]], key: K, value: V) -> None:
    """Take something out of an index, and what is empty then."""
    if key in index:
        index[key].pop(value, None)
        if not index[key]:
            del index[key]
