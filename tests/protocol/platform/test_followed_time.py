"""The service's time at a node follows a clock that nodes share, and never goes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.platform.service_time import SLEW, FollowedTime

START = 1.8e9
FINE = 1e-6  # what a time since the epoch may be off by

SPANS = st.floats(0, 100) | st.sampled_from([0.0, 1e-9, 1e-7])


@pytest.mark.hypothesis
@given(
    st.lists(
        st.tuples(SPANS, st.none() | st.tuples(st.floats(-1e5, 1e5), st.floats(0, 2), st.floats(0, 1))), max_size=20
    )
)
def test_it_never_goes_back(steps: list[tuple[float, tuple[float, float, float] | None]]) -> None:
    """Whatever the shared clock is set to, and however long its answers take; and it goes neither much faster nor slower."""
    steady, off = 0.0, 0.0
    time = FollowedTime.heard(START, 0.0, 0.0)
    before = time.at(steady)
    for seconds, heard in steps:
        steady += seconds
        now = time.at(steady)
        assert seconds * (1 - SLEW) - FINE <= now - before <= seconds * (1 + SLEW) + FINE
        assert now >= before
        before = now
        if heard is not None:
            off, trip, part = heard
            asked, steady = steady, steady + trip
            arrived = time.at(steady)
            assert arrived >= before
            time.hear(START + off + asked + part * trip, asked, steady)
            assert time.at(steady) == arrived
            before = arrived


@pytest.mark.hypothesis
@given(st.floats(-50, 50), st.floats(0, 0.2), st.floats(0, 1))
def test_it_comes_to_what_the_shared_clock_says(off: float, trip: float, part: float) -> None:
    """To a round trip, in ten times as long as it was off; then it goes as that does."""
    time = FollowedTime.heard(START, 0.0, 0.0)
    time.hear(START + off + part * trip, 0.0, trip)
    steady = trip + abs(off) / SLEW + trip / SLEW
    for later in (0.0, 1_000.0):
        assert abs(time.at(steady + later) - (START + off + steady + later)) <= trip + FINE


def test_what_may_be_right_is_not_changed() -> None:
    """An answer that took long says less than what is known."""
    time = FollowedTime.heard(START, 0.0, 0.01)
    time.hear(START + 10.0, 10.0, 15.0)
    assert time.at(100.0) == pytest.approx(START + 100 - 0.005, abs=FINE)
