"""Token buckets."""

from __future__ import annotations

import pytest
from attrs import define
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.kernel.throttle import Throttle

steps = st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 40)), max_size=60)
rates = st.sampled_from([0.25, 1, 4])


@define
class Bucket:
    """A bucket as one would draw it: tokens that trickle in."""

    tokens: float
    at: float = 0.0

    def take(self, now: float, rate: float, burst: int) -> bool:
        """Let in what has come since, and take one if there is one."""
        self.tokens = min(burst, self.tokens + (now - self.at) * rate)
        self.at = now
        if self.tokens < 1:
            return False
        self.tokens -= 1
        return True


@given(steps, rates, st.integers(1, 5))
def test_a_throttle_is_a_bucket_for_each_key(steps: list[tuple[str, int]], rate: float, burst: int) -> None:
    """It says yes and no where buckets that are filled drop by drop do."""
    throttle, model, now = Throttle(rate, burst), {key: Bucket(burst) for key in "ab"}, 0.0
    for key, quarters in steps:
        now += quarters / 4
        assert (throttle.spend(key, now) == 0) == model[key].take(now, rate, burst)


@given(steps, rates, st.integers(1, 5))
def test_who_waits_as_told_is_served(steps: list[tuple[str, int]], rate: float, burst: int) -> None:
    """The wait that is told is enough, half of it is not, and asking in vain costs nothing."""
    throttle, now = Throttle(rate, burst), 0.0
    for key, quarters in steps:
        now += quarters / 4
        peeked = throttle.peek(key, now)
        wait = throttle.spend(key, now)
        assert peeked == wait
        if wait:
            assert throttle.spend(key, now + wait / 2) > 0
            now += wait
            assert throttle.spend(key, now) == 0


@given(steps, rates, st.integers(1, 5), st.integers(1, 7))
def test_several_tokens_are_as_many_single_ones(
    steps: list[tuple[str, int]], rate: float, burst: int, tokens: int
) -> None:
    """So a bucket has a part of its rate and of its burst; there is always room for one who waits."""
    throttle, many, now = Throttle(rate, burst), min(tokens, burst), 0.0
    singles = Throttle(rate / many, 1) if burst == many else None
    for key, quarters in steps:
        now += quarters / 4
        wait = throttle.spend(key, now, tokens)
        assert wait <= many / rate
        if singles is not None:
            assert (singles.spend(key, now) == 0) == (wait == 0)


def test_without_a_rate_there_is_no_limit() -> None:
    """Nothing is refused, and nothing is remembered."""
    throttle = Throttle(0, 1)
    assert not any(throttle.spend("a", 0) for _ in range(100))
    assert len(throttle) == 0


@given(st.lists(st.integers(0, 30), max_size=200))
def test_memory_is_bounded(keys: list[int]) -> None:
    """However many come, no more than the capacity are remembered."""
    throttle = Throttle(1, 2, capacity=4)
    for now, key in enumerate(keys):
        throttle.spend(str(key), now / 8)
        assert len(throttle) <= 4


def test_full_buckets_are_forgotten() -> None:
    """When the others have filled up again, newcomers take their places: two for each."""
    throttle = Throttle(1, 1)
    for number in range(100):
        throttle.spend(str(number), 0)
    for number in range(100):
        throttle.spend(f"late {number}", 10)
    assert len(throttle) == 100


@pytest.mark.parametrize("now", [0.0, 1e9])
def test_an_empty_bucket_is_not_forgotten_for_others(now: float) -> None:
    """Up to the capacity, who has used up their tokens stays known, however many others come."""
    throttle = Throttle(0.001, 1)
    assert throttle.spend("greedy", now) == 0
    for number in range(1000):
        throttle.spend(str(number), now)
    assert throttle.spend("greedy", now) == pytest.approx(1000)
