"""The push service as a whole: opened on a state folder, closed in order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
from attrs import frozen

from tocsin.followers import Followers
from tocsin.protocol.service.offline_queue import STRICT, Depths
from tocsin.protocol.service.tally import Asked, MinuteTally
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.offline_store import OfflineStore
from tocsin.service.devices.unwanted_pushes import UnwantedPushes
from tocsin.service.engine import open_engine
from tocsin.service.hub.hub_service import HubService
from tocsin.service.layer import Layer
from tocsin.service.operations.health import Health, Report
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.operations.tally_log import TallyLog, telling
from tocsin.service.page.page_address import PageAddress, page_address
from tocsin.service.page.page_parts import make_page
from tocsin.service.page.page_routes import StatusPage
from tocsin.service.page.posting import Poster
from tocsin.service.pruning import pruning
from tocsin.service.registry.access_tokens import AccessTokens
from tocsin.service.registry.apps import AppRegistration, Apps
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.hub_store import EngineStore
from tocsin.service.registry.hubs import Hubs
from tocsin.service.registry.steady_clock import steady_clock
from tocsin.service.routing import OtherRoutes, Router
from tocsin.service.senders.dispatch import Dispatcher
from tocsin.service.senders.judged_heads import JudgedHeads
from tocsin.service.senders.oauth import TokenEndpoint
from tocsin.service.senders.wns_answers import TORN_HEADERS
from tocsin.service.senders.wns_exchange import WnsContext, WnsExchange
from tocsin.service.url_paths import DEVICE_PATH
from tocsin.service.web.bodies import Bodies
from tocsin.service.web.connections import Connections
from tocsin.service.web.listener import listen, url_of
from tocsin.service.web.tls import Certificate, load_certificate, renew
from tocsin.service.web.web_server import WebServer, serving
from tocsin.tasks import apart

_FAREWELL = 0.5  # seconds for the device connections to end


class PushService:
    """A running service; made by :func:`open_service`."""

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        registrations: Apps,
        hubs: Hubs,
        offline: OfflineStore,
        followers: Followers,
        health: Health,
        certificate: Certificate | None,
        page: PageAddress | None,
        url: str,
        port: int,
        port_changed_from: int | None,
    ) -> None:
        self.registrations = registrations
        """The apps that the service knows."""
        self.hubs = hubs
        """The notification hubs of the service."""
        self.offline = offline
        """What is stored for devices that are away, and the counts of what became of it."""
        self.followers = followers
        """Who hears of each notification as it is answered."""
        self._health = health
        self._certificate = certificate
        self.page = page
        """Where its page is seen in a browser, and by whom; None where it is not."""
        self.url = url
        """What channel URIs begin with, without a slash at its end."""
        self.port = port
        """The TCP port that the service listens on."""
        self.port_changed_from = port_changed_from
        """The port of the last time, if another program has it now: channel URIs from then lead nowhere. Else None."""

    @property
    def authority(self) -> Path | None:
        """The file with the authority of a certificate for development, which clients have to trust; None without one."""
        return None if self._certificate is None else self._certificate.authority

    @property
    def device_url(self) -> str:
        """Where devices connect."""
        return f"ws{self.url.removeprefix('http')}{DEVICE_PATH}"

    @property
    def token_url(self) -> str:
        """Where senders get access tokens, in the Live form."""
        return f"{self.url}/accesstoken.srf"

    @property
    def aad_token_url(self) -> str:
        """Where senders get access tokens, in the form of Entra; any tenant will do."""
        return f"{self.url}/common/oauth2/v2.0/token"

    async def register(self, name: str) -> AppRegistration:
        """Register an app, or give a registered one another secret; its ids stay the same.

        :raises InvalidArgument: the name is empty, too long or not printable.
        :raises StateUnavailable: it could not be stored.
        """
        return await self.registrations.register(name)

    def report(self) -> Report:
        """Say how the service is, and what it has counted."""
        return self._health.report()

    def renew_certificate(self) -> None:
        """Read the certificate anew, for connections from now on.

        :raises PlatformUnavailable: it cannot be used, or there is none; what was in use stays so.
        """
        renew(self._certificate)


@apart
@asynccontextmanager
async def open_service(
    state: Path,
    settings: ServiceSettings | None = None,
    *,
    now: Callable[[], float] | None = None,
    layer: Layer | None = None,
) -> AsyncIterator[PushService]:
    """Run the push service on a state folder that the caller holds.

    :param now: the service's time, in seconds since the epoch, by which notifications, channels, tokens and secrets
        expire; by default a clock that goes on steadily, whatever the machine's is set to. A test hands in another.
    :param layer: stands around the service, to see or to answer what it is asked before it does.
    :raises PlatformUnavailable: the port is in use, the host is not ours, or the certificate cannot be used.
    :raises StateUnavailable: the service's store cannot be used, or the folder is that of a service for development.
    :raises NotSupported: the driver of the engine that was chosen is not installed.
    """
    layer = layer or Layer()
    layer.check_folder(state)
    settings = settings or ServiceSettings()
    certificate = load_certificate(settings, state)
    wall = now or time.time
    opening = open_engine(state, settings.engine, settings.acknowledge_timeout)
    async with opening as engine, AsyncExitStack() as stack:
        store = engine.store
        if now is None:
            now = await stack.enter_async_context(steady_clock(store))
        registrations = await Apps.load(store, now)
        tokens = await AccessTokens.load(store, registrations, now)
        remembered = await engine.node.port()
        with await listen(settings.host, settings.port, remembered) as listener:
            port = listener.getsockname()[1]
            await engine.node.keep_port(port)
            url_here = url_of(settings.host, port, secure=certificate is not None)
            url = settings.public_url.rstrip("/") or url_here
            await engine.keep_url(url)
            channels = Channels(store, registrations, url, now, settings.max_channels)
            await channels.prune()
            depths = STRICT if settings.strict_wns else Depths()
            recurring = RepeatLog()
            offline = await OfflineStore.load(store, depths, now, settings.max_stored, recurring)
            unwanted = await UnwantedPushes.load(store, recurring)
            hubs = await Hubs.load(store.hubs, registrations, now)
            parts = _assemble(settings, store, registrations, hubs, tokens, channels, offline, unwanted, now, wall, url)
            changed = settings.port == 0 and remembered not in {None, port}
            tls = lambda: certificate.context if certificate is not None else None  # noqa: E731  # as it is then
            router = Router(
                layer.around_channels(partial(WnsExchange, parts.notifications)), layer.around_others(parts.others)
            )
            devices = layer.around_devices(parts.devices.open)
            server = WebServer(router.open_exchange, devices, settings, parts.connections, recurring, tls, TORN_HEADERS)
            parts.page.poster = Poster(router.open_exchange, server.shared)
            log = TallyLog(registrations.name_of, parts.devices.count)
            page = page_address(settings, url, url_here, parts.is_proxy)
            async with (
                telling(parts.counters.tally, log),
                pruning(channels, offline, parts.devices, parts.hub),
                serving(server, listener, partial(_say_goodbye, server, parts, settings)),
                parts.hub.running(),
                parts.page.running(),
            ):
                yield PushService(
                    *(registrations, hubs, offline, parts.followers, parts.health, certificate, page, url, port),
                    remembered if changed else None,
                )


@frozen
class _Parts:
    """What the service consists of, as far as it has to be told of the end."""

    connections: Connections
    counters: Counters
    devices: Devices
    bodies: Bodies
    followers: Followers
    health: Health
    hub: HubService
    page: StatusPage
    notifications: WnsContext
    others: OtherRoutes
    is_proxy: Callable[[str], bool]


def _assemble(  # noqa: PLR0913, PLR0917  # the service's parts
    settings: ServiceSettings,
    store: EngineStore,
    registrations: Apps,
    hubs: Hubs,
    tokens: AccessTokens,
    channels: Channels,
    offline: OfflineStore,
    unwanted: UnwantedPushes,
    now: Callable[[], float],
    wall: Callable[[], float],
    url: str,
) -> _Parts:
    """Make the parts of the service, none of which waits for anything."""
    loop = asyncio.get_running_loop()
    limits, counters = Limits(settings, loop.time), Counters(ended=offline.counts, tally=MinuteTally(loop.time()))
    turned_away = lambda reason, address: counters.tally.refuse(Asked.CONNECTION, reason, "", address)  # noqa: E731
    connections = Connections(settings, limits.is_proxy, loop.time, turned_away)
    devices = Devices(channels, offline, unwanted, settings, limits, counters)
    registrations.on_removed = devices.end_channels
    bodies = Bodies(settings.body_timeout)

    def gauges() -> dict[str, int]:
        return {
            **devices.gauges(),
            "channels": channels.count,
            "kept": offline.kept,
            "tasks": len(asyncio.all_tasks(loop)),
            "connections": connections.count,
            "connections_refused": connections.refused,
            "connections_dropped": connections.dropped,
        }

    health = Health(counters, lambda: store.fault, gauges, settings.metrics_token, limits.is_proxy)
    followers, dispatcher = Followers(), Dispatcher(channels, tokens, devices, limits, now)
    notifications = WnsContext(
        dispatcher, devices, bodies, limits, counters, followers, JudgedHeads(tokens.is_verified)
    )
    endpoint = TokenEndpoint(registrations, tokens, bodies, wall, limits, counters)
    hub = HubService(
        *(store.hubs, hubs, channels, dispatcher, devices, bodies, limits, counters, followers, offline.recurring),
        *(now, wall, url, settings.max_hub_registrations),
    )
    page = make_page(
        *(settings.page_token, registrations, tokens, channels, devices, health, bodies, limits, counters, followers),
        *(now, wall, url),
    )
    shown = page.routes() if settings.page else []
    others = OtherRoutes(hub, [*endpoint.routes(), *health.routes(), *shown])
    return _Parts(
        *(connections, counters, devices, bodies, followers, health, hub, page, notifications, others),
        limits.is_proxy,
    )


async def _say_goodbye(server: WebServer, parts: _Parts, settings: ServiceSettings) -> None:
    """Let balancers see that it is about to stop, let in no more connections, and part: first with senders, then with devices."""
    parts.health.stopping = True
    server.keep_none()
    if settings.drain_delay:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(settings.drain_delay)
    parts.page.stop()
    server.accept_no_more()
    parts.bodies.stop()
    with anyio.move_on_after(settings.drain_timeout, shield=True):
        await server.idle()
    server.part_with_senders()
    with anyio.move_on_after(_FAREWELL, shield=True):
        await parts.devices.aclose()
