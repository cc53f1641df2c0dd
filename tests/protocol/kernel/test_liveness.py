"""Actors that stand still."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.kernel.liveness import Liveness, Progress

PROGRESS = st.builds(Progress, st.integers(0, 3), st.booleans())


@given(st.lists(st.fixed_dictionaries({"a": PROGRESS, "b": PROGRESS}), min_size=1, max_size=6))
def test_one_stands_still_that_had_work_and_ended_no_turn(looks: list[dict[str, Progress]]) -> None:
    """Whatever the others do; the first look has nothing to compare with."""
    liveness = Liveness()
    assert liveness.look(looks[0]) == []
    for before, now in pairwise(looks):
        still = [
            name
            for name in now
            if before[name].has_work and now[name].has_work and before[name].turns == now[name].turns
        ]
        assert liveness.look(now) == still
