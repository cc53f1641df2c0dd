"""Raw ids: what each kind looks like, and what is none."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.calling.raw_id import MAX_RAW_ID, CommunicationIdentifier, IdentifierKind, read_raw_id
from tocsin.protocol.errors import InvalidArgument

GUID = "6b8f2C1e-0d47-4a51-9c3e-77aa00bb11cc"
KINDS = {
    "8:acs:contoso_ann": IdentifierKind.COMMUNICATION_USER,
    f"8:acs:{GUID}_00000006-811d-ae1e-e1ae-1d3a0d0000e8": IdentifierKind.COMMUNICATION_USER,
    "8:acs:contoso_a_b": IdentifierKind.COMMUNICATION_USER,
    "8:acs:contoso": IdentifierKind.UNKNOWN,
    "8:acs:_ann": IdentifierKind.UNKNOWN,
    "8:acs:contoso_": IdentifierKind.UNKNOWN,
    f"8:orgid:{GUID}": IdentifierKind.MICROSOFT_TEAMS_USER,
    f"8:orgid:{GUID}0": IdentifierKind.UNKNOWN,
    "8:orgid:ann": IdentifierKind.UNKNOWN,
    "4:+4930123456": IdentifierKind.PHONE_NUMBER,
    "4:+123456789012345": IdentifierKind.PHONE_NUMBER,
    "4:+1234567890123456": IdentifierKind.UNKNOWN,
    "4:+049301": IdentifierKind.UNKNOWN,
    "4:4930123456": IdentifierKind.UNKNOWN,
    "4:+49-30": IdentifierKind.UNKNOWN,
    "4:+٤٩٣٠": IdentifierKind.UNKNOWN,
    "4:anonymous": IdentifierKind.UNKNOWN,
    f"28:orgid:{GUID}": IdentifierKind.UNKNOWN,
    "ann": IdentifierKind.UNKNOWN,
    "x" * MAX_RAW_ID: IdentifierKind.UNKNOWN,
}


@pytest.mark.parametrize("raw_id", KINDS)
def test_a_raw_id_says_what_it_stands_for(raw_id: str) -> None:
    """By its form; it stays as it is, character by character, and is what is shown of it."""
    identifier = read_raw_id(raw_id)
    assert identifier == CommunicationIdentifier(raw_id, KINDS[raw_id])
    assert str(identifier) == raw_id


@pytest.mark.parametrize(
    "text", ["", " ", "8:acs:a b", " 8:acs:a_b", "8:acs:a_b\n", "8:acs:\x1b_b", "8:acs:a_\u202eb", "a\u00a0b", "\ud800"]
)
def test_what_is_empty_or_cannot_be_printed_is_no_raw_id(text: str) -> None:
    """The sentence says what one looks like, and can itself be printed."""
    with pytest.raises(InvalidArgument, match=r"^callerId is such as 8:acs:contoso_ann, 1 to 256") as caught:
        read_raw_id(text, "callerId")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("value", [None, 5, True, b"8:acs:a_b", ["8:acs:a_b"], {}])
def test_only_text_is_a_raw_id(value: Any) -> None:
    """Nothing else is turned into text."""
    with pytest.raises(InvalidArgument, match="a raw id must be text"):
        read_raw_id(value)


def test_a_raw_id_has_a_length() -> None:
    """256 characters, and the sentence does not repeat a long one."""
    with pytest.raises(InvalidArgument) as caught:
        read_raw_id("8:acs:a_" + "x" * 100_000)
    assert len(str(caught.value)) < 300


@given(st.text(st.characters(exclude_categories=[]), max_size=300) | st.sampled_from(list(KINDS)))
def test_any_text_is_a_raw_id_or_is_refused(text: str) -> None:
    """What is taken stays as it was."""
    try:
        identifier = read_raw_id(text)
    except InvalidArgument:
        assert not text.isprintable() or " " in text or not 0 < len(text) <= MAX_RAW_ID
    else:
        assert identifier.raw_id == text
