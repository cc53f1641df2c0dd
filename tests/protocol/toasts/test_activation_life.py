"""One click: who has it, what is started for it, and that it comes to one end."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.toasts.activation_life import (
    ENDS,
    MAX_DEATHS,
    TABLE,
    WAIT,
    Effect,
    Event,
    Phase,
    event_of_departure,
    time_left,
)

LOST = {
    Event.EXPIRED,
    Event.OVERFLOW,
    Event.LAUNCH_FAILED,
    Event.LAUNCH_TIMED_OUT,
    Event.OPEN_FAILED,
    Event.GONE_TOO_OFTEN,
}
"""What lets a click come to nothing."""


class TestTable(Law):
    """A click keeps the law."""

    table = TABLE
    start = Phase.WAITING
    events = Event
    effects = Effect
    ends = frozenset({Phase.DONE, Phase.FAILED, Phase.EXPIRED})

    def test_it_is_kept_until_its_end_and_no_longer(self) -> None:
        """Each row that leads to an end settles it, and no other does."""
        for after, effects in TABLE.values():
            assert (Effect.SETTLE in effects) == (after in ENDS)

    def test_what_comes_to_nothing_is_said(self) -> None:
        """With a reason, and nothing else is."""
        for (_, event), (_, effects) in TABLE.items():
            assert (Effect.REPORT in effects) == (event in LOST)

    def test_an_app_may_say_at_any_time_that_it_is_done(self) -> None:
        """Also a session of before a restart."""
        assert {phase for phase, event in TABLE if event is Event.DONE} == set(Phase) - ENDS

    def test_a_click_of_an_app_that_is_removed_ends_without_a_word(self) -> None:
        """Wherever it stands."""
        assert {phase for phase, event in TABLE if event is Event.FORGOTTEN} == set(Phase) - ENDS


class Clicks(AnyEvent):
    """One click after the other, whatever happens to them."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """A session has it exactly where it was offered to one."""
        assert (Effect.OFFER in effects) == (self.phase is Phase.OFFERED)
        assert (Effect.OPEN in effects) == (self.phase is Phase.OPENING) == (event is Event.OPEN)

    @invariant()
    def each_launch_has_a_budget(self) -> None:
        """From its start on."""
        assert self.count(Effect.LAUNCH) == self.count(Effect.START_BUDGET)

    @invariant()
    def a_process_is_stopped_only_if_one_was_launched(self) -> None:
        """Once at most."""
        assert self.count(Effect.STOP_LAUNCH) <= self.count(Effect.LAUNCH) - (self.phase is Phase.LAUNCHING)

    @invariant()
    def it_ends_once(self) -> None:
        """And is kept until then."""
        assert self.count(Effect.SETTLE) == (self.phase in ENDS)


TestAnyClick = Clicks.TestCase


@pytest.mark.parametrize(
    ("at", "now", "left"),
    [
        (100.0, 100.0, WAIT),
        (100.0, 160.0, WAIT - 60),
        (100.0, 100.0 + WAIT, 0.0),
        (100.0, 1e9, 0.0),
        (1e9, 100.0, WAIT),
    ],
)
def test_a_click_waits_for_an_hour(at: float, now: float, left: float) -> None:
    """From when it was made, and never longer, whatever the clock was set to."""
    assert time_left(at, now) == left


def test_the_third_death_is_one_too_many() -> None:
    """A click that kills its app is not what starts it for ever."""
    found = [event_of_departure(deaths) for deaths in range(1, MAX_DEATHS + 1)]
    assert found == [Event.SESSION_GONE, Event.SESSION_GONE, Event.GONE_TOO_OFTEN]
