"""Locks by which what has an id is changed by one request at a time, and others meanwhile."""

from __future__ import annotations

from typing import Final

from anyio import Lock

_COUNT: Final = 64


class IdLocks:
    """So many locks for whatever number of ids; two ids may have the same, so a request takes one at a time."""

    def __init__(self) -> None:
        self._locks = [Lock(fast_acquire=True) for _ in range(_COUNT)]

    def of(self, hub: int, id: str) -> Lock:  # noqa: A002 - the field's name
        """Return the lock of an id of a hub."""
        return self._locks[hash((hub, id)) % _COUNT]
