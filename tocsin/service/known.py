"""What a push service knows: its registry and queues as its store has them, once it is a node where there may be several."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, nullcontext
from typing import TYPE_CHECKING

from attrs import frozen

from tocsin.protocol.service.offline_queue import STRICT, Depths
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.offline_queues import OfflineQueues
from tocsin.service.devices.offline_store import OfflineStore
from tocsin.service.devices.unwanted_pushes import UnwantedPushes
from tocsin.service.engine import Engine
from tocsin.service.nodes.change_follower import ChangeFollower, what_follows
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.access_tokens import AccessTokens
from tocsin.service.registry.apps import Apps
from tocsin.service.registry.change_feed import ChangeFeed
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.followed_clock import followed_clock
from tocsin.service.registry.hub_store import EngineStore
from tocsin.service.registry.hubs import Hubs
from tocsin.service.registry.shared_store import SharedStore
from tocsin.service.registry.steady_clock import steady_clock

if TYPE_CHECKING:
    from tocsin.service.nodes.node import Node


@frozen
class Known:
    """All of it; ``node`` is None where there is one only."""

    store: EngineStore
    now: Callable[[], float]
    url: str
    recurring: RepeatLog
    registrations: Apps
    tokens: AccessTokens
    channels: Channels
    hubs: Hubs
    offline: OfflineQueues
    unwanted: UnwantedPushes
    node: Node | None
    shared: SharedStore | None
    """The same store, where there may be other nodes."""
    follower: ChangeFollower | None
    """Follows what these write."""

    @property
    def fault(self) -> str | None:
        """Why the store cannot be used, as a sentence; None while it can."""
        return self.store.fault or (None if self.node is None else self.node.fault)

    @property
    def changes(self) -> ChangeFeed | None:
        """What nodes tell each other."""
        return None if self.shared is None else self.shared.changes

    def leads(self) -> bool:
        """Tell whether this is the node that does what one does for all."""
        return self.node is None or self.node.leads()

    def following(self, wake_hub: Callable[[], None]) -> AbstractAsyncContextManager[None]:
        """Follow what other nodes write, if there may be others, while the block runs.

        :param wake_hub: is called when another node has accepted a message of a hub.
        """
        if self.shared is None or self.follower is None:
            return nullcontext()
        caches = self.registrations, self.channels, self.hubs, self.unwanted
        return self.follower.following(what_follows(self.shared, *caches, wake_hub))


@asynccontextmanager
async def open_known(
    engine: Engine, settings: ServiceSettings, url: str, now: Callable[[], float] | None
) -> AsyncIterator[Known]:
    """Join the other nodes, if there may be some, and read the store.

    :param url: what channel URIs begin with.
    :param now: tells the service's time; None: as the store has it.
    :raises StateUnavailable: the store cannot be used, or there is no lease to be had.
    :raises PlatformUnavailable: other nodes cannot be listened for.
    """
    store, recurring = engine.store, RepeatLog()
    depths = STRICT if settings.strict_wns else Depths()
    async with AsyncExitStack() as stack:
        shared = engine.shared
        if now is None:
            clock = steady_clock(store) if shared is None else followed_clock(shared.time)
            now = await stack.enter_async_context(clock)
        node: Node | None = None
        follower: ChangeFollower | None = None
        if shared is not None:
            from tocsin.service.nodes.node import Shared, open_node  # noqa: PLC0415  # only who has others pays

            those = Shared(engine.name, shared.nodes, store, now)
            node = await stack.enter_async_context(open_node(those, settings, depths, recurring))
            await engine.joined()
            follower = ChangeFollower(shared.changes, recurring)
            await follower.begin()
        registrations = await Apps.load(store, now)
        if node is not None and follower is not None:
            registrations.is_current = node.follow_with(follower)
        tokens = await AccessTokens.load(store, registrations, now)
        subscribes = settings.web_push or settings.browsers
        channels = Channels(store, registrations, url, now, settings.max_channels, subscribes=subscribes)
        await (channels.prune() if shared is None else channels.recount())
        if node is None:
            offline: OfflineQueues = await OfflineStore.load(store, depths, now, settings.max_stored, recurring)
        else:
            offline = node.queues
        unwanted = await UnwantedPushes.load(store, recurring)
        hubs = await Hubs.load(store.hubs, registrations, now)
        yield Known(
            *(store, now, url, recurring, registrations, tokens, channels, hubs, offline, unwanted, node),
            *(shared, follower),
        )
