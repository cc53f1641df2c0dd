"""Plain words on their way to a toast, a tile or a badge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.processes import call
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.toasts.plain_content import as_content
from tocsin.protocol.toasts.read_toast import read_toast
from tocsin.protocol.toasts.tile_content import GLYPHS, read_badge, read_tile
from tocsin.protocol.values import NotificationType

TOAST, TILE, BADGE, RAW = NotificationType.TOAST, NotificationType.TILE, NotificationType.BADGE, NotificationType.RAW
WORDS = st.text(st.characters(exclude_categories=["Cc", "Cs", "Cn", "Z"]), min_size=1).filter(
    lambda text: text[0] != "<"
)


@given(WORDS, WORDS)
def test_a_text_is_read_as_it_was_typed(title: str, text: str) -> None:
    """With its title above it, whatever characters of XML are in them; a tile shows it in two sizes."""
    assert read_toast(as_content(TOAST, text.encode(), title)).texts == (title, text)
    assert read_toast(as_content(TOAST, text.encode(), None)).texts == (text,)
    assert [face.texts for face in read_tile(as_content(TILE, text.encode(), title)).faces] == [(title, text)] * 2


@pytest.mark.parametrize("value", ["0", "3", " 120\n", *GLYPHS])
def test_a_badge_is_a_number_or_a_glyph(value: str) -> None:
    """As it is shown; none clears it."""
    badge = read_badge(as_content(BADGE, value.encode(), None))
    assert (badge.glyph or str(badge.number)) == value.strip()


def test_a_title_is_enough() -> None:
    """Then there is no text below it."""
    assert read_toast(as_content(TOAST, b"", "Ann")).texts == ("Ann",)


@pytest.mark.parametrize("kind", [TOAST, TILE, BADGE, RAW])
@pytest.mark.parametrize("body", [b"<toast/>", b"\xef\xbb\xbf <?xml version='1.0'?><badge/>", b"<", b"\n<tile>\xff"])
def test_what_begins_like_xml_is_sent_as_it_is(kind: NotificationType, body: bytes) -> None:
    """Also where it is none: what a service makes of that can be tried."""
    assert as_content(kind, body, None) == body


@pytest.mark.parametrize("body", [b"", b"3", b"\xff", b"plain"])
def test_a_raw_payload_is_sent_as_it_is(body: bytes) -> None:
    """To the byte."""
    assert as_content(RAW, body, None) == body


@pytest.mark.parametrize(
    ("kind", "body", "title", "words"),
    [
        (TOAST, b"", None, "the body of a toast must not be empty: nothing would be shown"),
        (BADGE, b" \n", None, "the body of a badge must not be empty"),
        (RAW, b"x", "t", "a title is for a toast or a tile whose body is plain text"),
        (BADGE, b"3", "t", "a title is for a toast or a tile"),
        (TOAST, b"<toast/>", "t", "plain text, not XML"),
        (TOAST, b"\xff", None, "the body of a toast is text or XML"),
        (TILE, b"a\x1bb", None, r"a tile cannot hold the character '\\x1b'"),
        (BADGE, b"many", None, "a badge is a number .above 99 it shows 99.. or one of none, activity"),
        (BADGE, b"-1", None, "a badge is a number"),
    ],
)
def test_what_cannot_be_sent_is_said(kind: NotificationType, body: bytes, title: str | None, words: str) -> None:
    """In a sentence that says what would be right."""
    with pytest.raises(InvalidArgument, match=words):
        as_content(kind, body, title)


def test_the_command_says_it_before_anything_is_sent() -> None:
    """With exit code 1."""
    options = ("--type", "badge", "--client-id", "i", "--client-secret", "s")
    code, output, errors = call("send", "http://127.0.0.1:1/w/?token=x", "many", *options)
    assert (code, output) == (1, "")
    assert errors.startswith("tocsin send: a badge is a number")
