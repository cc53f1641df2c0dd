"""Reads by key that go to the store together."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tocsin.service.registry.gathered_reads import MOST, GatheredReads

pytestmark = pytest.mark.anyio


class _Store:
    """Reads when it is told to; ``reads`` are the keys of each read, in their order."""

    def __init__(self, at_once: int = 1) -> None:
        self.kept = {"a": 1, "b": 2}
        self.reads: list[tuple[str, ...]] = []
        self.open = asyncio.Semaphore(0)
        self.failure: Exception | None = None
        self.gathered: GatheredReads[str, int] = GatheredReads(self._read, at_once)

    async def _read(self, keys: Sequence[str]) -> dict[str, int]:
        self.reads.append(tuple(keys))
        await self.open.acquire()
        if self.failure is not None:
            raise self.failure
        return {key: self.kept[key] for key in keys if key in self.kept}

    def ask(self, *keys: str) -> list[asyncio.Task[int | None]]:
        return [asyncio.create_task(self.gathered.get(key)) for key in keys]


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_asked_for_during_a_read_is_read_together() -> None:
    """Three calls behind one that is under way are one read of two keys."""
    store = _Store()
    first, *others = store.ask("a", "b", "c", "b")
    await _turns()
    assert store.reads == [("a",)]
    store.open.release()
    await _turns()
    assert await first == 1
    assert store.reads == [("a",), ("b", "c")]
    store.open.release()
    assert await asyncio.gather(*others) == [2, None, 2]


async def test_a_call_never_has_what_was_read_before_it() -> None:
    """A call for a key that is being read reads it again."""
    store = _Store()
    [before] = store.ask("a")
    await _turns()
    store.kept["a"] = 3
    [after] = store.ask("a")
    store.open.release()
    await _turns()
    store.kept["a"] = 4
    store.open.release()
    assert await before == 3
    assert await after == 4
    assert store.reads == [("a",), ("a",)]


async def test_a_caller_that_gives_up_leaves_the_read_to_another() -> None:
    """One that reads for others is cancelled: another of them reads; one alone: what waits behind is read."""
    store = _Store()
    alone, leader, other, behind = store.ask("a", "a", "b", "b")
    await _turns()
    alone.cancel()
    await _turns()
    assert store.reads == [("a",), ("a", "b")]
    leader.cancel()
    await _turns()
    assert store.reads == [("a",), ("a", "b"), ("a", "b")]
    store.open.release()
    assert [await other, await behind] == [2, 2]


async def test_one_that_is_woken_to_read_and_cancelled_at_once_passes_it_on() -> None:
    """No caller waits for one that has gone."""
    store = _Store()
    first, second, third = store.ask("a", "b", "b")
    await _turns()
    store.open.release()
    await first
    second.cancel()
    store.open.release()
    assert await third == 2
    assert second.cancelled()


async def test_a_failure_is_that_of_all_who_wait() -> None:
    """They have waited as long; the next call reads again."""
    store = _Store()
    waiting = store.ask("a", "b", *(f"k{number}" for number in range(MOST + 5)))
    await _turns()
    store.failure = OSError("gone")
    store.open.release()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, OSError) for each in found)
    store.failure = None
    store.open.release()
    assert await store.gathered.get("b") == 2


async def test_no_read_has_more_keys_than_it_may() -> None:
    """What is above the limit goes with the next."""
    store = _Store()
    waiting = store.ask("a", *(f"k{number}" for number in range(MOST + 5)))
    await _turns()
    for _ in range(3):
        store.open.release()
    await asyncio.gather(*waiting)
    assert [len(keys) for keys in store.reads] == [1, MOST, 5]


async def test_as_many_reads_as_may_are_under_way() -> None:
    """With two lanes the second call does not wait for the first."""
    store = _Store(at_once=2)
    waiting = store.ask("a", "b", "c")
    await _turns()
    assert store.reads == [("a",), ("b",)]
    for _ in range(3):
        store.open.release()
    assert await asyncio.gather(*waiting) == [1, 2, None]
