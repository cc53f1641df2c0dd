"""The registration for pushes about calls: its table, and when it is renewed."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tests.strategies import fractions
from tocsin.protocol.calling.push_registration import (
    DEFAULT_TTL,
    MAX_TEAMS_TTL,
    MAX_TTL,
    MIN_TTL,
    OFFLINE,
    TABLE,
    Effect,
    Event,
    Phase,
    check_ttl,
    event_of_refusal,
    renewal_after,
    retry_after,
)
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.hresult import HResult

SENDS = {Effect.SEND_REGISTER, Effect.SEND_UNREGISTER}
ARMS = {Effect.ARM_RENEWAL, Effect.ARM_RETRY}
OFF = {Phase.WAITING, Phase.ADRIFT, Phase.LEAVING}
"""The phases in which something waits for a connection."""


class TestTable(Law):
    """A registration keeps the law."""

    table = TABLE
    start = Phase.UNREGISTERED
    events = Event
    effects = Effect

    def test_what_the_app_wants_is_legal_at_any_time(self) -> None:
        """With a connection or without."""
        for phase in Phase:
            legal = {event for before, event in TABLE if before is phase}
            assert (phase in OFF) or set(OFFLINE) <= legal
            assert (phase not in OFF | {Phase.UNREGISTERED}) or set(OFFLINE.values()) <= legal

    def test_what_the_app_wanted_last_is_sent(self) -> None:
        """At once, or on the next connection."""
        for (_, event), (after, effects) in TABLE.items():
            if event is Event.REGISTER:
                assert Effect.SEND_REGISTER in effects
            elif event is Event.UNREGISTER:
                assert Effect.SEND_UNREGISTER in effects
            elif event is Event.REGISTER_OFFLINE:
                assert Effect.SEND_REGISTER in TABLE[after, Event.CONNECTED][1]
            elif event is Event.UNREGISTER_OFFLINE:
                assert Effect.SEND_UNREGISTER in TABLE[after, Event.CONNECTED][1]


class Registration(AnyEvent):
    """Anything happens to a registration at any time."""

    law = TestTable

    def __init__(self) -> None:
        super().__init__()
        self.is_armed = False

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """One alarm at most runs, and only while it is registered; nothing is sent without a connection."""
        if event is Event.DUE:
            assert self.is_armed
            self.is_armed = False
        for effect in effects:
            if effect in ARMS:
                assert not self.is_armed
                self.is_armed = True
            elif effect is Effect.DISARM:
                assert self.is_armed
                self.is_armed = False
        assert self.is_armed == (self.phase is Phase.REGISTERED)
        if SENDS & set(effects):
            assert self.phase in {Phase.REGISTERING, Phase.RENEWING, Phase.UNREGISTERING}
        if event is Event.LOST:
            assert not SENDS & set(effects)

    @invariant()
    def an_answer_is_told_to_those_that_wait(self) -> None:
        """As often as there are questions at most."""
        told = self.count(Effect.TELL_DONE, Effect.TELL_FAILED)
        assert told <= self.count(*SENDS)


TestAnyRegistration = Registration.TestCase


class TestTimes:
    """How long it holds, and when it is renewed."""

    @pytest.mark.parametrize("ttl", [MIN_TTL, DEFAULT_TTL, 2_160_000, MAX_TTL])
    def test_what_may_be_asked_for(self, ttl: float) -> None:
        """From 5 minutes to 180 days; the sample of the calling SDK has 25 days."""
        check_ttl(ttl)

    @pytest.mark.parametrize(
        ("ttl", "is_teams"),
        [(MIN_TTL - 1, False), (MAX_TTL + 1, False), (MAX_TEAMS_TTL + 1, True), (MIN_TTL - 1, True), (0, False)],
    )
    def test_what_may_not_be_asked_for(self, ttl: float, is_teams: bool) -> None:
        """The sentence has the limits."""
        with pytest.raises(InvalidArgument, match=r"must be from 300 to \d+ seconds") as refused:
            check_ttl(ttl, is_teams=is_teams)
        assert refused.value.hresult == HResult.E_INVALIDARG

    @pytest.mark.parametrize("ttl", [math.nan, math.inf, "86400", None])
    def test_what_is_no_time(self, ttl: Any) -> None:
        """A number is."""
        with pytest.raises(InvalidArgument, match="the push notification TTL must be a"):
            check_ttl(ttl)

    @given(st.floats(MIN_TTL, MAX_TTL))
    def test_it_is_renewed_in_time(self, granted: float) -> None:
        """Well before it is over: a fifth of its time is left for tries that fail."""
        assert renewal_after(granted) == pytest.approx(0.8 * granted)

    @given(st.floats())
    def test_whatever_is_granted_makes_no_storm(self, granted: float) -> None:
        """Nor is it never renewed."""
        assert 60 <= renewal_after(granted) <= MAX_TTL

    @given(st.integers(1, 10**6), fractions())
    def test_tries_come_less_and_less(self, failures: int, fraction: float) -> None:
        """From seconds to ten minutes."""
        assert 2.5 <= retry_after(failures, fraction) <= retry_after(failures + 1, 1.0) <= 600

    @pytest.mark.parametrize(
        ("error", "event"),
        [
            ("InvalidArgument", Event.REFUSED),
            ("IllegalCall", Event.REFUSED),
            ("Busy", Event.TRY_LATER),
            ("StateUnavailable", Event.TRY_LATER),
            ("PushError", Event.TRY_LATER),
            ("NotSupported", Event.TRY_LATER),
            ("AnErrorToCome", Event.REFUSED),
        ],
    )
    def test_which_refusals_may_pass(self, error: str, event: Event) -> None:
        """Those that say that the service is not able to, just now."""
        assert event_of_refusal(error) is event
