"""What a handler reads of a payload."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tocsin
from tocsin.testing import received


@given(st.text(max_size=100))
def test_what_was_sent_as_text_is_read_as_text(text: str) -> None:
    """And what was sent as JSON is read as that."""
    assert received(text.encode()).text == text
    assert received(json.dumps({"said": text}).encode()).json() == {"said": text}


def read_both(args: tocsin.PushNotificationReceivedEventArgs) -> tuple[str, str]:
    """Return what is said where it is read as text and as JSON; nothing where it can be read so."""
    said = ["", ""]
    for place, read in enumerate((lambda: args.text, args.json)):
        try:
            read()
        except tocsin.UnreadableContent as wrong:
            said[place] = str(wrong)
    return said[0], said[1]


@given(st.binary(max_size=60))
def test_reading_returns_or_says_what_is_wrong(body: bytes) -> None:
    """No other error comes of it, whatever a sender has sent."""
    text, read = read_both(received(body))
    assert not text or "is no text: byte " in text
    assert not read or "is no " in read


@pytest.mark.parametrize(
    ("body", "text", "read"),
    [
        (b"", "", "the payload of 0 bytes of type toast is no JSON: it is empty"),
        (
            b"{",
            "",
            "of 1 bytes of type toast is no JSON: Expecting property name enclosed in double quotes in line 1, column 2",
        ),
        (b"hi\xff", "the payload of 3 bytes of type toast is no text: byte 3, 0xFF, is no UTF-8", "byte 3, 0xFF"),
        (b"[" * 5000, "", "is no JSON: it is nested too deeply"),
        (b"9" * 5000, "", "is no JSON: it has a number that is too long"),
    ],
)
def test_what_cannot_be_read_says_where(body: bytes, text: str, read: str) -> None:
    """And shows no more of it than the byte that is wrong: the sentence is kept with a payload whose handler has failed."""
    said = read_both(received(body, type="toast"))
    for words, wanted in zip(said, (text, read), strict=True):
        assert wanted in words
        assert bool(words) == bool(wanted)
