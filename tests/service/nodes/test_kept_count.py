"""How many notifications are stored at all nodes: what others erase is found out before room seems to be missing, and seldom asked."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.nodes.queue_world import Node, PlayedStanding, Road, StoredNow
from tests.service.nodes.virtual_loop import VirtualLoop
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.nodes.lease_row import Joining
from tocsin.protocol.values import NotificationType
from tocsin.service.nodes.shared_queues import COUNTED, RECOUNT
from tocsin.service.registry.node_store import Renewed
from tocsin.service.registry.service_store import ServiceStore

LIMIT = 200
KEYS = [f"{number:02}" * 16 for number in range(10)]


def run(work: Coroutine[Any, Any, None]) -> None:
    """Run on virtual time."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)


async def open_node(store: MemoryNodeStore, counting: StoredNow, limit: int = LIMIT) -> Node:
    """Make a node that stores."""
    loop = asyncio.get_running_loop()
    joined = await store.join(Joining("a", "a", "", "1"))
    assert isinstance(joined, Renewed)
    standing = PlayedStanding(joined.lease.number)
    return Node(Road(store), standing, loop.time, limit, cast(ServiceStore, counting))


def elsewhere(store: MemoryNodeStore, share: float) -> None:
    """Have other nodes hand over a share of what is stored, to devices that have come there."""
    for queue in store.queues.values():
        for sequence in [*queue][: round(len(queue) * share)]:
            del queue[sequence]


def there(store: MemoryNodeStore) -> int:
    """Count what is stored."""
    return sum(map(len, store.queues.values()))


@given(
    st.lists(st.tuples(st.integers(1, 20), st.sampled_from([0.0, 0.5, 1.0]), st.floats(0, 20)), max_size=40),
    st.integers(100, LIMIT),
)
def test_there_is_no_room_only_where_there_was_none(steps: list[tuple[int, float, float]], limit: int) -> None:
    """Whatever others have erased for longer than a count is good, is not taken for stored; and counts are few."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        store = MemoryNodeStore(loop.time, length=1e9)
        counting = StoredNow(store)
        node = await open_node(store, counting, limit)
        were = [(0.0, 0)]
        async with node.queues.running():
            await asyncio.sleep(0.1)
            number, begin = 0, loop.time()
            for posts, share, pause in steps:
                for _ in range(posts):
                    number += 1
                    is_kept = await node.keep(KEYS[number % len(KEYS)], str(number))
                    were.append((loop.time(), there(store)))
                    lately = [count for at, count in were if at >= loop.time() - COUNTED - 1]
                    assert is_kept or max(lately) >= limit - limit // 100 - 1
                    assert there(store) <= limit
                    await asyncio.sleep(0.001)
                elsewhere(store, share)
                await asyncio.sleep(pause)
            assert counting.counted <= 2 + (loop.time() - begin) / COUNTED

    run(play())


def test_messages_of_web_push_have_half_of_the_places() -> None:
    """By themselves and together, wherever they are stored; all else has room."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        store = MemoryNodeStore(loop.time, length=1e9)
        node = await open_node(store, StoredNow(store), 20)
        async with node.queues.running():
            await asyncio.sleep(0.1)
            kept = [await node.keep(KEYS[0], f"p{number}", NotificationType.PUSH) for number in range(7)]
            kept += [
                each in await node.keep_together(KEYS[1], ["a", "b", "c", "d", "e"], NotificationType.PUSH)
                for each in "abcde"
            ]
            assert kept == [True] * 10 + [False] * 2
            assert (node.queues.kept, node.queues.kept_messages) == (10, 10)
            assert all([await node.keep(KEYS[0], f"r{number}") for number in range(10)])
            assert not await node.keep(KEYS[0], "too much")
            elsewhere(store, 1.0)
            await asyncio.sleep(2 * COUNTED)
            assert (node.queues.kept, node.queues.kept_messages) == (0, 0)

    run(play())


def test_a_service_far_from_its_limit_is_counted_each_hour() -> None:
    """However much is stored."""

    async def play() -> None:
        loop = asyncio.get_running_loop()
        store = MemoryNodeStore(loop.time, length=1e9)
        counting = StoredNow(store)
        node = await open_node(store, counting)
        async with node.queues.running():
            for number in range(99):
                assert await node.keep(KEYS[number % len(KEYS)], str(number))
                await asyncio.sleep(RECOUNT / 50)
        assert counting.counted == 2

    run(play())


def test_a_count_that_fails_is_tried_again(caplog: pytest.LogCaptureFixture) -> None:
    """Near the limit soon, and what is known goes on to count until then."""

    class Away(StoredNow):
        is_away = True

        async def total_stored(self) -> tuple[int, int]:
            if self.is_away:
                raise StateUnavailable("it is away")
            return await super().total_stored()

    async def play() -> None:
        loop = asyncio.get_running_loop()
        store = MemoryNodeStore(loop.time, length=1e9)
        counting = Away(store)
        node = await open_node(store, counting)
        async with node.queues.running():
            for number in range(LIMIT):
                assert await node.keep(KEYS[number % len(KEYS)], str(number))
            elsewhere(store, 1.0)
            assert not await node.keep(KEYS[0], "too much")
            await asyncio.sleep(3 * COUNTED)
            assert not await node.keep(KEYS[0], "too much")
            counting.is_away = False
            await asyncio.sleep(COUNTED)
            assert await node.keep(KEYS[0], "and more")
            assert node.queues.kept == 1

    run(play())
    assert caplog.messages[0] == "what is stored could not be counted: it is away"
