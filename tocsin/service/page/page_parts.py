"""The page, put together of its parts and what it looks at."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from tocsin.followers import Followers
from tocsin.service.devices.devices import Devices
from tocsin.service.operations.health import Health
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.page.access import Access
from tocsin.service.page.live import Live
from tocsin.service.page.page_routes import StatusPage
from tocsin.service.page.picture import Observer
from tocsin.service.page.samples import Sample, Samples
from tocsin.service.page.watched_service import WatchedService
from tocsin.service.registry.access_tokens import AccessTokens
from tocsin.service.registry.apps import Apps
from tocsin.service.registry.channels import Channels
from tocsin.service.web.bodies import Bodies


def make_page(  # noqa: PLR0913, PLR0917  # what it looks at
    token: str,
    registrations: Apps,
    tokens: AccessTokens,
    channels: Channels,
    devices: Devices,
    health: Health,
    bodies: Bodies,
    limits: Limits,
    counters: Counters,
    followers: Followers,
    now: Callable[[], float],
    wall: Callable[[], float],
    url: str,
) -> StatusPage:
    """Make the page of a service, which waits for nothing.

    :param token: what opens it; empty where it is for this machine.
    """
    samples = Samples()

    def sample(at: float) -> Sample:
        refused = counters.refused.total()
        return Sample(at, counters.received + counters.dropped.total() + refused, refused, devices.count())

    observer = Observer(registrations, channels, devices, health, samples, now)
    service = WatchedService(observer, samples, sample, url, wall())
    live = Live(followers, service, asyncio.get_running_loop().time, wall)
    return StatusPage(Access(token, limits), live, service, channels.directory, tokens, bodies, url)
