"""What verbs print for a person: columns that stand below one another."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from tocsin.protocol.text import harmless

_GAP = "  "


def aligned(head: Sequence[str], rows: Iterable[Sequence[object]]) -> list[str]:
    """Return lines with a head; what comes from outside is made harmless, and the last column is not filled up."""
    cells = [[*map(str.upper, head)], *([harmless(str(cell)) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return [_GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells]


def amount(size: int) -> str:
    """Return a number of bytes in the largest unit that fits, with a figure behind the point, such as ``1.5 MB``."""
    for unit, length in (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= length:
            return f"{size / length:.1f} {unit}"
    return f"{size} B"


def ago(seconds: float) -> str:
    """Return a span of time in one unit, such as ``4 min``; less than a second is ``0 s``."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
