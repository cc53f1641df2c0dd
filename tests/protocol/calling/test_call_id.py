"""Ids of calls: a UUID is the same however it is written."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.calling.call_id import MAX_CALL_ID, read_call_id
from tocsin.protocol.errors import InvalidArgument


@given(st.uuids())
def test_a_uuid_is_compared_in_any_case(uuid: UUID) -> None:
    """In lower case it is as Python writes it."""
    assert read_call_id(str(uuid).upper()) == read_call_id(str(uuid)) == str(uuid)


@pytest.mark.parametrize(
    "text", ["c", "Call-1", "a b", "X" * MAX_CALL_ID, "ABCDEF00", "Grüße 🔔", "{" + "A" * 36 + "}"]
)
def test_any_other_id_stays_as_it_is(text: str) -> None:
    """Character by character."""
    assert read_call_id(text) == text


@pytest.mark.parametrize(
    "text", ["", " ", "a\n", "\x1b[2J", "\u202e", "\ud800", "X" * (MAX_CALL_ID + 1), "x" * 100_000]
)
def test_what_is_empty_long_or_cannot_be_printed_is_no_id(text: str) -> None:
    """The sentence says what one looks like."""
    with pytest.raises(InvalidArgument, match=r"^callId is a UUID, or 1 to 64 printable characters, not .{0,100}$"):
        read_call_id(text, "callId")


@pytest.mark.parametrize("value", [None, 5, b"c", [], True])
def test_only_text_is_an_id(value: Any) -> None:
    """Nothing else is turned into text."""
    with pytest.raises(InvalidArgument, match="must be text"):
        read_call_id(value)
