"""Two nodes of one service with their queues, over one database in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any, cast

import pytest
from attrs import Factory, define

from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.nodes.queue_world import (
    Node,
    PlayedStanding,
    Road,
    device_of,
)
from tocsin.protocol.service.nodes.lease_row import Joining
from tocsin.service.registry.node_store import Renewed

KEY = "k" * 32
DEVICE = device_of(KEY)


async def settle() -> None:
    """Let all tasks do what they can."""
    for _ in range(100):
        await asyncio.sleep(0)


@define(eq=False)
class Time:
    """A clock that the test moves."""

    now: float = 1_000.0

    def __call__(self) -> float:
        """Tell it."""
        return self.now


@define(eq=False)
class World:
    """Two nodes."""

    store: MemoryNodeStore
    here: Node
    other: Node
    time: Time

    async def lapse(self, node: Node) -> None:
        """Let a node's lease be over, as it notices."""
        standing = cast(PlayedStanding, node.standing)
        await self.store.release(standing.lease)
        standing.good = False
        node.queues.hold()

    async def rejoin(self, node: Node) -> None:
        """Give it another."""
        standing = cast(PlayedStanding, node.standing)
        standing.lease, standing.good = await join(self.store, "again", standing.lease), True
        node.queues.reclaim()

    @property
    def ids(self) -> list[str]:
        """What is stored for the device."""
        return [entry.id for entry in self.store.queues.get(DEVICE, {}).values()]


async def join(store: MemoryNodeStore, name: str, last: int = 0) -> int:
    """Take a lease."""
    given = await store.join(Joining(name, name, "", "1", last))
    assert isinstance(given, Renewed)
    return given.lease.number


@asynccontextmanager
async def opened(limit: int = 1_000_000) -> AsyncIterator[World]:
    """Open two nodes with room for so many notifications."""
    time = Time()
    store = MemoryNodeStore(time, length=1e6)
    here, other = [Node(Road(store), PlayedStanding(await join(store, name)), time, limit) for name in ("a", "b")]
    async with AsyncExitStack() as stack:
        for node in (here, other):
            await stack.enter_async_context(node.queues.running())
        yield World(store, here, other, time)
        for node in (here, other):
            await node.devices.aclose()


@define(eq=False)
class Gate:
    """Holds back the answers of one method of the database."""

    answered: asyncio.Event = Factory(asyncio.Event)
    open: asyncio.Event = Factory(asyncio.Event)

    @classmethod
    def before_answers_of(cls, name: str, monkeypatch: pytest.MonkeyPatch) -> Gate:
        """Put one there."""
        gate, method = cls(), getattr(MemoryNodeStore, name)

        async def answer(store: MemoryNodeStore, *asked: Any) -> Any:
            answer = await method(store, *asked)
            gate.answered.set()
            await gate.open.wait()
            return answer

        monkeypatch.setattr(MemoryNodeStore, name, answer)
        return gate
