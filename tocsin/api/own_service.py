"""The push service of a platform that uses no other: on loopback, in the same process and state folder."""

from __future__ import annotations

from collections.abc import AsyncIterator
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import anyio

from tocsin.api.kept_secrets import kept_secrets
from tocsin.api.registration import Registration
from tocsin.protocol.errors import NotSupported
from tocsin.protocol.sending.sign_in import split_service_url

if TYPE_CHECKING:
    from tocsin.followers import Followers
    from tocsin.service.operations.health import Report
    from tocsin.service.server import PushService
    from tocsin.transport.control_socket import Answer


class OwnPushService:
    """A push service that runs here; made by :func:`own_service`."""

    def __init__(self, service: PushService, folder: Path) -> None:
        self._service = service
        self._folder = folder
        self.device_url = service.device_url
        self.url = service.url
        self.page = None if service.page is None else service.page.url
        """Where its page is seen in a browser; None where it is not."""

    async def register(self, app: str, family: str = "") -> Registration:
        """Register an app, or give a registered one another secret; ``family`` as in :meth:`set_family`.

        Where the secret of a registered one is kept in the state folder, it stays the same.
        """
        service = self._service
        kept = (await anyio.to_thread.run_sync(kept_secrets, self._folder)).get(app)
        recalled = None if kept is None else service.registrations.recall(app, kept)
        granted = recalled or await service.register(app)
        await self.set_family(app, family)
        return Registration(
            remote_id=granted.remote_id,
            client_id=granted.client_id,
            client_secret=granted.client_secret,
            token_url=service.token_url,
            aad_token_url=service.aad_token_url,
            port_changed_from=service.port_changed_from,
        )

    def apps(self) -> set[str]:
        """Return the names of the registered apps."""
        return {app.name for app in self._service.registrations.apps()}

    async def forget(self, app: str) -> None:
        """Forget a registered app, with its secrets and channels."""
        await self._service.registrations.remove(app)

    @property
    def verbs(self) -> AbstractSet[str]:
        """What the command may ask about its apps and hubs."""
        from tocsin.service.control import SERVICE_VERBS  # noqa: PLC0415  # as in own_service

        return SERVICE_VERBS

    @property
    def followers(self) -> Followers:
        """Who hears of each notification as it is answered."""
        return self._service.followers

    def report(self) -> Report:
        """Say how the service is, and what it has counted."""
        return self._service.report()

    async def perform(self, request: Answer) -> Answer:
        """Do what the command asks about its apps and hubs, by one of :attr:`verbs`.

        :raises PushError: it cannot be done; the sentence says why.
        """
        from tocsin.service.control import perform_on_service  # noqa: PLC0415  # as in own_service

        service = self._service
        return await perform_on_service(service.registrations, service.hubs, service.url, request)

    async def set_family(self, app: str, family: str) -> None:
        """Note the family name of a registered app's manifest; an empty one leaves what is known of it."""
        if family:
            await self._service.registrations.set_family(app, family)


@asynccontextmanager
async def own_service(folder: Path, port: int) -> AsyncIterator[OwnPushService]:
    """Run a push service on loopback in this process.

    :param port: where it listens; 0 takes the one that it had before, or any.
    :raises NotSupported: the web server is not installed.
    :raises PlatformUnavailable: the port is in use.
    """
    try:
        # Only who asks for a service of its own pays for the web server.
        from tocsin.service.operations.settings import ServiceSettings  # noqa: PLC0415
        from tocsin.service.server import open_service  # noqa: PLC0415
    except ModuleNotFoundError as missing:
        raise NotSupported(
            f"a push service of your own needs the package {missing.name}: pip install 'tocsin[service]'"
        ) from missing
    async with open_service(folder, ServiceSettings.private(port=port)) as service:
        yield OwnPushService(service, folder)


def device_url_of(service: str) -> str:
    """Turn the URL of a service into that of its device endpoint.

    :raises InvalidArgument: it is no such URL.
    """
    parts = split_service_url(service, "a push service")
    scheme = "wss" if parts.scheme == "https" else "ws"
    return f"{scheme}://{parts.netloc}{parts.path.rstrip('/')}/device"
