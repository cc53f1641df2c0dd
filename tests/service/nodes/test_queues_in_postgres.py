"""Queues of several nodes over PostgreSQL: devices connect here and there while both nodes store for them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from itertools import islice
from typing import cast

import anyio
import pytest

from tests.persistence.postgres_server import PostgresServer
from tests.service.nodes.queue_world import Node, PlayedStanding, Road, channel_of, device_of, payload_of
from tocsin.protocol.service.nodes.lease_row import Joining
from tocsin.service.registry.node_store import Renewed
from tocsin.service.registry.postgres_service_store import PostgresServiceStore, open_postgres_store

KEYS = [f"{number}" * 32 for number in range(5)]
EACH = 40


@pytest.fixture
async def stores(postgres: PostgresServer) -> AsyncIterator[list[PostgresServiceStore]]:
    """Open a database twice."""
    url = await postgres.emptied()
    async with open_postgres_store(url, 5, 600) as one, open_postgres_store(url, 5, 600) as two:
        for key in KEYS:
            await one.add_channel(channel_of(key))
        yield [one, two]


@pytest.fixture
async def nodes(stores: list[PostgresServiceStore]) -> AsyncIterator[list[Node]]:
    """Run two nodes over it."""
    async with AsyncExitStack() as stack:
        nodes = [await _node(store, name) for store, name in zip(stores, "ab", strict=True)]
        for node in nodes:
            await stack.enter_async_context(node.queues.running())
            stack.push_async_callback(node.devices.aclose)
        yield nodes


async def _node(store: PostgresServiceStore, name: str) -> Node:
    joined = await store.nodes.join(Joining(name, name, "", "1"))
    assert isinstance(joined, Renewed)
    return Node(cast(Road, store.nodes), PlayedStanding(joined.lease.number), time.time, store=store)


async def _keep(node: Node, name: str, key: str) -> None:
    """Store by themselves and together; what others have overtaken is stored once more."""
    numbers = iter(range(EACH))
    for number in numbers:
        assert await node.keep(key, f"{name}{number}")
        ids = [f"{name}{each}" for each in islice(numbers, 4)]
        while ids and not await node.keep_together(key, ids):
            pass


async def _come_and_go(nodes: list[Node], key: str, had: dict[str, None]) -> None:
    """Connect at the one and the other, and stay at the last."""
    for number in range(6):
        device = nodes[number % 2].connect(key)
        device.on_payload = lambda _, id: had.setdefault(id)  # noqa: A006  # the field's name
        await asyncio.sleep(0.1)
        if number < 5:
            device.leave()


async def test_all_that_both_nodes_store_comes_in_order(nodes: list[Node], stores: list[PostgresServiceStore]) -> None:
    """Nothing is left in the database, and each device has all of a node's in the order in which they were stored."""
    had: dict[str, dict[str, None]] = {key: {} for key in KEYS}
    keeping = [_keep(node, name, key) for node, name in zip(nodes, "ab", strict=True) for key in KEYS]
    await asyncio.gather(*keeping, *(_come_and_go(nodes, key, had[key]) for key in KEYS))
    with anyio.fail_after(20):
        while any([await stores[0].stored(device_of(key)) for key in KEYS]):  # the database's
            nodes[1].queues.stale(map(device_of, KEYS))  # as the wakes would
            await asyncio.sleep(0.1)
    for key in KEYS:
        for name in "ab":
            assert [each for each in had[key] if each[0] == name] == [f"{name}{number}" for number in range(EACH)]
    rows = [(await stores[0].nodes.look(device_of(key))).row for key in KEYS]
    assert [row.home for row in rows] == [nodes[1].queues.home_of(device_of(key)) for key in KEYS]


async def test_what_a_turn_has_begun_and_not_waited_for_is_there_or_not(
    nodes: list[Node], stores: list[PostgresServiceStore]
) -> None:
    """At whichever moment it ends; what is stored after that is behind it, and what is known is what is there."""
    (node, _), key = nodes, KEYS[0]
    promised = []
    for number in range(40):
        turn = node.queues.take_turn(device_of(key))
        assert turn is not None
        turn.begin_look()
        await turn.looked()
        posts = [(channel_of(key), payload_of(key, f"{number:02} {each}")) for each in "ab"]
        assert await turn.begin_store(posts, frozenset(), None) is None
        await asyncio.sleep(number / 20_000)
        turn.end()
        stored: list[str] = []
        while not stored:
            stored = await node.keep_together(key, [f"{number:02} {each}" for each in "cd"])
        promised += stored
    there = [entry.id for entry in (await stores[0].nodes.look(device_of(key))).entries]
    known = node.queues.known(device_of(key))
    assert known is not None
    assert [entry.id for entry in known.entries] == there == sorted(there)
    assert {*promised[-40:]} <= {*there}
