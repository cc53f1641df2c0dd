"""The device's connection: its attempts, its greeting, its loss, and the time between attempts."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tests.strategies import fractions
from tocsin.protocol.connection import TABLE, Effect, Event, Phase, ReconnectPolicy


class TestTable(Law):
    """A connection keeps the law."""

    table = TABLE
    start = Phase.DOWN
    events = Event
    effects = Effect
    ends = frozenset({Phase.CLOSED})

    def test_it_can_be_closed_at_any_time(self) -> None:
        """Closing is the end, whatever was going on."""
        closing = {phase: TABLE[phase, event][0] for phase, event in TABLE if event is Event.CLOSE}
        assert closing == dict.fromkeys(set(Phase) - self.ends, Phase.CLOSED)

    def test_it_can_be_lost_at_any_time_since_the_attempt(self) -> None:
        """A loss leads back to where it began."""
        lost = {phase: TABLE[phase, event][0] for phase, event in TABLE if event is Event.LOST}
        assert lost == dict.fromkeys([Phase.CONNECTING, Phase.GREETING, Phase.UP], Phase.DOWN)

    def test_finished_it_only_waits_for_its_end(self) -> None:
        """What is not up has nothing to say, and ends at once; what is up reads no more, and cannot come up again."""
        finished = {phase: TABLE[phase, event] for phase, event in TABLE if event is Event.FINISH}
        assert {effects for phase, (_, effects) in finished.items() if phase not in {Phase.UP, Phase.FINISHING}} == {
            (Effect.GIVE_UP,)
        }
        assert finished[Phase.UP] == (Phase.FINISHING, (Effect.STOP_READING,))
        assert {TABLE[phase, event][0] for phase, event in TABLE if phase is Phase.FINISHING} == {
            Phase.FINISHING,
            Phase.CLOSED,
        }


class Connection(AnyEvent):
    """Anything happens to a connection at any time."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """A loss is reported and waited after, a success is reported, and nothing else is."""
        assert (Effect.REPORT_DOWN in effects) == (Effect.BACK_OFF in effects) == (event is Event.LOST)
        assert (Effect.REPORT_UP in effects) == (event is Event.WELCOMED)

    @invariant()
    def the_last_report_says_whether_it_is_up(self) -> None:
        """Whoever listens to the reports knows whether there is a connection, and is not told so twice."""
        reports = [effect for effect in self.journal if effect in {Effect.REPORT_UP, Effect.REPORT_DOWN}]
        assert (Effect.REPORT_UP, Effect.REPORT_UP) not in pairwise(reports)
        if self.phase is not Phase.CLOSED:
            assert (reports[-1:] == [Effect.REPORT_UP]) == (self.phase in {Phase.UP, Phase.FINISHING})

    @invariant()
    def at_most_one_wire_is_open(self) -> None:
        """A new wire is opened only when the one before was closed, or failed to open."""
        failed_to_open = self.count(Effect.BACK_OFF) - self.closed_by_loss()
        wires = self.count(Effect.OPEN_WIRE) - self.count(Effect.CLOSE_WIRE) - failed_to_open
        assert wires == (self.phase in {Phase.CONNECTING, Phase.GREETING, Phase.UP, Phase.FINISHING})

    @invariant()
    def the_greeting_comes_first(self) -> None:
        """No connection is up before the device has said hello on it."""
        assert self.count(Effect.REPORT_UP) <= self.count(Effect.SEND_HELLO) <= self.count(Effect.OPEN_WIRE)

    def closed_by_loss(self) -> int:
        """Count the losses that left a wire to close."""
        return sum(pair == (Effect.CLOSE_WIRE, Effect.REPORT_DOWN) for pair in pairwise(self.journal))


TestAnyEvent = Connection.TestCase


class TestReconnectPolicy:
    """How long until the next attempt to connect."""

    def test_the_span_doubles_up_to_the_longest(self) -> None:
        """A quarter of a second, twice as long each time, half a minute at most."""
        policy = ReconnectPolicy()
        waits = [policy.wait(failures, 1.0) for failures in range(1, 11)]
        assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]

    @given(st.integers(1, 10**9), fractions())
    def test_at_least_half_of_the_span_is_waited(self, failures: int, fraction: float) -> None:
        """Chance spreads devices over the upper half, however long the service has been away."""
        span = ReconnectPolicy().wait(failures, 1.0)
        assert span / 2 <= ReconnectPolicy().wait(failures, fraction) <= span <= 30.0

    @given(st.integers(1, 100), fractions())
    def test_the_wait_never_shrinks_with_more_failures(self, failures: int, fraction: float) -> None:
        """The same chance gives no shorter wait later."""
        policy = ReconnectPolicy()
        assert policy.wait(failures, fraction) <= policy.wait(failures + 1, fraction)

    @given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.integers(1, 1000), fractions())
    def test_any_policy_keeps_its_longest(self, first: float, longest: float, failures: int, fraction: float) -> None:
        """No wait is longer than the longest, even where the first would be."""
        assert 0 < ReconnectPolicy(first, longest).wait(failures, fraction) <= longest

    @pytest.mark.parametrize("wrong", [{"first": 0.0}, {"longest": -1.0}, {"longest": math.nan}])
    def test_a_policy_without_waits_is_refused(self, wrong: dict[str, float]) -> None:
        """A device that does not wait would storm its service."""
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ReconnectPolicy(**wrong)
