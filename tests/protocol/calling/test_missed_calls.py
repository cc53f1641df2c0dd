"""The memory of calls that a user was told of as missed."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.calling.missed_calls import MAX_TEXT, MOST, MissedCalls


@given(st.lists(st.text(max_size=50), max_size=20), st.text(max_size=50))
def test_what_was_told_is_known_also_when_it_was_written_and_read(calls: list[str], other: str) -> None:
    """And nothing else is; no id is in the text."""
    memory = MissedCalls()
    for call in calls:
        memory.add(call)
    found = MissedCalls.read(memory.text())
    assert found is not None
    for each in (memory, found):
        assert all(call in each for call in calls)
        assert (other in each) == (other in calls)
    assert not any(call in memory.text().decode() for call in calls if len(call) > 32)


def test_the_oldest_are_forgotten() -> None:
    """What is kept is bounded, and so is what is read."""
    memory = MissedCalls()
    for number in range(MOST + 2):
        memory.add(f"call {number}")
    assert "call 1" not in memory
    assert "call 2" in memory
    assert len(memory.text()) < MAX_TEXT


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"\xff",
        b"[]",
        b"7",
        b"{}",
        b'{"missed": 7}',
        b'{"missed": ["short"]}',
        b'{"missed": [7]}',
        b"[" * 60_000,
        json.dumps({"missed": ["0" * 32] * 2_000}).encode(),
    ],
)
def test_what_was_not_written_so_is_not_read(text: bytes) -> None:
    """Whatever it is."""
    assert MissedCalls.read(text) is None
