"""A push service of one's own for a test: it runs in a thread, so that senders of any kind can be tested."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from types import NoneType

import anyio
from anyio.from_thread import BlockingPortal, start_blocking_portal
from attrs import frozen

from tocsin.persistence.paths import read_path
from tocsin.protocol.arguments import check_finite, check_kind, check_within
from tocsin.protocol.errors import InvalidArgument, TimedOut
from tocsin.protocol.text import quoted
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.apps import AppRegistration
from tocsin.service.server import PushService, open_service
from tocsin.tasks import task_group
from tocsin.testing.device import Device
from tocsin.testing.faults import Faults, SentRequest
from tocsin.testing.manual_clock import Clock
from tocsin.testing.played_host import PlayedHost
from tocsin.testing.pushes import Push, Pushes

PATIENCE = 10.0
"""Seconds that a test waits for a push if it does not say how long."""

APP = "app"

_MANY = 10**9


@frozen
class _Parts:
    """What runs in the service's thread."""

    service: PushService
    app: AppRegistration
    device: Device
    faults: Faults
    pushes: Pushes
    clock: Clock
    uri: str


class LocalWns:
    """A running push service with a registered app, a device that is online, and its channel.

    Made by the fixture ``wns`` or by :func:`local_wns`. Its methods may be called from any thread and from sync and
    async tests alike; they return when what they do has been done. Faults come in the order in which they were asked
    for.
    """

    def __init__(self, portal: BlockingPortal, parts: _Parts) -> None:
        self._portal = portal
        self._parts = parts
        self._is_online = True
        self.host = PlayedHost(lambda: portal.call(self._play))
        """The machine of the device, and of apps that are told of it: ``with wns.host.battery_saver(): ...``."""
        self.channel_uri = parts.uri
        """Where to push; :meth:`new_channel` gives others."""
        self.clock = parts.clock
        """The service's clock: ``wns.clock.advance(hours=1)``."""
        self.url = parts.service.url
        """The service itself: for ``tocsin.embedded(service=...)``."""
        self.token_url = parts.service.token_url
        """The token endpoint in the Live form (``accesstoken.srf``)."""
        self.aad_token_url = parts.service.aad_token_url
        """The token endpoint in the form of Entra v2; any tenant will do."""
        self.client_id = parts.app.client_id
        self.client_secret = parts.app.client_secret
        self.remote_id = parts.app.remote_id
        """What apps ask for channels with."""

    @property
    def pushes(self) -> list[Push]:
        """What has reached the device so far; what was answered with ``received`` while it is online, has."""
        return self._parts.pushes.all()

    @property
    def requests(self) -> list[SentRequest]:
        """The notifications that were posted so far, with their headers and how they were answered."""
        return self._portal.call(lambda: list(self._parts.faults.requests))

    @property
    def token_requests(self) -> int:
        """How often a token was asked for."""
        return self._portal.call(lambda: self._parts.faults.sign_ins)

    def wait_for(self, count: int = 1, timeout: float = PATIENCE) -> list[Push]:
        """Block this thread until the device has that many pushes, and return them.

        :raises InvalidArgument: an argument is of another kind.
        :raises TimedOut: it takes longer than so many seconds; the text says what has come.
        """
        check_within(count, "count", 0, _MANY)
        check_finite(timeout, "timeout")
        if not self._parts.pushes.wait_until(lambda there: there >= count, timeout):
            raise TimedOut(f"{count} pushes were expected within {timeout:g} s; so far: {self.pushes}")
        return self.pushes

    async def wait_for_async(self, count: int = 1, timeout: float = PATIENCE) -> list[Push]:  # noqa: ASYNC109  # as its twin
        """Wait likewise without blocking the event loop, for a sender that runs in it."""
        return await anyio.to_thread.run_sync(self.wait_for, count, timeout)

    def fail(
        self, status: int = 503, *, times: int | None = 1, retry_after: int | str | None = None, description: str = ""
    ) -> None:
        """Answer the next notifications with that status, so many times, or with None until :meth:`heal`.

        :param retry_after: seconds, or any other text to put into the header, such as a date.
        :raises InvalidArgument: an argument is of another kind, or cannot be in an answer.
        """
        _check_header(description, "description")
        self._fail(status, times, retry_after, description or f"Answered with {status} on demand", {})

    def throttle(self, *, times: int | None = 1, retry_after: int | str | None = 1) -> None:
        """Answer the next notifications with 406 and ``channelthrottled``; arguments are as of :meth:`fail`."""
        status = {"x_wns_status": "channelthrottled", "x_wns_notificationstatus": "channelthrottled"}
        self._fail(406, times, retry_after, "Throttled on demand", status)

    def _fail(
        self, status: int, times: int | None, retry_after: int | str | None, description: str, headers: dict[str, str]
    ) -> None:
        _check_fault(status, times)
        if isinstance(retry_after, str):
            _check_header(retry_after, "retry_after")
        elif retry_after is not None:
            check_within(retry_after, "retry_after", 0, _MANY)
        told = {} if retry_after is None else {"retry_after": str(retry_after)}
        self._portal.call(lambda: self._parts.faults.fail(status, times, description, **headers, **told))

    def refuse_token(
        self, *, error: str = "invalid_client", status: int | None = None, times: int | None = None
    ) -> None:
        """Answer token requests with that error, so many times, or with None until :meth:`heal`.

        :param status: the HTTP status; None for what the form of the endpoint has for a wrong secret, 400 or 401.
        :raises InvalidArgument: an argument is of another kind, or cannot be in an answer.
        """
        check_kind(error, "error", str)
        _check_fault(400 if status is None else status, times)
        self._portal.call(self._parts.faults.refuse_tokens, status, error, times)

    def expire_tokens(self) -> None:
        """Let all tokens issued so far be expired: they are answered with 401. New ones are good."""
        self._portal.call(self._parts.faults.expire_tokens)

    def expire_channel(self) -> None:
        """Let the channel be expired: it is answered with 410, until :meth:`new_channel` gives another."""
        self._portal.call(self._parts.faults.expire_channel, self.channel_uri)

    def revoke_channel(self) -> None:
        """Have the app close its channels: they are answered with 410, until :meth:`new_channel` gives another."""
        self._portal.call(self._parts.device.revoke_channels, APP)

    def new_channel(self) -> str:
        """Have the app ask for another channel; its URI is returned and is ``channel_uri`` from now on."""
        device, app = self._parts.device, self._parts.app
        self.channel_uri = self._portal.call(device.open_channel, APP, app.remote_id)
        return self.channel_uri

    def go_offline(self) -> None:
        """Cut the device off."""
        self._portal.call(self._go_offline)

    async def _go_offline(self) -> None:
        if self._parts.device.connected:
            left = self._parts.faults.device_left
            self._parts.device.disconnect()
            await left.wait()

    def go_online(self) -> None:
        """Bring the device back; what was kept for it comes, and can be waited for."""
        self._portal.call(self._parts.device.connect)

    async def _play(self) -> None:
        """Let the service see the machine as it is played."""
        faults, device, host = self._parts.faults, self._parts.device, self.host.record
        has_network, unwanted = host.host.internet_available, host.unwanted
        if has_network:
            faults.let_devices_in()
        else:
            await faults.cut_devices_off()
            device.disconnect()
        await device.report(host.power, unwanted)  # also that it is about to leave
        online = has_network and not unwanted.everything
        if online is not self._is_online:
            self._is_online = online
            await (device.connect() if online else self._go_offline())

    def heal(self) -> None:
        """Take back all faults that are still to come; what has expired or was revoked stays so."""
        self._portal.call(self._parts.faults.heal)


def _check_fault(status: int, times: int | None) -> None:
    check_within(status, "status", 200, 599)
    if times is not None:
        check_within(times, "times", 1, _MANY)


def _check_header(value: str, what: str) -> None:
    check_kind(value, what, str)
    if not value.isprintable():
        raise InvalidArgument(f"{what} goes into a header, which has no room for {quoted(value)}")


@contextmanager
def local_wns(state: Path | str | None = None, settings: ServiceSettings | None = None) -> Iterator[LocalWns]:
    """Run a push service on this machine in a thread of its own, for as long as the block lasts.

    :param state: an empty folder for it; by default a temporary one.
    :raises InvalidArgument: an argument is of another kind.
    """
    check_kind(settings, "settings", ServiceSettings, NoneType)
    own = None if state is None else read_path(state, "a state folder")
    with (
        TemporaryDirectory(prefix="tocsin-") as folder,
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(_open(own or Path(folder), settings)) as parts,
    ):
        yield LocalWns(portal, parts)


@asynccontextmanager
async def _open(state: Path, settings: ServiceSettings | None) -> AsyncIterator[_Parts]:
    clock, faults, pushes = Clock(), Faults(), Pushes()
    async with open_service(state, settings, now=clock, layer=faults) as service, task_group() as tasks:
        app = await service.register("app under test")
        device = Device(service.device_url, tasks, pushes.add)
        await device.connect()
        uri = await device.open_channel(APP, app.remote_id)
        yield _Parts(service, app, device, faults, pushes, clock, uri)
        device.disconnect()
