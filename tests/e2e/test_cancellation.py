"""Cancellation at every turn of start, use and leaving: it ends, as a cancellation, and leaves nothing behind."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.cancelled import programs
from tests.e2e.cancelling import How, Program, sweep

STRIDES = {
    "connected": 3,
    "own_service": 29,
    "other_service": 23,
    "platform": 23,
    "push_service": 13,
    "shell": 31,
    "service_for_tests": 19,
}
"""Every turn takes a minute or two: ``python -m tests.e2e.cancellations``."""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="what is left open is read from /proc")


@pytest.fixture(scope="module")
def all_programs() -> Iterator[dict[str, Program]]:
    """Run the service that some of them use."""
    with programs() as found:
        yield found


@pytest.mark.parametrize("how", How, ids=lambda how: how.value)
@pytest.mark.parametrize("name", STRIDES)
def test_whoever_is_cancelled_ends_and_leaves_nothing(
    all_programs: dict[str, Program], name: str, how: How, tmp_path: Path
) -> None:
    """At every so many turns: it does not hang, nothing else comes out, no task, thread, descriptor, lock or log line."""
    stride = STRIDES[name]
    result = sweep(all_programs[name], how, tmp_path, start=1 + list(How).index(how), stride=stride)
    assert not result.faults
    assert result.runs * stride > 60


def test_no_turn_of_a_service_is_a_bad_one(all_programs: dict[str, Program], tmp_path: Path) -> None:
    """At every turn: its web server may be cancelled before it has begun."""
    assert not sweep(all_programs["push_service"], How.SCOPE, tmp_path).faults
