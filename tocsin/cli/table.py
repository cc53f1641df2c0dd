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


def ago(seconds: float) -> str:
    """Return a span of time in one unit, such as ``4 min``; less than a second is ``0 s``."""
    for unit, length in (("d", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0, seconds):.0f} s"
