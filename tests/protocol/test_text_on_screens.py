"""Text from outside, made harmless."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.text import harmless


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Grüße 🔔", "Grüße 🔔"),
        ("\x1b[2J\x1b]0;title\x07", r"\x1b[2J\x1b]0;title\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("a\r\nb\tc", r"a\r\nb\tc"),
        ("line\u2028end", r"line\u2028end"),
        ("\u202egnp.exe", r"\u202egnp.exe"),
        ("\ufeff\u200b\xad", r"\ufeff\u200b\xad"),
        ("half \ud83d of a character", r"half \ud83d of a character"),
        ("\x00\x7f", r"\x00\x7f"),
    ],
)
def test_what_a_terminal_would_obey_is_shown(text: str, shown: str) -> None:
    """Escape sequences of both kinds, line ends, marks of direction, what has no width, and half characters."""
    assert harmless(text) == shown


@given(st.text(st.characters()) | st.text("\x1b\x9b\n\r\u202e\ud800[mA"))
def test_what_is_shown_is_one_printable_line(text: str) -> None:
    """Any text becomes printable, what was printable stays, and a second pass changes nothing."""
    shown = harmless(text)
    assert shown.isprintable()
    shown.encode()  # it has no halves of characters
    assert {each for each in text if each.isprintable()} <= set(shown)
    assert harmless(shown) == shown


@given(st.text(), st.integers(1, 40))
def test_a_limit_is_kept_and_what_is_left_out_is_marked(text: str, limit: int) -> None:
    """Escapes count as what is shown of them."""
    shown = harmless(text, limit)
    assert len(shown) <= limit
    assert shown == harmless(text) or shown.endswith("…")
