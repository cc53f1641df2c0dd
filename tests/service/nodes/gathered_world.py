"""The posts of one node over its real queues, with devices and links that are played."""

from __future__ import annotations

import asyncio
import gc
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any, cast

from attrs import Factory, define, evolve

from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.nodes.queue_world import RAW, PlayedStanding, Road, StoredNow, channel_of, device_of, payload_of
from tests.service.nodes.virtual_loop import VirtualLoop
from tocsin.protocol.messages import Payload
from tocsin.protocol.service.nodes.device_row import DeviceRow
from tocsin.protocol.service.nodes.lease_row import Joining
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.service.offline_queue import Depths, OfflineQueue, Phase
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.forwarding import ForwardedPost, ForwardResult
from tocsin.service.nodes.gathered_posts import GatheredPosts
from tocsin.service.nodes.node_links import NodeLinks, NodePlace
from tocsin.service.nodes.node_posts import NodePosts
from tocsin.service.nodes.shared_queues import SharedQueues
from tocsin.service.operations.metrics import Counters
from tocsin.service.registry.node_store import NodeStore, Renewed
from tocsin.service.registry.service_store import ChannelRow, ServiceStore

KEYS = "k" * 32, "l" * 32, "m" * 32
NOW_OR_NEVER = evolve(RAW, ttl=0)


@define(eq=False)
class PlayedDevices:
    """The connections of the node: none, or those that the test names."""

    offline: SharedQueues
    here: set[str] = Factory(set)
    pushed: list[str] = Factory(list)
    answers: asyncio.Event = Factory(asyncio.Event)

    def has(self, device: str) -> bool:
        """Tell whether it is here."""
        return device in self.here

    def may_acknowledge(self, device: str, id: str) -> bool:  # noqa: A002 - the field's name
        """Tell that it was sent nothing."""
        return not (device and id)

    async def attempt(self, channel: ChannelRow, payload: Payload) -> PushResult:
        """Push it."""
        del channel
        self.pushed.append(payload.id)
        await self.answers.wait()
        return PushResult.ACKNOWLEDGED

    def verdict(self, channel: ChannelRow, payload: Payload, notification: Notification, result: PushResult) -> Any:
        """Tell that this is the end."""
        del channel, payload, notification
        return result


@define(eq=False)
class PlayedLinks:
    """What was forwarded, with what is called back."""

    forwarded: list[tuple[str, Callable[[ForwardResult], None]]] = Factory(list)

    def push_now(self, to: NodePlace, post: ForwardedPost, settled: Callable[[ForwardResult], None]) -> None:
        """Keep it."""
        del to
        self.forwarded.append((post.payload.id, settled))

    def look(self, *_: object) -> None:
        """Tell of a wake."""


class GatheredWorld:
    """A node, and another lease of which the test writes."""

    def __init__(self, store: MemoryNodeStore, lease: int, other: int) -> None:
        self.store, self.other = store, other
        self.road = Road(store)
        self.standing = PlayedStanding(lease)
        time = asyncio.get_running_loop().time
        self.queues = SharedQueues(
            cast(NodeStore, self.road), cast(ServiceStore, StoredNow(store)), self.standing, Depths(), time
        )
        self.devices = PlayedDevices(self.queues)
        self.queues.serve(self.devices)  # type: ignore[arg-type]  # as much of it as is asked
        self.links = PlayedLinks()
        self.posts = NodePosts(
            *(self.standing, cast(NodeStore, self.road), self.queues, cast(Devices, self.devices)),
            *(cast(NodeLinks, self.links), Counters(), lambda: ()),
        )
        self.gathered: GatheredPosts = self.posts._gathered
        self.said: defaultdict[str, list[PushResult]] = defaultdict(list)
        """What senders have heard, by id."""
        self.keys: dict[str, str] = {}

    def post(self, id: str, notification: Notification = RAW, key: str = KEYS[0]) -> None:  # noqa: A002
        """Post, as the senders' side does."""
        self.keys[id] = key
        self.posts.bring_now(channel_of(key), payload_of(key, id), notification, self.said[id].append)

    async def settled(self) -> None:
        """Wait until all posts are at their end."""
        while self.posts.around.looking or not all(self.said.values()):
            await asyncio.sleep(0.001)
            assert asyncio.get_running_loop().time() < 100.0, "they wait for ever"

    def stored(self, key: str = KEYS[0]) -> list[str]:
        """Return the ids of what is stored for a device, in order."""
        queue = self.store.queues.get(device_of(key), {})
        return [queue[sequence].id for sequence in sorted(queue)]

    def asked(self) -> Counter[str]:
        """Count what the database was asked."""
        return Counter(each[0] for each in self.road.asked)

    def move(self, key: str = KEYS[0]) -> None:
        """Let another node have changed the device's row."""
        self.store.rows[device_of(key)] = DeviceRow(next(self.store._drawn))

    def check(self) -> None:
        """See that nothing is left of the posts that have come to their end, and that what is known is what is there."""
        gathered = self.gathered
        assert {id_: len(said) for id_, said in self.said.items()} == dict.fromkeys(self.said, 1)
        assert not self.posts.around.looking
        assert not gathered._waiting
        assert not gathered._behind
        assert not gathered._alone
        assert gathered._count == gathered._running == 0
        for key in KEYS:
            known = self.queues._known.get(device_of(key))
            if known is not None:
                assert not known.lock.locked()
                assert not known.users
            if known is not None and known.is_current and known.row == self.store.rows.get(device_of(key), known.row):
                assert [entry.id for entry in known.queue.entries.values()] == self.stored(key)
                assert all(entry.phase is Phase.STORED for entry in known.queue.entries.values())
            queue = known.queue if known is not None else OfflineQueue()
            assert not queue.ended


@asynccontextmanager
async def gathered_world() -> AsyncIterator[GatheredWorld]:
    """Run a node; in the end no future was given up that has failed."""
    loop = asyncio.get_running_loop()
    failures: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: failures.append(context))
    store = MemoryNodeStore(loop.time, length=1e6)
    leases = []
    for name in "ab":
        joined = await store.join(Joining(name, name, "", "1"))
        assert isinstance(joined, Renewed)
        leases.append(joined.lease.number)
    yield GatheredWorld(store, *leases)
    assert not failures


def play(test: Callable[[GatheredWorld], Coroutine[Any, Any, None]]) -> None:
    """Run a test on virtual time."""

    async def run() -> None:
        async with gathered_world() as world:
            await test(world)
            gc.collect()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())


async def pass_by(steps: int) -> None:
    """Let so many turns of the loop pass."""
    for _ in range(steps):
        await asyncio.sleep(0)


def post_some(world: GatheredWorld, prefix: str = "") -> None:
    """Post to all devices, twice to each."""
    for number, key in enumerate(KEYS * 2):
        world.post(f"{prefix}{number}", RAW, key)
