"""An agent's connection: its table, what an app sees of it, and how long it waits."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law, reachable
from tests.strategies import fractions
from tocsin.protocol.calling.agent_connection import (
    ENDED,
    FINAL,
    LONGEST_WAIT,
    TABLE,
    ConnectionState,
    DisconnectedReason,
    Effect,
    Event,
    Phase,
    event_of_refusal,
    reason_of,
    refresh_after,
    state_of,
    wait_after,
)
from tocsin.protocol.calling.call_at_service import GRACE

OPEN = {Phase.CONNECTING, Phase.CONNECTING_AFRESH, Phase.CONNECTED}
"""The phases in which there is a wire, or one is being opened."""


class TestTable(Law):
    """A connection keeps the law."""

    table = TABLE
    start = Phase.NEW
    events = Event
    effects = Effect
    ends = ENDED

    def test_an_agent_can_be_disposed_of_at_any_time(self) -> None:
        """Until it has been."""
        assert {phase for phase, event in TABLE if event is Event.DISPOSE} == set(Phase) - self.ends

    def test_from_what_is_final_there_is_no_way_back(self) -> None:
        """And from all else there is one to a connection."""
        for phase in Phase:
            assert (Phase.CONNECTED in reachable(TABLE, phase)) == (phase not in FINAL)

    def test_a_token_is_refreshed_once_an_attempt(self) -> None:
        """With a fresh one no other is asked for before the agent has waited, or was welcomed."""
        after, effects = TABLE[Phase.CONNECTING_AFRESH, Event.TOKEN_REFUSED]
        assert Effect.REFRESH_TOKEN not in effects
        assert Effect.BACK_OFF in effects
        assert {event for phase, event in TABLE if phase is after} == {Event.RETRY, Event.DISPOSE}


class Connection(AnyEvent):
    """Anything happens to a connection at any time."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """What is lost is closed and waited after."""
        if event is Event.LOST:
            assert effects == (Effect.CLOSE, Effect.BACK_OFF)
        if self.phase in FINAL:
            assert Effect.BACK_OFF not in effects

    @invariant()
    def at_most_one_wire_is_open(self) -> None:
        """Another one is opened only when the one before was closed."""
        wires = [each for each in self.journal if each in {Effect.CONNECT, Effect.CLOSE}]
        assert (Effect.CONNECT, Effect.CONNECT) not in pairwise(wires)
        assert (wires[-1:] == [Effect.CONNECT]) == (self.phase in OPEN)


TestAnyConnection = Connection.TestCase


@pytest.mark.parametrize("phase", Phase)
def test_what_an_app_sees(phase: Phase) -> None:
    """There is a reason exactly where an agent is not connected, and does not try to be, and has begun."""
    is_down = state_of(phase) is ConnectionState.DISCONNECTED
    assert (reason_of(phase) is not DisconnectedReason.NONE) == (is_down and phase is not Phase.NEW)
    assert (state_of(phase) is ConnectionState.CONNECTED) == (phase is Phase.CONNECTED)


@pytest.mark.parametrize(
    ("phase", "reason"),
    [
        (Phase.WAITING, DisconnectedReason.CONNECTION_ISSUE),
        (Phase.UNTRUSTED, DisconnectedReason.INVALID_TOKEN),
        (Phase.INVALID_TOKEN, DisconnectedReason.INVALID_TOKEN),
        (Phase.REPLACED, DisconnectedReason.REPLACED),
        (Phase.DISPOSED, DisconnectedReason.DISPOSED),
    ],
)
def test_why_it_is_not_connected(phase: Phase, reason: DisconnectedReason) -> None:
    """The reason is that of the phase."""
    assert reason_of(phase) is reason


@pytest.mark.parametrize(
    ("error", "event"),
    [
        ("IllegalCall", Event.REPLACED),
        ("InvalidArgument", Event.TOKEN_REFUSED),
        ("SenderNotAllowed", Event.TOKEN_REFUSED),
        ("NotSupported", Event.LOST),
        ("PlatformUnavailable", Event.LOST),
    ],
)
def test_what_a_last_frame_means(error: str, event: Event) -> None:
    """Another agent, a bad token, or a trouble that may pass."""
    assert event_of_refusal(error) is event


def test_the_wait_doubles_up_to_the_longest() -> None:
    """Half a second, twice as long each time, ten seconds at most."""
    assert [wait_after(failures, 1.0) for failures in range(1, 9)] == [0.5, 1, 2, 4, 8, 10, 10, 10]


@given(st.integers(1, 10**9), fractions())
def test_at_least_half_of_it_is_waited(failures: int, fraction: float) -> None:
    """Chance spreads agents over the upper half, however long the service has been away."""
    assert wait_after(failures, 1.0) / 2 <= wait_after(failures, fraction) <= LONGEST_WAIT


@pytest.mark.parametrize(
    ("left", "after"), [(86_400, 85_800), (3_600, 3_000), (1_200, 600), (600, 300), (4, 10), (-5, 10)]
)
def test_when_a_token_is_refreshed(left: float, after: float) -> None:
    """Ten minutes before its end, of a short one at half of its time, and not without a pause."""
    assert refresh_after(left) == after


def test_a_wrong_time_makes_no_storm() -> None:
    """As a service may send it."""
    assert refresh_after(float("nan")) == 10


def test_an_agent_tries_often_enough_to_be_back_in_its_calls() -> None:
    """However often it has failed, an attempt and the next come within the time that the service waits for it."""
    assert 2 * wait_after(1_000, 1.0) < GRACE
