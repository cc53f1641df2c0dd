"""Which messages were taken up, where their numbers may come late."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.service.hub.taken_messages import TakenMessages


@pytest.mark.hypothesis
@given(st.permutations(range(1, 12)), st.lists(st.floats(0, 3), min_size=11, max_size=11))
def test_none_is_passed_over_and_none_taken_twice(order: list[int], waits: list[float]) -> None:
    """Whatever comes late by less than that; what is remembered is of that time only."""
    taken, now, seen = TakenMessages(40.0), 0.0, set[int]()
    for number, wait in zip(order, waits, strict=True):
        now += wait
        assert number > taken.after
        assert taken.is_new(number)
        taken.take(number, now)
        seen.add(number)
        assert not any(taken.is_new(each) for each in seen if each > taken.after)
    taken.take(99, now + 41.0)
    assert taken.after == 11
    assert not taken.is_new(99)


def test_in_order_the_last_is_enough() -> None:
    """Nothing is remembered beside it."""
    taken = TakenMessages(0.0)
    for number in (3, 5):
        taken.take(number, 1.0)
        assert taken.after == number
