"""Text from outside can always be told of, and is never long."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.api.hostile import ERRORS
from tocsin.protocol.messages import Failed
from tocsin.protocol.messages.codec import decode, encode
from tocsin.protocol.text import MAX_DETAIL, MAX_QUOTED, describe_error, encodable, harmless, quoted

ANY_TEXT = st.text(st.characters(exclude_categories=[]))


@given(ANY_TEXT, st.integers(0, 20))
def test_printable_text_is_what_it_was_but_for_what_utf8_cannot_hold(text: str, limit: int) -> None:
    """It can be encoded, is no longer than it may be, and begins as the text does up to a lone surrogate."""
    shown = encodable(text, limit)
    assert len(shown) <= limit
    assert shown.encode().decode() == shown
    sound = text[:limit].encode("utf-8", "ignore").decode()
    assert shown == sound or "\\u" in shown or "\\u".startswith(shown[len(sound) :][:1])


@pytest.mark.parametrize("error", ERRORS)
def test_any_error_can_be_described(error: str) -> None:
    """In a text that can be encoded, with its class, and with its words where they can be had."""
    words = describe_error(ERRORS[error]())
    assert type(words) is str
    assert len(words) <= MAX_DETAIL
    assert words.encode()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        ("ValueError", "ValueError: no such mail"),
        ("surrogate", "ValueError: a lone \\udc80 surrogate \\ud83d"),
        ("mute", "Mute (its text cannot be had: RuntimeError)"),
        ("wordless", "Wordless (its text cannot be had: TypeError)"),
        ("quoting", "Quoting: these words"),
        ("CancelledError", "CancelledError"),
    ],
)
def test_the_words_are_those_of_the_error(error: str, words: str) -> None:
    """With the class before them, and without a colon where there are none."""
    assert describe_error(ERRORS[error]()) == words


def test_an_error_whose_class_has_no_name_is_an_error() -> None:
    """What a class of classes does is looked at no more than the rest."""

    class Nameless(type):
        @property
        def __name__(cls) -> str:  # type: ignore[override]  # it is wrong on purpose
            raise RuntimeError("no name")

    class Error(Exception, metaclass=Nameless):
        pass

    assert describe_error(Error("words")) == "an error: words"


@given(ANY_TEXT)
def test_any_text_can_be_put_into_a_frame(text: str) -> None:
    """A lone surrogate arrives as its escape, and everything else as it was."""
    arrived = decode(encode(Failed(1, "PushError", text, 0)))
    assert arrived == Failed(1, "PushError", encodable(text, len(text) * 10), 0)


@given(ANY_TEXT, st.integers(1, 30))
def test_a_sentence_is_one_line_that_is_no_longer_than_it_may_be(text: str, limit: int) -> None:
    """It is all there where it has room, and ends with an ellipsis where it has not."""
    shown = harmless(text, limit)
    assert len(shown) <= limit
    assert shown.isprintable()
    assert shown == text or not text.isprintable() or (shown[-1] == "…" and text.startswith(shown[:-1]))


class _Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("a mail", "'a mail'"),
        ("\x1b[2J\n\u202e", "'\\x1b[2J\\n\\u202e'"),
        ("\ud800", "'\\ud800'"),
        (b"\0", "b'\\x00'"),
        (None, "None"),
        ("x" * 10**6, f"'{'x' * 98}…"),
        (b"x" * 10**6, f"b'{'x' * 97}…"),
        ([1] * 1000, f"[{'1, ' * 32}1,…"),
        (10**5000, "a value of int"),
        (_Unspeakable(), "a value of _Unspeakable"),
    ],
    ids=lambda case: case if isinstance(case, str) and case.isascii() and len(case) < 30 else "value",
)
def test_an_argument_is_quoted_short_and_harmless(value: object, shown: str) -> None:
    """As Python writes it, up to a hundred characters; by its class where it cannot be written."""
    assert quoted(value) == shown
    assert len(quoted(value)) <= MAX_QUOTED
