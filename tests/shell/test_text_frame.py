"""Toasts as framed text: whatever they say, they stay within their frame."""

from __future__ import annotations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.toasts.popup import Popup, PopupButton, PopupInput
from tocsin.shell.text_frame import MAX_LINES, columns, cut, framed, progress_bar, wrapped

HOSTILE = st.text(max_size=200) | st.sampled_from(
    ["\x1b[2J", "a\r\nb", "界" * 90, "\u202eabc", "\udc80", "e\u0301" * 80]
)


@given(st.tuples(HOSTILE, HOSTILE, HOSTILE, HOSTILE), st.integers(-5, 300), st.booleans())
def test_no_toast_breaks_its_frame_or_orders_the_terminal_about(
    texts: tuple[str, str, str, str], width: int, numbered: bool
) -> None:
    """Whatever it says: every line is printable, and no body's line begins or ends outside."""
    app, title, body, label = texts
    field = PopupInput(label, title, body, app, ((body, title), (title, label)))
    popup = Popup(app, title, body, (PopupButton("k", label),), label, (field, evolve(field, choices=())), image=body)
    head, *lines, foot = framed(popup, 7, width, pressable=numbered).split("\n")
    assert head.startswith("+- ")
    assert head.endswith(" -+")
    assert all(line.startswith("| ") and line.endswith(" |") for line in lines)
    assert foot == f"+{'-' * (len(foot) - 2)}+"
    assert all(line.isprintable() for line in (head, *lines))
    assert {columns(line) for line in (head, *lines)} == {len(foot)}


@pytest.mark.parametrize(
    ("text", "width"), [("abc", 3), ("界", 2), ("e\u0301", 1), ("\u00e9", 1), ("\uff21", 2), ("", 0), ("a界", 3)]
)
def test_columns_are_those_of_a_terminal(text: str, width: int) -> None:
    """Wide characters take two, marks over another none."""
    assert columns(text) == width


@given(st.text("ab 界\u0301", max_size=60), st.integers(2, 12))
def test_a_wrapped_line_has_room_and_loses_no_word(text: str, width: int) -> None:
    """Only spaces go, where it is parted."""
    lines = wrapped(text, width)
    assert all(columns(line) <= width for line in lines)
    assert "".join(lines).replace(" ", "") == text.replace(" ", "")


def test_a_line_is_parted_at_a_space_where_there_is_one() -> None:
    """A word that is longer than a line is parted within."""
    assert wrapped("you have new mail", 8) == ["you have", "new mail"]
    assert wrapped("abcdefghij", 4) == ["abcd", "efgh", "ij"]
    assert wrapped("ab界界", 5) == ["ab界", "界"]
    assert cut("ab界界", 5) == "ab界"


def test_a_long_text_ends_with_a_sign_that_some_is_left_out() -> None:
    """Lines or characters, whichever are too many; what has just room is whole."""
    for body in ("x\n" * 50, "x" * 5_000, "x\n" * MAX_LINES + "y"):
        lines = framed(Popup("a", "", body), 1, 40, pressable=False).split("\n")
        assert len(lines) == MAX_LINES + 2
        assert lines[-2] == f"| {'...':<36} |"
    whole = framed(Popup("a", "", "x\n" * MAX_LINES), 1, 40, pressable=False)
    assert "..." not in whole


@pytest.mark.parametrize(
    ("progress", "bar"),
    [
        (0, f"[{'.' * 20}] 0%"),
        (0.5, f"[{'#' * 10}{'.' * 10}] 50%"),
        (7, f"[{'#' * 20}] 100%"),
        (-1, f"[{'.' * 20}] 0%"),
    ],
)
def test_progress_is_a_bar_and_a_number(progress: float, bar: str) -> None:
    """Within its limits, whatever it says."""
    assert progress_bar(progress) == bar
