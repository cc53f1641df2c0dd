"""Python's garbage collector in a process of ours."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tocsin.collector import collect_rarely


@pytest.fixture(autouse=True)
def thresholds() -> Iterator[None]:
    """Leave the collector of the tests as it was."""
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_what_is_under_way_is_not_taken_for_what_stays() -> None:
    """As many containers as are under way at most come and go without a look at them; garbage is collected still."""
    collect_rarely()
    gc.collect()
    before = gc.get_stats()[0]["collections"]
    under_way = [[number] for number in range(8_000)]
    assert len(under_way) == 8_000
    assert gc.get_stats()[0]["collections"] == before
    for _ in range(12_000):
        cycle: list[object] = []
        cycle.append(cycle)
    assert gc.get_stats()[0]["collections"] > before
    assert gc.isenabled()
