"""The parts of a push service, put together over what it knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from functools import partial

from attrs import frozen

from tocsin.followers import Followers
from tocsin.protocol.service.tally import Asked, MinuteTally
from tocsin.service.devices.devices import Devices
from tocsin.service.hub.hub_service import HubService
from tocsin.service.known import Known
from tocsin.service.operations.health import Health
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.page.page_parts import make_page
from tocsin.service.page.page_routes import StatusPage
from tocsin.service.routing import OtherRoutes
from tocsin.service.senders.channel_lookups import ChannelLookups
from tocsin.service.senders.dispatch import Dispatcher
from tocsin.service.senders.judged_heads import JudgedHeads
from tocsin.service.senders.oauth import TokenEndpoint
from tocsin.service.senders.vapid_tokens import VapidTokens
from tocsin.service.senders.web_push_exchange import WebPushContext
from tocsin.service.senders.wns_exchange import WnsContext
from tocsin.service.url_paths import BROWSER_PATH, DEVICE_PATH, origin_of
from tocsin.service.web.bodies import Bodies
from tocsin.service.web.connections import Connections
from tocsin.service.web.websocket import OpenWebSocket


@frozen
class Parts:
    """What the service consists of, as far as it has to be told of the end."""

    connections: Connections
    counters: Counters
    devices: Devices
    websockets: Mapping[str, OpenWebSocket]
    bodies: Bodies
    followers: Followers
    health: Health
    hub: HubService
    page: StatusPage
    notifications: WnsContext
    pushes: WebPushContext
    others: OtherRoutes
    is_proxy: Callable[[str], bool]


def assemble(settings: ServiceSettings, known: Known, wall: Callable[[], float]) -> Parts:
    """Make the parts of the service, none of which waits for anything.

    :param wall: the machine's time, in seconds since the epoch.
    """
    now = asyncio.get_running_loop().time
    channels, tokens, node = known.channels, known.tokens, known.node
    limits = Limits(settings, now, None if node is None else node.serving_nodes)
    counters = Counters(ended=known.offline.counts, of_store=known.store.durations, tally=MinuteTally(now()))
    turned_away = lambda reason, address: counters.tally.refuse(Asked.CONNECTION, reason, "", address)  # noqa: E731
    connections = Connections(settings, limits.is_proxy, now, turned_away)
    devices = Devices(channels, known.offline, known.unwanted, settings, limits, counters)
    known.registrations.on_removed = devices.end_channels
    bodies = Bodies(settings.body_timeout)
    gauges = partial(_gauges, known, devices, connections)
    health = Health(counters, lambda: known.fault, gauges, settings.metrics_token, limits.is_proxy)
    if node is not None:
        health.unready["lease"] = lambda: node.cause
        counters.of_nodes = node.totals
    followers, dispatcher = Followers(), Dispatcher(channels.directory, tokens, devices, limits, known.now)
    notifications = WnsContext(
        *(dispatcher, devices, bodies, limits, counters, followers, ChannelLookups(dispatcher)),
        heads=JudgedHeads(tokens.is_verified),
    )
    pushes = WebPushContext(
        *(dispatcher, devices, bodies, limits, counters, followers, notifications.lookups, notifications.request_ids),
        url=known.url,
        tokens=VapidTokens(origin_of(known.url), wall),
    )
    endpoint = TokenEndpoint(known.registrations, tokens, bodies, wall, limits, counters)
    hub = HubService(
        *(known.store.hubs, known.hubs, channels, dispatcher, devices, bodies, limits, counters, followers),
        *(known.recurring, known.now, wall, known.url, settings.max_hub_registrations),
        *(None if known.shared is None else known.shared.hubs, known.leads),
    )
    page = make_page(
        *(settings.page_token, known.registrations, tokens, channels, devices, health, bodies, limits, counters),
        *(followers, known.now, wall, known.url),
    )
    shown = page.routes() if settings.page else []
    websockets = {DEVICE_PATH: devices.open, **({BROWSER_PATH: devices.open_browser} if settings.browsers else {})}
    others = OtherRoutes(hub, [*endpoint.routes(), *health.routes(), *shown], websockets)
    return Parts(
        *(connections, counters, devices, websockets, bodies, followers, health, hub, page),
        *(notifications, pushes, others, limits.is_proxy),
    )


def _gauges(known: Known, devices: Devices, connections: Connections) -> dict[str, int]:
    """Return how much there is of everything now, by name."""
    return {
        **devices.gauges(),
        "channels": known.channels.count,
        "subscriptions": known.channels.subscriptions,
        "kept": known.offline.kept,
        "kept_messages": known.offline.kept_messages,
        "store_fails": int(known.fault is not None),
        "tasks": len(asyncio.all_tasks()),
        "connections": connections.count,
        "connections_refused": connections.refused,
        "connections_dropped": connections.dropped,
        **({} if known.node is None else known.node.gauges()),
        **({} if known.follower is None else {"seconds_behind_other_nodes": round(known.follower.lag)}),
    }
