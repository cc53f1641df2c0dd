"""The push service as a whole: opened on a state folder, closed in order."""

from __future__ import annotations

import socket
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from tocsin.service.assembly import Parts, assemble
from tocsin.service.engine import open_engine
from tocsin.service.known import Known, open_known
from tocsin.service.layer import Layer
from tocsin.service.operations.health import Report
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.operations.tally_log import TallyLog, telling
from tocsin.service.page.page_address import PageAddress, page_address
from tocsin.service.page.posting import Poster
from tocsin.service.pruning import pruning
from tocsin.service.registry.apps import AppRegistration
from tocsin.service.routing import Router
from tocsin.service.senders.web_push_exchange import WebPushExchange
from tocsin.service.senders.wns_answers import TORN_HEADERS
from tocsin.service.senders.wns_exchange import WnsExchange
from tocsin.service.url_paths import BROWSER_PATH, DEVICE_PATH
from tocsin.service.web.listener import listen, url_of
from tocsin.service.web.tls import Certificate, load_certificate, renew
from tocsin.service.web.web_server import WebServer, serving
from tocsin.tasks import apart

if TYPE_CHECKING:
    from tocsin.service.nodes.node import Node

_FAREWELL = 0.5  # seconds for the device connections to end


class PushService:
    """A running service; made by :func:`open_service`."""

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        known: Known,
        parts: Parts,
        certificate: Certificate | None,
        page: PageAddress | None,
        port: int,
        port_changed_from: int | None,
    ) -> None:
        self.registrations = known.registrations
        """The apps that the service knows."""
        self.hubs = known.hubs
        """The notification hubs of the service."""
        self.offline = known.offline
        """What is stored for devices that are away, and the counts of what became of it."""
        self.followers = parts.followers
        """Who hears of each notification as it is answered."""
        self.node = known.node
        """What this node has to do with the others of the service; None where it is the only one."""
        self._health = parts.health
        self._certificate = certificate
        self._lets_browsers_in = BROWSER_PATH in parts.websockets
        self.page = page
        """Where its page is seen in a browser, and by whom; None where it is not."""
        self.url = known.url
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
    def browser_url(self) -> str | None:
        """Where browsers connect; None where they may not."""
        return f"ws{self.url.removeprefix('http')}{BROWSER_PATH}" if self._lets_browsers_in else None

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
    async with open_engine(state, settings.engine, settings.acknowledge_timeout) as engine:
        remembered = await engine.node.port()
        with await listen(settings.host, settings.port, remembered) as listener:
            port = listener.getsockname()[1]
            await engine.node.keep_port(port)
            url_here = url_of(settings.host, port, secure=certificate is not None)
            url = settings.public_url.rstrip("/") or url_here
            await engine.keep_url(url)
            async with open_known(engine, settings, url, now) as known:
                parts = assemble(settings, known, wall)
                page = page_address(settings, url, url_here, parts.is_proxy)
                async with _running(settings, known, parts, listener, certificate, layer):
                    changed = settings.port == 0 and remembered not in {None, port}
                    yield PushService(known, parts, certificate, page, port, remembered if changed else None)


@asynccontextmanager
async def _running(  # noqa: PLR0913, PLR0917  # all that runs
    settings: ServiceSettings,
    known: Known,
    parts: Parts,
    listener: socket.socket,
    certificate: Certificate | None,
    layer: Layer,
) -> AsyncIterator[None]:
    """Answer senders and devices while the block runs."""
    tls = lambda: certificate.context if certificate is not None else None  # noqa: E731  # as it is then
    router = Router(
        layer.around_channels(partial(WnsExchange, parts.notifications)),
        partial(WebPushExchange, parts.pushes),
        layer.around_others(parts.others),
    )
    websockets = {path: layer.around_devices(opening) for path, opening in parts.websockets.items()}
    recurring = known.recurring
    server = WebServer(router.open_exchange, websockets, settings, parts.connections, recurring, tls, TORN_HEADERS)
    parts.page.poster = Poster(router.open_exchange, server.shared)
    log = TallyLog(known.registrations.name_of, parts.devices.count)
    node = known.node
    async with (
        telling(parts.counters.tally, log),
        pruning(known.channels, known.offline, parts.devices, parts.hub, known.changes, known.leads),
        known.following(parts.hub.look),
        nullcontext() if node is None else node.serving(parts.devices, parts.counters),
        parts.hub.running(),
        parts.page.running(),
        # The last one: what is answered, /readyz to a balancer too, is answered by a service that has read all it needs.
        serving(server, listener, partial(_say_goodbye, server, parts, node, settings)),
    ):
        yield


async def _say_goodbye(server: WebServer, parts: Parts, node: Node | None, settings: ServiceSettings) -> None:
    """Let balancers see that it is about to stop, let in no more connections, and part: first with senders, then with devices.

    One of several nodes sends its devices to the others while it still answers senders.
    """
    parts.health.stopping = True
    server.keep_none()
    if settings.drain_delay:
        with anyio.CancelScope(shield=True):
            await anyio.sleep(settings.drain_delay)
    parts.page.stop()
    ends = anyio.current_time() + settings.drain_timeout
    if node is not None:
        with anyio.CancelScope(deadline=ends, shield=True):
            await node.drain()
    server.accept_no_more()
    parts.bodies.stop()
    with anyio.CancelScope(deadline=max(ends, anyio.current_time() + _FAREWELL), shield=True):
        await server.idle()
    server.part_with_senders()
    with anyio.move_on_after(_FAREWELL, shield=True):
        await parts.devices.aclose()
