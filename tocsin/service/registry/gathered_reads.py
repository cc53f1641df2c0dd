"""Reads by key that go to the store together: those that are asked for while a read is under way are the next one.

To read one row costs the way to the store and back; to read many costs little more.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

from attrs import Factory, define

K = TypeVar("K")
V = TypeVar("V")

MOST = 256
"""Keys of one read at most."""


@define(eq=False)
class _Batch(Generic[K, V]):
    """What is read together; who waits is woken when it has been, or to read it (``True``)."""

    keys: dict[K, None] = Factory(dict)
    waiting: deque[asyncio.Future[bool]] = Factory(deque)
    found: Mapping[K, V] | None = None
    failure: Exception | None = None

    def wake_reader(self) -> bool:
        """Have one of those who wait read it; tell whether there is one."""
        while self.waiting:
            place = self.waiting.popleft()
            if not place.done():
                place.set_result(True)
                return True
        return False

    def wake_all(self) -> None:
        """Let all who wait have their results."""
        for place in self.waiting:
            if not place.done():
                place.set_result(False)

    def result_of(self, key: K) -> V | None:
        """Return what was found, or raise why it could not be read."""
        if self.failure is not None:
            raise self.failure
        return None if self.found is None else self.found.get(key)


class GatheredReads(Generic[K, V]):
    """Reads by key. A call never gets what was read before it was made.

    :param read: reads these keys, each once, and returns what it found.
    :param at_once: reads that are under way at most.
    """

    def __init__(self, read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]], at_once: int = 1) -> None:
        self._read = read
        self._free = at_once
        self._batches: deque[_Batch[K, V]] = deque()

    async def get(self, key: K) -> V | None:
        """Return what is kept by this key, or None.

        What a read raises is raised for all that it was for, and for all that wait behind it: they have waited as long as it took.
        """
        if self._free:
            self._free -= 1
            return await self._lead(_Batch({key: None}), key)
        if not self._batches or len(self._batches[-1].keys) >= MOST:
            self._batches.append(_Batch())
        batch = self._batches[-1]
        batch.keys[key] = None
        place: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        batch.waiting.append(place)
        try:
            leads = await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.result():
                self._pass_on(batch)
            raise
        return await self._lead(batch, key) if leads else batch.result_of(key)

    async def _lead(self, batch: _Batch[K, V], key: K) -> V | None:
        """Read for all of a batch; a caller that is cancelled meanwhile leaves that to another."""
        try:
            batch.found = await self._read(tuple(batch.keys))
        except Exception as failure:  # noqa: BLE001  # each of its callers is to have it
            batch.failure = failure
            while self._batches:
                behind = self._batches.popleft()
                behind.failure = failure
                behind.wake_all()
        except BaseException:
            self._pass_on(batch)
            raise
        batch.wake_all()
        self._begin_next()
        return batch.result_of(key)

    def _pass_on(self, batch: _Batch[K, V]) -> None:
        if not batch.wake_reader():
            self._begin_next()

    def _begin_next(self) -> None:
        while self._batches:
            if self._batches.popleft().wake_reader():
                return
        self._free += 1
