"""How a node that drains sends its devices away."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.service.nodes.returning import Returning, ReturnPolicy

POLICY = ReturnPolicy(per_node=100, shortest=1, longest=60)


@pytest.mark.parametrize(
    ("devices", "others", "span"), [(0, 2, 1), (100, 2, 1), (1_000, 2, 5), (1_000_000, 2, 60), (1, 0, 60)]
)
def test_it_takes_as_long_as_the_others_bear(devices: int, others: int, span: float) -> None:
    """Within bounds, so that a node always leaves."""
    assert POLICY.span(devices, others) == span


@given(devices=st.integers(0, 500), span=st.sampled_from([0.0, 1.0, 7.0]), steps=st.lists(st.floats(0, 2)))
def test_they_go_evenly(devices: int, span: float, steps: list[float]) -> None:
    """Never more than the share of the time that is over, each once, and all at its end."""
    returning, now = Returning(devices, 10.0, span), 10.0
    for step in steps:
        now += step
        returning.tell(returning.due(now))
        assert returning.due(now) == 0
        assert now >= returning.ends or returning.told <= devices * (now - 10) / span
    returning.tell(returning.due(returning.ends))
    assert returning.told == devices


def test_an_alarm_for_the_next_finds_one() -> None:
    """Or the end, where all have been told: some may have come since."""
    returning = Returning(4, 0.0, 8.0)
    assert returning.next_due() == 2.0
    assert returning.due(returning.next_due()) == 1
    returning.tell(4)
    assert returning.next_due() == returning.ends == 8.0
