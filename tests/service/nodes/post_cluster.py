"""Several nodes with real connections, queues and ways of posts, over a database, a network and devices that are played.

``python -m tests.service.nodes.post_cluster 0 100`` runs the seeds from 0 up to 100.
"""

from __future__ import annotations

import asyncio
import random
import sys
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from functools import partial
from typing import Any, Final, cast

from attrs import Factory, define, evolve

from tests.service.nodes import queue_world
from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.nodes.queue_world import RAW, PlayedDevice, PlayedKeeper, Road, channel_of, device_of, payload_of
from tests.service.nodes.virtual_loop import VirtualLoop
from tocsin.protocol.delivery.recent_ids import RecentIds
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages.node_protocol import Told, WithdrawThere
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.forwarding import ForwardedPost, ForwardResult, NotPushed
from tocsin.service.nodes.node_links import NodeLinks, NodePlace
from tocsin.service.nodes.node_posts import NodePosts
from tocsin.service.nodes.node_taker import NodeTaker
from tocsin.service.operations.metrics import Counters
from tocsin.service.registry.node_store import NodeStore

TROUBLE: Final = 20.0
"""Seconds in which faults happen; then all is well for longer."""

PATIENCE_OF_LINK: Final = 3.0

TICK: Final = 1e-6
"""Seconds between two things that come the same way: what is due at the same moment has no order."""

_RECEIVED: Final = {PushResult.ACKNOWLEDGED, PushResult.STORED}
NOW_OR_NEVER: Final = evolve(RAW, ttl=0)


class NodeRoad(Road):
    """The way of one node to the database; it ends with the node's process."""

    is_dead = False

    async def _ask(self, name: str, *arguments: Any, **named: Any) -> Any:
        if self.is_dead:
            raise StateUnavailable("this process is no more")
        return await super()._ask(name, *arguments, **named)


@define(eq=False)
class PlayedLinks:
    """The links of a node: what goes over them takes time, keeps its order, and may be lost with its answer."""

    cluster: Cluster
    name: str
    _arrivals: dict[str, float] = Factory(dict)

    def push_now(
        self, to: NodePlace, post: ForwardedPost, settled: Callable[[ForwardResult], None]
    ) -> ForwardResult | None:
        """Forward, and call back once."""
        loop, answered = asyncio.get_running_loop(), False

        def answer(result: ForwardResult) -> None:
            nonlocal answered
            if not answered:
                answered = True
                settled(result)

        if not self.cluster.linked(self.name, to.node):
            loop.call_later(0.001, answer, NotPushed.UNREACHABLE)
            return None
        loop.call_later(PATIENCE_OF_LINK, answer, NotPushed.UNANSWERED)
        back = lambda result: self.cluster.links[to.node].carry(self.name, partial(answer, result))  # noqa: E731
        self.carry(to.node, lambda: self.cluster.take(to.node, post, back))
        return None

    async def push(self, to: NodePlace, post: ForwardedPost) -> ForwardResult:
        """Forward, and wait."""
        waiting: asyncio.Future[ForwardResult] = asyncio.get_running_loop().create_future()
        result = self.push_now(to, post, lambda said: None if waiting.done() else waiting.set_result(said))
        return await waiting if result is None else result

    def look(self, to: NodePlace, devices: Iterable[str]) -> None:
        """Tell of devices."""
        names = [*devices]
        self.carry(to.node, lambda: self.cluster.nodes[to.node].taker.look(names))

    def tell(self, to: NodePlace, message: Told) -> None:
        """Tell of deleted toasts, or of what was acknowledged."""
        if isinstance(message, WithdrawThere):
            self.carry(to.node, lambda: self.cluster.nodes[to.node].taker.withdraw(message))
        else:
            self.carry(to.node, lambda: self.cluster.nodes[to.node].taker.acknowledge(message))

    def carry(self, to: str, deliver: Callable[[], None]) -> None:
        """Carry something to a node, behind what went there before."""
        cluster, loop, chance = self.cluster, asyncio.get_running_loop(), self.cluster.chance
        if chance.random() < cluster.lossy / 2:
            return
        late = chance.uniform(0.5, 6) if chance.random() < cluster.lossy / 2 else chance.expovariate(500)
        arrival = max(loop.time() + late, self._arrivals.get(to, 0.0) + TICK)
        self._arrivals[to] = arrival
        node = cluster.nodes[to]

        def arrive() -> None:
            if cluster.linked(self.name, to) and cluster.nodes[to] is node:
                deliver()

        loop.call_at(arrival, arrive)


class ClusterNode(queue_world.Node):
    """A run of a node's process."""

    def __init__(self, cluster: Cluster, name: str) -> None:
        self.name = name
        road = self._road = NodeRoad(cluster.store, cluster.chance, latency=cluster.slow)
        self.keeper = PlayedKeeper(cast(NodeStore, road), name)
        super().__init__(road, self.keeper, asyncio.get_running_loop().time)
        self.keeper.queues = self.queues
        links = cast(NodeLinks, cluster.links[name])
        counters = Counters()
        nodes = cast(NodeStore, road)
        self.posts = NodePosts(
            self.keeper, nodes, self.queues, self.devices, links, counters, cluster.store.leases.values
        )
        self.devices.nodes = self.posts
        self.taker = NodeTaker(self.keeper, self.queues, self.devices, self.posts)
        self.is_alive = True
        self._running = asyncio.ensure_future(self._run())

    async def _run(self) -> None:
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self.queues.running())
            await stack.enter_async_context(self.posts.running())
            await self.keeper.run()

    async def end(self) -> None:
        """Let its process be killed."""
        self.is_alive, self._road.is_dead, self.keeper.until = False, True, -1.0
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)


@define(eq=False)
class Post:
    """What a sender knows of a post."""

    id: str
    key: str
    storable: bool
    posted: float
    answered: float = 0.0
    result: PushResult | None = None

    @property
    def received(self) -> bool:
        """Whether its sender was told that it is received."""
        return self.result in _RECEIVED


@define(eq=False)
class Device:
    """A device: it connects again whenever it has no connection, and knows the ids of what it has."""

    key: str
    connection: PlayedDevice | None = None
    recent: RecentIds = Factory(lambda: RecentIds(10_000))
    handed: dict[str, int] = Factory(dict)

    def take(self, connection: _Connection, id: str) -> None:  # noqa: A002 - the field's name
        """Take what comes over its connection, once each, and acknowledge it."""
        if connection is self.connection:
            if self.recent.add([id]) is None:
                self.handed[id] = len(self.handed)
            asyncio.get_running_loop().call_later(connection.delay(), connection.acknowledge, id)


class _Connection(PlayedDevice):
    """One that tells its device when it is closed; a device reads and answers a little later."""

    on_closed: Callable[[], None]
    delay: Callable[[], float]
    _arrival = 0.0

    def close(self, code: int, reason: str) -> None:
        super().close(code, reason)
        asyncio.get_running_loop().call_later(self.delay(), self.on_closed)

    def send(self, message: bytes) -> None:
        before = len(self.got)
        super().send(message)
        loop = asyncio.get_running_loop()
        for id_ in self.got[before:]:
            self._arrival = max(self._arrival + TICK, loop.time() + self.delay())
            loop.call_at(self._arrival, self.on_arrived, id_)

    on_arrived: Callable[[str], None]


class Cluster:
    """One seed's world."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)  # noqa: S311  # not for secrets
        self.store = MemoryNodeStore(asyncio.get_running_loop().time)
        self.slow = self.chance.choice([0.001, 0.01, 0.05])
        self.lossy = 0.0
        self.cut: set[frozenset[str]] = set()
        names = ["a", "b", "c"]
        self.links = {name: PlayedLinks(self, name) for name in names}
        self.nodes = {name: ClusterNode(self, name) for name in names}
        self.devices = {key: Device(key) for key in (letter * 32 for letter in "xyz")}
        self.posts: list[Post] = []
        self.faults: Counter[str] = Counter()
        self._tasks: set[asyncio.Task[Any]] = set()
        self.is_over = False
        for device in self.devices.values():
            self.reconnect(device)

    def start(self, work: Any) -> None:
        """Run a task."""
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def later(self, wait: float, act: Callable[[], object]) -> None:
        """Do something later."""
        asyncio.get_running_loop().call_later(wait, act)

    def linked(self, one: str, other: str) -> bool:
        """Tell whether two nodes reach each other."""
        return frozenset({one, other}) not in self.cut and self.nodes[one].is_alive and self.nodes[other].is_alive

    def take(self, name: str, post: ForwardedPost, answer: Callable[[ForwardResult], None]) -> None:
        """Let a node take a forward, as its link does."""
        taker = self.nodes[name].taker

        async def take() -> None:
            answer(await taker.take(post))

        if not taker.take_now(post, answer):
            self.start(take())

    # Devices

    def reconnect(self, device: Device) -> None:
        """Connect to a node that takes devices."""
        if device.connection is not None or self.is_over:
            return
        able = [each for each in self.nodes.values() if each.is_alive and each.keeper.is_good()]
        if not able:
            self.later(self.chance.uniform(0.05, 0.3), partial(self.reconnect, device))
            return
        node = self.chance.choice(able)
        connection = _Connection(device.key, node, acknowledges=False)
        connection.delay = partial(self.chance.expovariate, 100)
        connection.on_closed = partial(self.closed, device, connection)
        connection.on_arrived = partial(device.take, connection)
        device.connection = connection
        node.greet(connection)

    def closed(self, device: Device, connection: PlayedDevice) -> None:
        """Let a device know that its node has closed the connection."""
        if connection.receiver is not None:
            connection.leave()
        if device.connection is connection:
            device.connection = None
            self.reconnect(device)

    def lose(self, device: Device) -> None:
        """Let a connection break; its node learns of it soon, or late."""
        connection, device.connection = device.connection, None
        if connection is not None:
            late = self.chance.uniform(0.5, 5) if self.chance.random() < 0.3 else self.chance.expovariate(100)
            self.later(late, lambda: connection.leave() if connection.receiver is not None else None)
        self.later(self.chance.uniform(0, self.chance.choice([0.1, 1, 6])), partial(self.reconnect, device))

    # Senders

    async def send(self, key: str, *, storable: bool) -> None:
        """Post to any node, as the senders' side does."""
        node = self.chance.choice([each for each in self.nodes.values() if each.is_alive] or [None])
        if node is None:
            return
        loop = asyncio.get_running_loop()
        post = Post(f"p{len(self.posts)}", key, storable, loop.time())
        self.posts.append(post)
        notification = RAW if storable else NOW_OR_NEVER
        channel, payload = channel_of(key), payload_of(key, post.id)
        settled: asyncio.Future[PushResult] = loop.create_future()
        if node.devices.push_now(channel, payload, notification, settled.set_result):
            result = await node.devices.conclude(channel, payload, notification, await settled)
        else:
            result = await node.devices.push(channel, payload, notification)
        if node.is_alive:
            post.answered, post.result = loop.time(), result

    async def go_on_sending(self, until: float) -> None:
        """Post again and again."""
        while asyncio.get_running_loop().time() < until:
            key = self.chance.choice([*self.devices])
            for _ in range(self.chance.choice([1, 1, 1, 1, 6])):
                self.start(self.send(key, storable=self.chance.random() < 0.8))
            await asyncio.sleep(self.chance.expovariate(4))

    # Trouble

    async def go_on_troubling(self, until: float) -> None:
        """Let something happen, again and again."""
        acts = [self.kill, self.cut_link, self.cut_base, self.lapse, self.move, self.spoil, self.lose_messages]
        weights = [self.chance.choice([0, 1, 1, 5]) for _ in acts]
        weights[self.chance.randrange(len(acts))] = 1
        while asyncio.get_running_loop().time() < until:
            act = self.chance.choices(acts, weights)[0]
            self.faults[act.__name__] += 1
            act(self.chance.choice([*self.nodes.values()]))
            await asyncio.sleep(self.chance.expovariate(self.chance.choice([0.5, 2.0])))

    def kill(self, node: ClusterNode) -> None:
        """End a process, and start it anew a little later."""
        if not node.is_alive:
            return
        self.start(node.end())
        node.is_alive = False
        for device in self.devices.values():
            if device.connection is not None and device.connection.node is node:
                self.lose(device)
        self.later(self.chance.uniform(0.05, 6), partial(self._restart, node))

    def _restart(self, node: ClusterNode) -> None:
        if self.nodes[node.name] is node:
            self.nodes[node.name] = ClusterNode(self, node.name)

    def cut_link(self, node: ClusterNode) -> None:
        """Let two nodes not reach each other for a while."""
        link = frozenset({node.name, self.chance.choice([each for each in self.nodes if each != node.name])})
        self.cut.add(link)
        self.later(self.chance.uniform(0.5, 9), partial(self.cut.discard, link))

    def cut_base(self, node: ClusterNode) -> None:
        """Let a node not reach the database for a while, or lose much on its way there."""
        node.road.lost = self.chance.choice([0.2, 1.0])
        self.later(self.chance.uniform(0.5, 9), partial(setattr, node.road, "lost", 0.0))

    def lapse(self, node: ClusterNode) -> None:
        """Let a node not ask for its lease for a while."""
        node.keeper.stalls = True
        self.later(self.chance.uniform(0.5, 6), lambda: setattr(node.keeper, "stalls", False))

    def move(self, node: ClusterNode) -> None:
        """Let a device connect again, a few times."""
        del node
        device = self.chance.choice([*self.devices.values()])
        for _ in range(self.chance.choice([1, 3, 6])):
            self.later(self.chance.uniform(0, 1), lambda: self.lose(device) if device.connection is not None else None)

    def spoil(self, node: ClusterNode) -> None:
        """Let the database be gone for a while."""
        del node
        self.store.gone = True
        self.later(self.chance.uniform(0.2, 6), lambda: setattr(self.store, "gone", False))

    def lose_messages(self, node: ClusterNode) -> None:
        """Let messages between nodes be lost or late for a while."""
        del node
        self.lossy = 0.4
        self.later(self.chance.uniform(1, 9), partial(setattr, self, "lossy", 0.0))

    # All of it

    async def run(self) -> None:
        """Let it all happen, then let all be well, and look at what is promised."""
        await asyncio.sleep(2)
        await asyncio.gather(self.go_on_sending(TROUBLE), self.go_on_troubling(TROUBLE))
        await asyncio.sleep(25)
        await self.go_on_sending(TROUBLE + 35)
        await asyncio.sleep(15)
        self.check()
        self.is_over = True
        for node in self.nodes.values():
            await node.end()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def check(self) -> None:
        """Look at all that is promised, when all has been well for a while."""
        for device in self.devices.values():
            posts = [post for post in self.posts if post.key == device.key]
            for post in posts:
                if post.received:
                    assert post.id in device.handed, f"{post} was received, and is lost"
                if post.result is PushResult.OFFLINE:
                    assert post.id not in device.handed, f"{post} was dropped, and came"
                if post.posted > TROUBLE + 20:
                    assert post.received, f"trouble did not end: {post}"
            _check_order(device, posts)
            connection, name = device.connection, device_of(device.key)
            assert connection is not None, "it is not connected, though all is well"
            home = connection.node.queues.home_of(name)
            assert self.store.rows[name].home == home, f"{self.store.rows[name]} does not name {home}"
            assert not self.store.queues.get(name), "what is stored stays there, though the device is connected"


def _check_order(device: Device, posts: list[Post]) -> None:
    for one in posts:
        if one.received:
            for other in posts:
                if other.posted > one.answered and other.id in device.handed:
                    assert device.handed[one.id] < device.handed[other.id], f"{other} came before {one}"


def run(seed: int) -> Cluster:
    """Run a seed."""

    async def whole() -> Cluster:
        cluster = Cluster(seed)
        try:
            await cluster.run()
        except BaseException:
            print(f"seed {seed}, at {asyncio.get_running_loop().time():.3f} s")  # noqa: T201
            raise
        return cluster

    random.seed(seed)  # what the nodes themselves leave to chance
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(whole())


def main(first: int, last: int) -> None:
    """Run many seeds, and tell what became of the posts."""
    ends: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for seed in range(first, last):
        cluster = run(seed)
        ends.update("UNANSWERED" if post.result is None else post.result.name for post in cluster.posts)
        faults += cluster.faults
    print(f"{last - first} seeds; posts: {dict(ends)}; faults: {dict(faults)}")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
