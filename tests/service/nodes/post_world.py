"""Several nodes of one service in one process, linked over sockets, with devices that the test plays."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import count
from typing import cast

from attrs import Factory, define, evolve

from tests.service.nodes.link_world import BODY, hasty, identity
from tests.service.nodes.memory_node_store import MemoryNodeStore
from tests.service.nodes.played_queues import PlayedQueues
from tests.service.played_socket import PlayedSocket
from tests.service.registry.memory_service_store import MemoryServiceStore
from tests.service.world import Clock
from tocsin.protocol.messages import Acknowledge, Hello, Message, Payload, PowerState, WithdrawToasts, codec
from tocsin.protocol.service.nodes.lease import LeaseTerms
from tocsin.protocol.service.nodes.lease_row import Joining, LeaseRow
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.service.offline_queue import Depths
from tocsin.protocol.values import PROTOCOL_VERSION, NotificationType
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.offline_store import OfflineStore
from tocsin.service.devices.outbox import PushResult
from tocsin.service.devices.unwanted_pushes import UnwantedPushes
from tocsin.service.nodes.link_server import serving_links
from tocsin.service.nodes.link_terms import LinkTerms
from tocsin.service.nodes.node_links import NodeLinks, open_node_links
from tocsin.service.nodes.node_posts import NodePosts
from tocsin.service.nodes.node_taker import NodeTaker
from tocsin.service.nodes.shared_queues import SharedQueues
from tocsin.service.nodes.taken_link import TakingContext
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.web.listener import listen

KEY = "a device key of thirty-two chars"
DEVICE = hashlib.sha256(KEY.encode()).hexdigest()
CHANNEL = ChannelRow(b"h" * 32, "c", "client", "app", DEVICE, 9e12, revoked=False)
MAY_WAIT = Notification(NotificationType.RAW, True, None, None, None, 1)  # noqa: FBT003
NOW_OR_NEVER = evolve(MAY_WAIT, ttl=0)
NO_CACHE = evolve(MAY_WAIT, cache=False)

_IDS = count(1)


def payload_of(notification: Notification) -> Payload:
    """Make a payload that no other post has."""
    return Payload(str(next(_IDS)), CHANNEL.name, notification.type, BODY, None, notification.priority)


class _NoChannelsEnded:
    def may_have_orphans(self, device: str) -> bool:
        return not device


@define(eq=False)
class PlayedStanding:
    """Whether a node has a lease, as the test says."""

    lease: int
    good: bool = True
    terms: LeaseTerms = Factory(lambda: LeaseTerms(length=0.1))

    def is_good(self) -> bool:
        """Tell it."""
        return self.good


class PlayedDevice(PlayedSocket):
    """A device that acknowledges all, until it is told not to."""

    def __init__(self) -> None:
        super().__init__()
        self.ids: list[str] = []
        self.told: list[Message] = []
        self.acknowledges = True

    def send(self, message: bytes) -> None:
        """Take payloads."""
        for said in map(codec.decode, codec.frames(message)):
            self.told.append(said)
            if isinstance(said, Payload):
                self.ids.append(said.id)
                if self.acknowledges:
                    asyncio.get_running_loop().call_soon(self.tell, Acknowledge((said.id,)))

    def tell(self, message: Message) -> None:
        """Say something to the node."""
        self.say(codec.encode(message))

    def save_power(self) -> None:
        """Say that only what is urgent may come."""
        self.tell(PowerState(screen_on_or_plugged=False, battery_saver=True, exempt=()))

    @property
    def withdrawn(self) -> list[WithdrawToasts]:
        """What it was told to delete."""
        return [each for each in self.told if isinstance(each, WithdrawToasts)]


@define(eq=False)
class Node:
    """A node of the test."""

    row: LeaseRow
    standing: PlayedStanding
    queues: PlayedQueues
    unwanted: UnwantedPushes
    devices: Devices
    links: NodeLinks
    posts: NodePosts
    taker: NodeTaker
    counters: Counters

    def accept(self) -> PlayedDevice:
        """Let the device connect; its row is not written yet."""
        device = PlayedDevice()
        device.receiver = self.devices.open(device)
        self.queues.arrive(DEVICE)
        device.tell(Hello(PROTOCOL_VERSION, KEY))
        return device

    async def connect(self) -> PlayedDevice:
        """Let the device connect, and write down that it is here."""
        device = self.accept()
        await self.queues.connect(DEVICE)
        return device

    async def learn(self) -> None:
        """Learn where the device is, as by a post."""
        self.posts.around.places.note(DEVICE, await self.queues.look(DEVICE), self.row.number)

    async def post(self, notification: Notification = MAY_WAIT, payload: Payload | None = None) -> PushResult:
        """Post here, as the senders' side does."""
        payload = payload or payload_of(notification)
        settled: asyncio.Future[PushResult] = asyncio.get_running_loop().create_future()
        if self.devices.push_now(CHANNEL, payload, notification, settled.set_result):
            return await self.devices.conclude(CHANNEL, payload, notification, await settled)
        return await self.devices.push(CHANNEL, payload, notification)


@define(eq=False)
class PostWorld:
    """The nodes by name, and what they share."""

    store: MemoryNodeStore
    clock: Clock
    nodes: dict[str, Node]

    def end_lease(self, name: str) -> None:
        """Let a node's lease be over by the database's clock."""
        lease = self.store.leases[name]
        self.store.leases[name] = evolve(lease, until=self.clock())

    def stored(self) -> list[str]:
        """Return the ids of what is stored for the device, in order."""
        return [entry.id for entry in self.store.queues.get(DEVICE, {}).values()]

    def woken(self, name: str) -> bool:
        """Tell whether a wake for the device waits for a node."""
        return DEVICE in self.store.wakes[self.nodes[name].row.number]


@asynccontextmanager
async def post_world(*names: str, terms: LinkTerms | None = None) -> AsyncIterator[PostWorld]:
    """Run nodes that are linked."""
    clock = Clock()
    world = PostWorld(MemoryNodeStore(clock), clock, {})
    async with AsyncExitStack() as stack:
        for name in names:
            world.nodes[name] = await _start(name, world, terms or hasty(), stack)
        yield world


async def _start(name: str, world: PostWorld, terms: LinkTerms, stack: AsyncExitStack) -> Node:
    listener = await listen("127.0.0.1", 0, None)
    address = f"127.0.0.1:{listener.getsockname()[1]}"
    granted = await world.store.join(Joining(name, name, address, "1"))
    row = granted.lease  # type: ignore[union-attr]  # it is granted
    standing, recurring, settings = PlayedStanding(row.number), RepeatLog(), ServiceSettings()
    queues = PlayedQueues(world.store, standing)
    memory, counters = MemoryServiceStore(), Counters()
    unwanted = UnwantedPushes(memory, recurring)
    offline = OfflineStore(memory, Depths(), lambda: 0.0, recurring=recurring)
    limits = Limits(settings, lambda: 0.0)
    devices = Devices(cast(Channels, _NoChannelsEnded()), offline, unwanted, settings, limits, counters)
    links = await stack.enter_async_context(open_node_links(identity(name), lambda: row.number, "1", recurring, terms))
    shared = cast(SharedQueues, queues)
    others = lambda: [each.row for each in world.nodes.values() if each.row is not row]  # noqa: E731  # as they are then
    posts = NodePosts(standing, world.store, shared, devices, links, counters, others)
    devices.nodes = posts
    taker = NodeTaker(standing, shared, devices, posts)
    await stack.enter_async_context(posts.running())
    around = TakingContext(identity(name), lambda: row.number, "1", taker, terms, recurring)
    await stack.enter_async_context(serving_links(listener, around))
    return Node(row, standing, queues, unwanted, devices, links, posts, taker, counters)
