"""How a duplicate is known: the ids of the payloads that came last."""

from __future__ import annotations

from collections.abc import Iterable, Sequence


class RecentIds:
    """The ids that came last: as many as are to be kept at least, and twice as many at most; an id among them is a duplicate.

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
