"""What a push service knows: its registry and queues as its store has them, once it is a node where there may be several."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

from attrs import frozen

from tocsin.protocol.service.offline_queue import STRICT, Depths
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.offline_queues import OfflineQueues
from tocsin.service.devices.offline_store import OfflineStore
from tocsin.service.devices.unwanted_pushes import UnwantedPushes
from tocsin.service.engine import Engine
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.access_tokens import AccessTokens
from tocsin.service.registry.apps import Apps
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.hub_store import EngineStore
from tocsin.service.registry.hubs import Hubs
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
        if now is None:
            now = await stack.enter_async_context(steady_clock(store))
        node: Node | None = None
        if engine.shared is not None:
            from tocsin.service.nodes.node import Shared, open_node  # noqa: PLC0415  # only who has others pays

            shared = Shared(engine.name, engine.shared.nodes, store, now)
            node = await stack.enter_async_context(open_node(shared, settings, depths, recurring))
        registrations = await Apps.load(store, now)
        tokens = await AccessTokens.load(store, registrations, now)
        channels = Channels(store, registrations, url, now, settings.max_channels)
        await channels.prune()
        if node is None:
            offline: OfflineQueues = await OfflineStore.load(store, depths, now, settings.max_stored, recurring)
        else:
            offline = node.queues
        unwanted = await UnwantedPushes.load(store, recurring)
        hubs = await Hubs.load(store.hubs, registrations, now)
        yield Known(
            *(store, now, url, recurring, registrations, tokens, channels, hubs, offline, unwanted, node),
        )
