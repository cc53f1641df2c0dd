"""Nodes over one database in memory, with their devices' connections; leases, a network of troubles, and devices are played."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from random import Random
from typing import Any, cast

from attrs import Factory, define, evolve, field

from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.played_socket import PlayedSocket
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.messages import Acknowledge, Hello, Payload, codec
from tocsin.protocol.service.nodes.device_row import RowChange
from tocsin.protocol.service.nodes.lease import LeaseTerms
from tocsin.protocol.service.nodes.lease_row import Joining, LeaseRow
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.service.offline_queue import Depths
from tocsin.protocol.values import PROTOCOL_VERSION, NotificationType
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.outbox import PushResult
from tocsin.service.devices.unwanted_pushes import UnwantedPushes
from tocsin.service.nodes.shared_queues import SharedQueues
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.node_store import NodeStore, Renewed, Wake
from tocsin.service.registry.service_store import ChannelRow, ServiceStore

EVER = 4e9
RAW = Notification(NotificationType.RAW, True, None, None, None, 2)  # noqa: FBT003
SETTINGS = ServiceSettings(acknowledge_timeout=2.0, device_window=4)


def device_of(key: str) -> str:
    """Return what the service calls the device with this key."""
    return hashlib.sha256(key.encode()).hexdigest()


def channel_of(key: str) -> ChannelRow:
    """Make a device's channel."""
    return ChannelRow(key.encode(), f"channel of {key}", "client", "app", device_of(key), EVER, revoked=False)


def payload_of(key: str, id: str, kind: NotificationType = NotificationType.RAW, **more: Any) -> Payload:  # noqa: A002
    """Make a payload for a device."""
    return Payload(id, channel_of(key).name, kind, id.encode(), more.pop("expires", None), 2, **more)


@define(eq=False)
class Road:
    """The way to the database: it takes time, and loses questions and answers as often as it is told, of those with a chance."""

    store: MemoryNodeStore
    chance: Random = Factory(lambda: Random(0))  # noqa: S311  # not for secrets
    latency: float = 0.0
    lost: float = 0.0
    asked: list[tuple[Any, ...]] = Factory(list)
    doubtful: set[str] = Factory(set)
    """Devices that may have been written down without an answer."""

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        ask = partial(self._ask, name)
        begins = name in {"look", "change_queue"}  # before it is awaited
        return (lambda *arguments: asyncio.ensure_future(ask(*arguments))) if begins else ask

    async def _ask(self, name: str, *arguments: Any, **named: Any) -> Any:
        self.asked.append((name, *arguments))
        ask = partial(getattr(self.store, name), *arguments, **named)
        await asyncio.sleep(self._delay())
        if name in {"connect", "reclaim"} and self.lost:
            self.doubtful.add(arguments[0])
        if self.chance.random() < self.lost:
            if self.chance.random() < 0.5:  # it comes late
                asyncio.get_running_loop().call_later(self.chance.uniform(0, 4), _run_anyhow, ask)
            raise StateUnavailable("no answer", in_doubt=True)
        answer = await ask()
        await asyncio.sleep(self._delay())
        if self.chance.random() < self.lost:
            raise StateUnavailable("the answer was lost", in_doubt=True)
        return answer

    def _delay(self) -> float:
        return self.chance.expovariate(1 / self.latency) if self.latency else 0.0


_LATE: set[asyncio.Task[Any]] = set()


def _run_anyhow(ask: Callable[[], Any]) -> None:
    task = asyncio.ensure_future(ask())
    _LATE.add(task)
    task.add_done_callback(_forget)


def _forget(task: asyncio.Task[Any]) -> None:
    _LATE.discard(task)
    if not task.cancelled():
        task.exception()  # it concerns none any more


@define(eq=False)
class StoredNow:
    """As much of the service's store as queues need: what is stored, beside what nodes know of it."""

    nodes: MemoryNodeStore

    async def stored_bodies(self, sequences: Iterable[int]) -> dict[int, bytes]:
        """Return bodies."""
        return await self.nodes.stored_bodies(list(sequences))

    counted: int = 0
    """How often all was counted."""

    async def total_stored(self) -> tuple[int, int]:
        """Count."""
        self.counted += 1
        await asyncio.sleep(0)
        stored = [entry for queue in self.nodes.queues.values() for entry in queue.values()]
        return len(stored), sum(entry.type is NotificationType.PUSH for entry in stored)

    async def devices_with_spent(self, now: float) -> set[str]:
        """Find what is spent."""
        await asyncio.sleep(0)
        queues = self.nodes.queues.items()
        return {device for device, queue in queues if any(each.good_until <= now for each in queue.values())}


@define(eq=False)
class PlayedStanding:
    """A node's lease, as the test says."""

    lease: int = 1
    good: bool = True
    terms: LeaseTerms = Factory(LeaseTerms)

    def is_good(self) -> bool:
        """Tell."""
        return self.good


@define(eq=False)
class PlayedKeeper:
    """A node's lease that is renewed while it may be."""

    nodes: NodeStore
    name: str
    terms: LeaseTerms = Factory(LeaseTerms)
    lease: int = 0
    until: float = -1.0
    stalls: bool = False
    row: LeaseRow | None = None
    read: frozenset[Wake] = frozenset()
    queues: SharedQueues = field(init=False)

    def is_good(self) -> bool:
        """Tell whether it has not run out."""
        return asyncio.get_running_loop().time() < self.until

    async def run(self) -> None:
        """Ask, a few times for each length of a lease."""
        while True:
            with suppress(StateUnavailable):
                await self._ask()
            if not self.is_good() and self.row is not None:
                self.row = None
                self.queues.hold()
            await asyncio.sleep(self.terms.length / 6)

    async def _ask(self) -> None:
        asked = asyncio.get_running_loop().time()
        if self.stalls:
            return
        if self.row is None:
            given = await self.nodes.join(Joining(self.name, self.name, "", "1", self.lease))
        else:
            given = await self.nodes.renew(self.row, self.read, draining=False)
        if not isinstance(given, Renewed):
            self.until = -1.0
            return
        self.read = given.wakes
        self.queues.stale(wake.device for wake in given.wakes)
        joined = self.row is None
        if joined or self.is_good():
            self.row, self.lease, self.until = given.lease, given.lease.number, asked + self.terms.own
            if joined:
                self.queues.reclaim()


class Node:
    """A node: its queues, and its devices' connections."""

    def __init__(
        self,
        road: Road,
        standing: PlayedStanding | PlayedKeeper,
        now: Callable[[], float],
        limit: int = 1_000_000,
        store: ServiceStore | None = None,
    ) -> None:
        self.road = road
        self.standing = standing
        store = store or cast(ServiceStore, StoredNow(road.store))
        self.queues = SharedQueues(cast(NodeStore, road), store, standing, Depths(), now, limit)
        unwanted = UnwantedPushes(store, self.queues.recurring)
        limits = Limits(SETTINGS, now)
        self.devices = Devices(cast(Channels, _Channels()), self.queues, unwanted, SETTINGS, limits, Counters())

    def connect(self, key: str) -> PlayedDevice:
        """Let a device connect, and say hello."""
        device = PlayedDevice(key, self)
        self.greet(device)
        return device

    def greet(self, device: PlayedDevice) -> None:
        """Let a device that connects say hello."""
        device.receiver = self.devices.open(device)
        device.say(codec.encode(Hello(PROTOCOL_VERSION, device.key)))

    async def push(self, key: str, id: str, kind: NotificationType = NotificationType.RAW) -> PushResult:  # noqa: A002 - the field's name
        """Push a notification."""
        return await self.devices.push(channel_of(key), payload_of(key, id, kind), evolve(RAW, type=kind))

    async def keep(self, key: str, id: str, kind: NotificationType = NotificationType.RAW) -> bool:  # noqa: A002 - the field's name
        """Store one."""
        return await self.queues.keep(channel_of(key), payload_of(key, id, kind), lambda _: None)

    async def take_back(self, key: str, id: str) -> bool:  # noqa: A002 - the field's name
        """Delete a message of Web Push that is stored; tell whether it was there."""
        return await self.devices.withdraw_message(channel_of(key), id)

    async def keep_together(
        self, key: str, ids: Sequence[str], kind: NotificationType = NotificationType.RAW
    ) -> list[str]:
        """Store several in one turn of their device, once it can be had, and return which are stored."""
        while (turn := self.queues.take_turn(device_of(key))) is None:  # noqa: ASYNC110  # as posts come again
            await asyncio.sleep(0.001)
        try:
            if not turn.is_current:
                turn.begin_look()
                await turn.looked()
            await turn.begin_store([(channel_of(key), payload_of(key, each, kind)) for each in ids], frozenset(), None)
            stored = await turn.stored()
        except StateUnavailable:
            return []
        finally:
            turn.end()
        return [each for each, kept in zip(ids, stored, strict=True) if isinstance(kept, RowChange)]


class PlayedDevice(PlayedSocket):
    """A connection of a device at a node; ``got`` is what it was sent, in order."""

    def __init__(self, key: str, node: Node, *, acknowledges: bool = True) -> None:
        super().__init__()
        self.key = key
        self.device = device_of(key)
        self.node = node
        self.acknowledges = acknowledges
        self.got: list[str] = []
        self.on_payload: Callable[[PlayedDevice, str], None] = lambda *_: None

    def send(self, message: bytes) -> None:
        """Take what is sent; nothing comes before the row is written and the queue read."""
        if self.closed is not None or self.receiver is None:
            return
        ids = [each.id for each in map(codec.decode, codec.frames(message)) if isinstance(each, Payload)]
        if ids:
            assert self.node.standing.is_good(), "it is sent something past the lease"
            home = self.node.queues.home_of(self.device)
            assert home is not None, "it is sent something before its row is written"
            assert home.lease == self.node.standing.lease, "it is sent something under another lease"
            claim = self.node.queues._claims.get(self.device)
            assert claim is not None
            assert claim.is_read, "it is sent something before its queue is read"
        for id in ids:  # noqa: A001 - the field's name
            self.got.append(id)
            self.on_payload(self, id)
        if ids and self.acknowledges:
            asyncio.get_running_loop().call_soon(self.acknowledge, *ids)

    def acknowledge(self, *ids: str) -> None:
        """Say that it has these."""
        if self.receiver is not None:
            self.say(codec.encode(Acknowledge(ids)))


class _Channels:
    """No channel has ended, and browsers have those that they name."""

    def may_have_orphans(self, device: str) -> bool:
        return not device

    async def has_subscriptions(self, device: str) -> bool:
        return bool(device)

    async def prolong(self, _: str) -> None:
        pass
