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


class RecentIds:
    """The ids that came last: as many as are to be kept at least, and twice as many at most.

    :param keep: how many.
    :param ids: those that have come already.
    """

    def __init__(self, keep: int, ids: Iterable[str] = ()) -> None:
        self._keep = keep
        self._newer = set(ids)
        self._older: set[str] = set()

    def add(self, ids: Sequence[str]) -> list[bool] | None:
        """Note ids, and tell of each whether it came for the first time; None where all did, as is usual."""
        several = set(ids)
        first: list[bool] | None = None
        if len(several) < len(ids) or not (self._newer.isdisjoint(ids) and self._older.isdisjoint(ids)):
            unseen = several - self._newer - self._older
            first = []
            for id_ in ids:
                first.append(id_ in unseen)
                unseen.discard(id_)
        self._newer |= several
        if len(self._newer) >= self._keep:
            self._older, self._newer = self._newer, set()
        return first

    def __len__(self) -> int:
        return len(self._newer) + len(self._older)
