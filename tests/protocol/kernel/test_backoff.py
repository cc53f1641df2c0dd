"""Waits that double with each failure."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.kernel.backoff import backoff


def test_each_wait_is_twice_the_one_before() -> None:
    """Until the longest is reached, however many failures there are."""
    assert [backoff(1.0, 10.0, failures) for failures in range(1, 7)] == [1, 2, 4, 8, 10, 10]
    assert backoff(1.0, 10.0, 10**9) == 10


@given(st.floats(0.001, 60), st.integers(1, 10_000), st.floats(0, 1))
def test_chance_takes_away_half_at_most(first: float, failures: int, fraction: float) -> None:
    """The wait lies in the upper half of what it would be without."""
    whole = backoff(first, 60.0, failures)
    assert whole / 2 <= backoff(first, 60.0, failures, fraction) <= whole
