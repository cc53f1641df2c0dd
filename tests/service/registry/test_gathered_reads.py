"""Reads by key that go to the store together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import anyio
import pytest

from tocsin.service.registry.gathered_reads import MOST, GatheredReads

pytestmark = pytest.mark.anyio


class _Store:
    """Reads when it is told to; ``reads`` are the keys of each read, in their order."""

    def __init__(self, pause: float | None = None) -> None:
        self.kept = {"a": 1, "b": 2}
        self.reads: list[tuple[str, ...]] = []
        self.open = asyncio.Semaphore(0)
        self.failure: Exception | None = None
        self.gathered: GatheredReads[str, int] = GatheredReads(self._read, pause)

    async def _read(self, keys: Sequence[str]) -> dict[str, int]:
        self.reads.append(tuple(keys))
        await self.open.acquire()
        if self.failure is not None:
            raise self.failure
        return {key: self.kept[key] for key in keys if key in self.kept}

    def ask(self, *calls: str) -> list[asyncio.Task[dict[str, int]]]:
        """Make calls, each for the keys that its letters are."""
        return [asyncio.create_task(self.gathered.get(keys)) for keys in calls]


@pytest.fixture
async def store() -> AsyncIterator[_Store]:
    """Return a store whose reads are served; what waits behind one that fails fails with it."""
    async with anyio.create_task_group() as tasks:
        store = _Store()
        tasks.start_soon(store.gathered.serve)
        yield store
        tasks.cancel_scope.cancel()


async def _turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


async def test_what_is_asked_for_during_a_read_is_read_together(store: _Store) -> None:
    """Three calls behind one that is under way are one read of two keys."""
    [first] = store.ask("a")
    await _turns()
    others = store.ask("b", "cb", "b")
    await _turns()
    assert store.reads == [("a",)]
    store.open.release()
    await _turns()
    assert await first == {"a": 1}
    assert store.reads == [("a",), ("b", "c")]
    store.open.release()
    assert await asyncio.gather(*others) == [{"b": 2}] * 3


async def test_what_is_asked_for_in_one_turn_is_read_together(store: _Store) -> None:
    """The first does not go alone."""
    waiting = store.ask("a", "b")
    store.open.release()
    assert await asyncio.gather(*waiting) == [{"a": 1}, {"b": 2}]
    assert store.reads == [("a", "b")]


async def test_a_call_never_has_what_was_read_before_it(store: _Store) -> None:
    """A call for a key that is being read reads it again."""
    [before] = store.ask("a")
    await _turns()
    store.kept["a"] = 3
    [after] = store.ask("a")
    store.open.release()
    await _turns()
    store.kept["a"] = 4
    store.open.release()
    assert await before == {"a": 3}
    assert await after == {"a": 4}
    assert store.reads == [("a",), ("a",)]


async def test_a_caller_that_gives_up_holds_up_no_other(store: _Store) -> None:
    """What is read for it goes on for the others; what is not begun yet is not read."""
    alone, other, behind, last = store.ask("a", "a", "b", "c")
    await _turns()
    alone.cancel()
    [late] = store.ask("d")
    await _turns()
    late.cancel()
    [after] = store.ask("b")
    store.open.release()
    assert [await each for each in (other, behind, last)] == [{"a": 1}, {"b": 2}, {}]
    store.open.release()
    assert await after == {"b": 2}
    assert store.reads == [("a", "b", "c"), ("b",)]
    assert alone.cancelled()


async def test_a_failure_is_that_of_all_who_wait(store: _Store) -> None:
    """They have waited as long; the next call reads again, and who has given up hears of nothing."""
    [gone] = store.ask("a")
    await _turns()
    waiting = store.ask("a", "b", *(chr(number) for number in range(0x400, 0x400 + MOST + 5)))
    await _turns()
    gone.cancel()
    store.failure = OSError("gone")
    store.open.release()
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert all(isinstance(each, OSError) for each in found)
    assert store.reads == [("a",)]
    store.failure = None
    store.open.release()
    assert await store.gathered.get("b") == {"b": 2}


async def test_where_there_is_a_pause_those_behind_a_failure_are_read_after_it() -> None:
    """They wait, and are no load."""
    store = _Store(pause=0.01)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(store.gathered.serve)
        [first] = store.ask("a")
        await _turns()
        [behind] = store.ask("b")
        await _turns()
        store.failure = OSError("gone")
        store.open.release()
        with pytest.raises(OSError, match="gone"):
            await first
        assert store.reads == [("a",)]
        store.failure = None
        store.open.release()
        assert await behind == {"b": 2}
        tasks.cancel_scope.cancel()


async def test_no_read_has_more_keys_than_it_may(store: _Store) -> None:
    """What is above the limit goes with the next, but a call stays whole."""
    many = "".join(chr(number) for number in range(0x400, 0x400 + MOST - 1))
    waiting = store.ask("a", many, "ab", many + "abc")
    for _ in range(3):
        store.open.release()
    await asyncio.gather(*waiting)
    assert [len(keys) for keys in store.reads] == [MOST, 2, MOST + 2]
