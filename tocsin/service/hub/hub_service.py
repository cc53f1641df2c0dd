"""The notification hubs of a service, put together: their route, and what sends their messages."""

from __future__ import annotations

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

from anyio.abc import TaskGroup
from starlette.types import Receive, Scope, Send

from tocsin.followers import Followers
from tocsin.protocol.errors import StateUnavailable
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.devices import Devices
from tocsin.service.hub.hub_route import HubRoute
from tocsin.service.hub.hub_sender import HubSender
from tocsin.service.hub.installations import InstallationsResource
from tocsin.service.hub.messages import MessagesResource
from tocsin.service.hub.registration_limit import RegistrationLimit
from tocsin.service.hub.registrations import RegistrationsResource
from tocsin.service.hub.target_delivery import TargetDelivery
from tocsin.service.hub.target_pages import TargetPages
from tocsin.service.operations.limits import Limits
from tocsin.service.operations.metrics import Counters
from tocsin.service.registry.channels import Channels
from tocsin.service.registry.hub_store import HubStore, SharedHubStore
from tocsin.service.registry.hubs import Hubs
from tocsin.service.senders.dispatch import Dispatcher
from tocsin.service.web.bodies import Bodies

KEPT_FOR: Final = 7 * 24 * 3600
"""Seconds that it is kept what has become of a message."""

MAX_KEPT: Final = 100_000
"""Messages of one hub that have ended of which it is kept at most."""

logger = logging.getLogger(__name__)


class HubService:
    """An ASGI application for the requests of hubs' clients."""

    def __init__(  # noqa: PLR0913, PLR0917  # the service's parts
        self,
        store: HubStore,
        hubs: Hubs,
        channels: Channels,
        dispatcher: Dispatcher,
        devices: Devices,
        bodies: Bodies,
        limits: Limits,
        counters: Counters,
        followers: Followers,
        recurring: RepeatLog,
        now: Callable[[], float],
        wall: Callable[[], float],
        base_url: str,
        max_registrations: int,
        shared: SharedHubStore | None = None,
        leads: Callable[[], bool] = lambda: True,
    ) -> None:
        def delivery(tasks: TaskGroup) -> TargetDelivery:
            return TargetDelivery(dispatcher, devices, hubs, limits, counters, followers, recurring, now, tasks)

        self._store = store
        self._hubs = hubs
        self._now = now
        self._recurring = recurring
        self._sender = HubSender(
            store, hubs, TargetPages(store, channels.directory), delivery, recurring, now, shared, leads
        )
        self._limit = limit = RegistrationLimit(store, max_registrations)
        self._route = HubRoute(
            hubs,
            RegistrationsResource(store, channels.directory, limit, now, wall),
            InstallationsResource(store, channels.directory, limit, now, wall),
            MessagesResource(store, self._sender, counters, now, wall),
            bodies,
            limits,
            counters,
            recurring,
            wall,
            base_url,
        )
        channels.on_revoked = self._forget_channels

    def answers(self, path: str) -> bool:
        """Tell whether a path leads to a hub."""
        return self._route.answers(path)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._route(scope, receive, send)

    def running(self) -> AbstractAsyncContextManager[None]:
        """Send what hubs have accepted while the block runs.

        :raises StateUnavailable: the store cannot be read at the start.
        """
        return self._sender.running()

    def look(self) -> None:
        """Look for messages that another node has accepted."""
        self._sender.look()

    def recount(self) -> None:
        """Count registrations anew when more are made: other nodes make some, too."""
        self._limit.recount()

    async def prune(self) -> None:
        """Forget registrations and installations that have expired, and messages that ended long ago.

        :raises StateUnavailable: the store cannot be used.
        """
        await self._store.prune(self._now(), self._now() - KEPT_FOR, MAX_KEPT)

    async def _forget_channels(self, channels: list[bytes]) -> None:
        """Forget the registrations of channels that were revoked; where that fails, the next message finds them out."""
        if not self._hubs.hubs():
            return
        try:
            await self._store.forget_channels(channels)
        except StateUnavailable as failure:
            text = "registrations of closed channels are forgotten later: %s"
            self._recurring.log(logger, logging.WARNING, "channels", text, failure)
