"""Queues of several nodes, whatever happens: nothing that was stored is lost, passed by, or sent by a node that may not."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Coroutine
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.nodes.queue_world import Node, PlayedDevice, PlayedKeeper, Road, device_of
from tests.service.nodes.virtual_loop import VirtualLoop
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.values import NotificationType
from tocsin.service.devices.outbox import PushResult

KEYS = "k" * 32, "l" * 32
NODES = range(2)
KINDS = st.sampled_from([NotificationType.RAW, NotificationType.PUSH])


class QueueMachine(RuleBasedStateMachine):
    """Devices connect here and there, senders push and store at both nodes, nodes stand still, and the database is lost sight of."""

    def __init__(self) -> None:
        super().__init__()
        self.loop = VirtualLoop()
        self.store = MemoryNodeStore(self.loop.time)
        self.count = 0
        self.promised: defaultdict[str, set[str]] = defaultdict(set)
        self.had: defaultdict[str, list[str]] = defaultdict(list)
        """What a device was sent for the first time, in order."""
        self.messages: dict[str, str] = {}
        """The keys of the devices of messages of Web Push that were promised, and not taken back."""
        self.gone: dict[str, Node] = {}
        """Those that were taken back while they waited, and at which node."""
        self.connections: dict[str, PlayedDevice] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.failures: list[BaseException] = []

    @initialize(seed=st.integers(0, 2**32))
    def start(self, seed: int) -> None:
        """Start the nodes."""
        self.chance = Random(seed)  # noqa: S311  # not for secrets
        self.loop.run_until_complete(self._start())

    async def _start(self) -> None:
        self.nodes = [self._node(number) for number in NODES]
        await asyncio.sleep(0.5)

    def _node(self, number: int) -> Node:
        road = Road(self.store, self.chance, latency=0.002)
        keeper = PlayedKeeper(road, f"n{number}")  # type: ignore[arg-type]  # it passes all on
        node = Node(road, keeper, self.loop.time)
        keeper.queues = node.queues
        self._spawn(keeper.run())
        return node

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = self.loop.create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (failure := task.exception()):
            self.failures.append(failure)

    @rule(key=st.sampled_from(KEYS), number=st.sampled_from(NODES), prompt=st.booleans())
    def device_connects(self, key: str, number: int, prompt: bool) -> None:
        """A device has one connection at a time; the node of the last may learn of its end later."""

        async def connect() -> None:
            last = self.connections.pop(key, None)
            if last is not None:
                last.acknowledges = False
                last.on_payload = lambda *_: None
                self.loop.call_later(self.chance.uniform(0, 5), last.drop)
            device = self.connections[key] = self.nodes[number].connect(key)
            device.acknowledges = prompt
            device.on_payload = partial(self._came, frozenset(self.gone))

        self.loop.run_until_complete(connect())

    @rule(key=st.sampled_from(KEYS))
    def device_leaves(self, key: str) -> None:
        """A connection ends."""
        self.loop.run_until_complete(self._leave(key))

    async def _leave(self, key: str) -> None:
        last = self.connections.pop(key, None)
        if last is not None:
            last.drop()

    @rule(key=st.sampled_from(KEYS))
    def device_acknowledges(self, key: str) -> None:
        """It says what it has, at last."""

        async def acknowledge() -> None:
            device = self.connections.get(key)
            if device is not None and device.got:
                device.acknowledge(*device.got)

        self.loop.run_until_complete(acknowledge())

    @rule(key=st.sampled_from(KEYS), number=st.sampled_from(NODES), kind=KINDS)
    def sender_stores(self, key: str, number: int, kind: NotificationType) -> None:
        """A notification is stored at either node, wherever the device is."""
        self._spawn(self._keep(key, self.nodes[number], self._next(), kind))

    @rule(key=st.sampled_from(KEYS), number=st.sampled_from(NODES), count=st.integers(1, 4))
    def senders_store_together(self, key: str, number: int, count: int) -> None:
        """Several are stored in one change; the task may be broken off at any moment."""
        self._spawn(self._keep_together(key, self.nodes[number], [self._next() for _ in range(count)]))

    async def _keep_together(self, key: str, node: Node, ids: list[str]) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self.chance.choice([0.01, 0.1, 10])):
                self.promised[key].update(await node.keep_together(key, ids))

    @rule(key=st.sampled_from(KEYS), number=st.sampled_from(NODES), kind=KINDS)
    def sender_pushes(self, key: str, number: int, kind: NotificationType) -> None:
        """One is pushed, and stored where its device does not acknowledge it."""
        self._spawn(self._push(key, self.nodes[number], self._next(), kind))

    @rule(key=st.sampled_from(KEYS), number=st.sampled_from(NODES), wait=st.sampled_from([0.0, 0.1, 5.0]))
    def sender_takes_back(self, key: str, number: int, wait: float) -> None:
        """All messages of Web Push are deleted that were promised to a device, at either node, at once or a little later."""
        for id_ in [each for each, device in self.messages.items() if device == key]:
            self._spawn(self._take_back(key, self.nodes[number], id_, wait))

    async def _take_back(self, key: str, node: Node, id: str, wait: float) -> None:  # noqa: A002 - the field's name
        """What does not wait has come; what waited is gone, and where that is not known it may come."""
        await asyncio.sleep(wait)
        if self.messages.pop(id, None) is None:
            return
        self.promised[key].discard(id)
        with suppress(StateUnavailable):
            if await node.take_back(key, id):
                self.gone[id] = node
                assert not await self.chance.choice(self.nodes).take_back(key, id), "it was deleted, and is there"
            else:
                assert id in self.had[key], "it was promised, and neither waits nor has come"

    def _next(self) -> str:
        self.count += 1
        return f"{self.count:04}"

    async def _keep(self, key: str, node: Node, id: str, kind: NotificationType) -> None:  # noqa: A002 - the field's name
        try:
            assert await node.keep(key, id, kind)
        except StateUnavailable:
            return
        self._promise(key, id, kind)

    async def _push(self, key: str, node: Node, id: str, kind: NotificationType) -> None:  # noqa: A002 - the field's name
        result = await node.push(key, id, kind)
        if result in {PushResult.STORED, PushResult.ACKNOWLEDGED}:
            self._promise(key, id, kind)

    def _promise(self, key: str, id: str, kind: NotificationType) -> None:  # noqa: A002 - the field's name
        self.promised[key].add(id)
        if kind is NotificationType.PUSH:
            self.messages[id] = key

    @rule(number=st.sampled_from(NODES))
    def node_prunes(self, number: int) -> None:
        """Rows of devices of which nothing is left are erased, whatever nodes know of them."""

        async def prune() -> None:
            with suppress(StateUnavailable):
                await self.nodes[number].queues.prune()

        self._spawn(prune())

    @rule(number=st.sampled_from(NODES), stalls=st.booleans())
    def lease_is_not_renewed(self, number: int, stalls: bool) -> None:
        """For a while."""
        keeper = self.nodes[number].standing
        assert isinstance(keeper, PlayedKeeper)
        keeper.stalls = stalls

    @rule(gone=st.booleans())
    def database_is_gone(self, gone: bool) -> None:
        """For a while."""
        self.store.gone = gone

    @rule(number=st.sampled_from(NODES), lost=st.sampled_from([0.0, 0.1, 0.4]), latency=st.sampled_from([0.001, 0.1]))
    def road_is_bad(self, number: int, lost: float, latency: float) -> None:
        """Questions and answers are lost, or late."""
        road = self.nodes[number].road
        road.lost, road.latency = lost, latency

    @rule(seconds=st.sampled_from([0.001, 0.01, 0.1, 1.0, 5.0]))
    def time_passes(self, seconds: float) -> None:
        """All go on."""
        self.loop.run_until_complete(asyncio.sleep(seconds))

    @precondition(lambda self: self.count)
    @rule()
    def all_is_well_again(self) -> None:
        """What was promised comes, what has come is erased, and rows say where devices are."""
        self.loop.run_until_complete(self._settle())
        for key in KEYS:
            assert self.promised[key] <= set(self.had[key]), "what was promised has not come"
            assert not self.store.queues.get(device_of(key)), "what has come is not erased"
            connection = self.connections[key]
            assert connection.closed is None
            row = self.store.rows[device_of(key)]
            assert row.home == connection.node.queues.home_of(device_of(key)) is not None

    async def _settle(self) -> None:
        self.store.gone = False
        for node in self.nodes:
            assert isinstance(node.standing, PlayedKeeper)
            node.standing.stalls, node.road.lost, node.road.latency = False, 0.0, 0.002
        await asyncio.sleep(20)
        for key in KEYS:
            await self._leave(key)
            device = self.connections[key] = self.chance.choice(self.nodes).connect(key)
            device.on_payload = partial(self._came, frozenset(self.gone))
        await asyncio.sleep(5)

    def _came(self, gone: frozenset[str], device: PlayedDevice, id: str) -> None:  # noqa: A002 - the field's name
        """Take what has come; what is stored has not passed by what was stored before it, and what was taken back comes no more.

        :param gone: what had been taken back when the device connected: of later ones its node may learn when they have come.
        """
        if id in gone or self.gone.get(id) is device.node:
            self.failures.append(AssertionError(f"{id} was taken back, and has come"))
        if id not in self.had[device.key]:
            self.had[device.key].append(id)
        queue = self.store.queues.get(device.device, {}).values()
        number = next((entry.sequence for entry in queue if entry.id == id), 0)
        passed = [entry.id for entry in queue if entry.sequence < number and entry.id not in device.got]
        if passed:
            self.failures.append(AssertionError(f"{id} has passed {passed} by"))

    @invariant()
    def nothing_fails(self) -> None:
        """No task, and no connection by the service's fault."""
        assert not self.failures
        for connection in self.connections.values():
            assert not connection.failures

    def teardown(self) -> None:
        """End all, and see that rows are cleared."""
        try:
            self.loop.run_until_complete(self._end())
        finally:
            self.loop.close()

    async def _end(self) -> None:
        for key in KEYS:
            await self._leave(key)
        if hasattr(self, "nodes"):
            self.store.gone = False
            for node in self.nodes:
                assert isinstance(node.standing, PlayedKeeper)
                node.standing.stalls, node.road.lost = False, 0.0
            await asyncio.sleep(20)
            self._end_tasks()
            doubtful = {device for node in self.nodes for device in node.road.doubtful}
            for device in self.store.rows.keys() - doubtful:
                home = self.store.rows[device].home
                assert home is None or not self.store.is_good(home.lease), "it has left, and its row says it is there"

    def _end_tasks(self) -> None:
        for task in asyncio.all_tasks(self.loop) - {asyncio.current_task()}:
            task.cancel()


TestQueueMachine = QueueMachine.TestCase
