"""A popup as framed text for a terminal; each line fits, and none of them gives the terminal an order.

The frame is ASCII: any encoding has it, and terminals disagree on how wide lines for drawing are.
"""

from __future__ import annotations

import unicodedata

from tocsin.protocol.text import harmless
from tocsin.protocol.toasts.popup import Popup, PopupInput

MIN_WIDTH = 24
"""Columns of a frame at least, however narrow the terminal is."""

MAX_WIDTH = 72
"""Columns of a frame at most."""

MAX_LINES = 20
"""Lines that a text of a popup has at most."""

MAX_TEXT = MAX_WIDTH * MAX_LINES
"""Characters of a text of a popup that are looked at."""

_BAR = 20
_WIDE = frozenset("WF")
_OVER_ANOTHER = frozenset({"Mn", "Me"})


def framed(popup: Popup, number: int, width: int, *, pressable: bool, replaced: bool = False) -> str:
    """Return a popup in a frame, without a line end.

    :param width: columns of the terminal.
    :param pressable: whether what can be typed stands before each input and button.
    """
    width = min(max(width, MIN_WIDTH), MAX_WIDTH)
    inner = width - 4
    lines = [*_text(popup.title, inner), *_text(popup.body, inner)]
    if popup.progress is not None:
        lines.append(progress_bar(popup.progress))
    if popup.image:
        lines += _text(f"picture: {popup.image}", inner)
    lines += _controls(popup, inner, pressable=pressable)
    state = ("urgent, " if popup.urgent else "") + ("changed, " if replaced else "")
    name = f" {state}#{number} -+"
    head = cut(f"+- {harmless(popup.app, MAX_WIDTH)} ", width - len(name))
    top = f"{head}{'-' * (width - columns(head) - len(name))}{name}"
    return "\n".join([top, *(f"| {filled(line, inner)} |" for line in lines), f"+{'-' * (width - 2)}+"])


def progress_bar(progress: float) -> str:
    """Return how far something is, from 0 to 1, as text."""
    part = min(max(progress, 0.0), 1.0)
    done = round(part * _BAR)
    return f"[{'#' * done}{'.' * (_BAR - done)}] {part:.0%}"


def said_of(field: PopupInput, value: str) -> str:
    """Return an input with what is in it, in a line; of several choices with all, and a star behind the one that is chosen."""
    title = harmless(field.title or field.id, MAX_WIDTH)
    if field.choices:
        shown = ", ".join(harmless(label, MAX_WIDTH) + ("*" if id == value else "") for id, label in field.choices)  # noqa: A001  # what it is
    else:
        shown = harmless(value, MAX_TEXT) or f"({harmless(field.placeholder or 'empty', MAX_WIDTH)})"
    return f"{title}: {shown}"


def columns(text: str) -> int:
    """Return how many columns of a terminal a harmless text takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def cut(text: str, width: int) -> str:
    """Return as much of a text as has room."""
    return text if columns(text) <= width else text[: _fitting(text, width)]


def filled(text: str, width: int) -> str:
    """Return a text with spaces behind it, so that it takes that many columns."""
    return text + " " * (width - columns(text))


def wrapped(text: str, width: int) -> list[str]:
    """Return a line as several that have room, parted at spaces where there are any; 2 columns at least."""
    lines: list[str] = []
    rest = text
    while columns(rest) > width:
        room = _fitting(rest, width)
        space = rest.rfind(" ", 0, room + 1)
        end = space if space > 0 else room
        lines.append(rest[:end].rstrip(" "))
        rest = rest[end:].lstrip(" ")
    return [*lines, rest]


def _controls(popup: Popup, width: int, *, pressable: bool) -> list[str]:
    """Return inputs and buttons, counted from 1 in that order, and what else can be typed."""
    said = [said_of(field, field.default) for field in popup.inputs]
    said += [f"[{harmless(button.label, MAX_WIDTH)}]" for button in popup.buttons]
    lines = []
    for place, each in enumerate(said, start=1):
        lines += _text(f"{place}  {each}" if pressable else each, width)
    if pressable:
        lines += _text(f"o  [{harmless(popup.default_label, MAX_WIDTH)}]   d  dismiss", width)
    return lines


def _text(text: str, width: int) -> list[str]:
    """Return a text as lines that have room; ``MAX_LINES`` at most, of which the last says where some are left out."""
    shown = text[: MAX_TEXT + 1].splitlines()
    lines = [line for part in shown[: MAX_LINES + 1] for line in wrapped(harmless(part), width)]
    if len(lines) <= MAX_LINES and len(text) <= MAX_TEXT:
        return lines
    return [*lines[: MAX_LINES - 1], "..."]


def _fitting(text: str, width: int) -> int:
    """Return how many characters of a text have room."""
    taken = 0
    for place, character in enumerate(text):
        taken += _columns(character)
        if taken > width:
            return place
    return len(text)


def _columns(character: str) -> int:
    if unicodedata.category(character) in _OVER_ANOTHER:
        return 0
    return 2 if unicodedata.east_asian_width(character) in _WIDE else 1
