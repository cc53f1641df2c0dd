"""Reads by key that go to the store together: those that are asked for in one turn, or while a read is under way, are the next one.

To read one row costs the way to the store and back; to read many costs little more. And as one read is under way at a time, what very many
ask for at once holds up no other question: it waits here.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Final, Generic, TypeVar

from attrs import Factory, define, frozen

from tocsin.tasks import Signal

K = TypeVar("K")
V = TypeVar("V")

MOST: Final = 256
"""Keys of one read at most, unless a single call has more."""

PAUSE: Final = 1.0
"""Seconds that those wait who wait anyhow, such as devices for what is stored, after a read that has failed."""


@frozen(eq=False)
class _Call(Generic[K, V]):
    keys: Sequence[K]
    found: asyncio.Future[Mapping[K, V]]

    def end(self, found: Mapping[K, V] | Exception) -> None:
        """Let the caller go on, if it still waits."""
        if self.found.done():
            return
        if isinstance(found, Exception):
            self.found.set_exception(found)
        else:
            self.found.set_result(found)


@define(eq=False)
class GatheredReads(Generic[K, V]):
    """Reads by key, while its task runs. A call never gets what was read before it was made.

    :param read: reads these keys, each once, and returns what it found.
    :param pause: seconds until the next read after one that has failed, for those that wait behind it; None: they fail with it.
    """

    _read: Callable[[Sequence[K]], Awaitable[Mapping[K, V]]]
    _pause: float | None = None
    _waiting: deque[_Call[K, V]] = Factory(deque)
    _asked: Signal = Factory(Signal)

    async def get(self, keys: Sequence[K]) -> dict[K, V]:
        """Return what is kept by these keys, of those of them by which something is.

        What a read raises is raised for all that it was for, and for all that wait behind it where there is no pause: they have waited as
        long as it took.
        """
        call: _Call[K, V] = _Call(keys, asyncio.get_running_loop().create_future())
        self._waiting.append(call)
        self._asked.set()
        found = await call.found
        return {key: found[key] for key in keys if key in found}

    async def serve(self) -> None:
        """Read what is asked for, until cancelled."""
        while True:
            calls = self._take()
            if not calls:
                await self._asked.wait()
                continue
            try:
                found = await self._read(tuple(dict.fromkeys(key for call in calls for key in call.keys)))
            except Exception as failure:  # noqa: BLE001  # each of its callers is to have it
                await self._fail(calls, failure)
            else:
                for call in calls:
                    call.end(found)

    def _take(self) -> list[_Call[K, V]]:
        """Return the calls of the next read, in the order in which they came."""
        calls: list[_Call[K, V]] = []
        count = 0
        while self._waiting and (not calls or count + len(self._waiting[0].keys) <= MOST):
            call = self._waiting.popleft()
            if not call.found.done():
                calls.append(call)
                count += len(call.keys)
        return calls

    async def _fail(self, calls: Iterable[_Call[K, V]], failure: Exception) -> None:
        for call in calls:
            call.end(failure)
        if self._pause is not None:
            await asyncio.sleep(self._pause)
        else:
            while self._waiting:
                self._waiting.popleft().end(failure)
