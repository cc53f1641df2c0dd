"""What is done with many payloads at once, where doing it one by one would cost more than all else."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import TypeVar

from tocsin.protocol.delivery.plain_rows import PlainRow, channel_of

Row = TypeVar("Row", bound=PlainRow)


def by_channel(rows: Iterable[Row]) -> dict[str, list[Row]]:
    """Take payloads apart by their channels, each in order."""
    channels: defaultdict[str, list[Row]] = defaultdict(list)
    for row in rows:
        channels[channel_of(row)].append(row)
    return channels


def latest(moments: Sequence[float | None]) -> float | None:
    """Return the latest of a column of moments; None where it has none, as is usual."""
    if moments.count(None) == len(moments):
        return None
    return max(moment for moment in moments if moment is not None)


def earliest(moments: Sequence[float | None]) -> float | None:
    """Return the earliest of a column of moments; None where it has none."""
    return min((moment for moment in moments if moment is not None), default=None)
