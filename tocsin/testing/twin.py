"""A twin of WNS: a push service with one app, a device and its channel, which does on demand what the real one does at its worst.

It has one event loop, that of the service. Who drives it from another thread (:class:`tocsin.testing.LocalWns`) or over HTTP
(``/_tocsin/``) finds the same rules here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from tocsin.protocol.arguments import check_finite, check_kind, check_within
from tocsin.protocol.errors import InvalidArgument, PlatformUnavailable, TimedOut
from tocsin.protocol.text import quoted
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.apps import AppRegistration
from tocsin.service.server import PushService, open_service
from tocsin.tasks import task_group
from tocsin.testing.device import Device, KnownDevice
from tocsin.testing.faults import Faults
from tocsin.testing.manual_clock import Clock
from tocsin.testing.played_host import PlayedHost
from tocsin.testing.pushes import Push, Pushes

_TOLD = 3
"""Pushes that are told of where others were expected."""

APP = "app"
"""The app on the device."""

PATIENCE = 10.0
"""Seconds that is waited for a push, where it is not said how long."""

MANY = 10**9
"""The greatest count, and the greatest number of seconds to come again after."""


async def _forget(_: Device, __: str) -> None:
    """Keep nothing of the device."""


class Twin:
    """The service, and all that is played around it; made by :func:`open_twin`.

    :param keep: keeps for the next start what the device is known by, and the URI of its channel.
    """

    def __init__(  # noqa: PLR0913, PLR0917  # its parts
        self,
        service: PushService,
        app: AppRegistration,
        device: Device,
        faults: Faults,
        pushes: Pushes,
        clock: Clock,
        keep: Callable[[Device, str], Awaitable[None]] = _forget,
    ) -> None:
        self.service = service
        self.app = app
        """The credentials of the app."""
        self.device = device
        self.faults = faults
        self.pushes = pushes
        """What has reached the device."""
        self.clock = clock
        """The service's clock."""
        self.host = PlayedHost()
        """The machine of the device; call :meth:`play` when it has changed."""
        self.channel_uri = ""
        """Where to push."""
        self._keep = keep
        self._is_online = True

    async def start(self, held: str = "") -> None:
        """Connect the device, and ask for its channel.

        :param held: the URI of the channel that it has.
        """
        await self.device.connect()
        await self.new_channel(held)

    async def wait_for(self, count: int = 1, timeout: float = PATIENCE) -> list[Push]:  # noqa: ASYNC109  # as its caller says
        """Wait until the device has that many pushes, and return them.

        :raises InvalidArgument: an argument is of another kind.
        :raises TimedOut: it takes longer than so many seconds; the text says what has come.
        """
        check_wait(count, timeout)
        with anyio.move_on_after(timeout):
            await self.pushes.come(count)
        if self.pushes.count < count:
            raise missed(count, timeout, self.pushes)
        return self.pushes.all()

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
            check_within(retry_after, "retry_after", 0, MANY)
        told = {} if retry_after is None else {"retry_after": str(retry_after)}
        self.faults.fail(status, times, description, **headers, **told)

    def refuse_token(
        self, *, error: str = "invalid_client", status: int | None = None, times: int | None = None
    ) -> None:
        """Answer token requests with that error, so many times, or with None until :meth:`heal`.

        :param status: the HTTP status; None for what the form of the endpoint has for a wrong secret, 400 or 401.
        :raises InvalidArgument: an argument is of another kind, or cannot be in an answer.
        """
        check_kind(error, "error", str)
        _check_fault(400 if status is None else status, times)
        self.faults.refuse_tokens(status, error, times)

    def expire_tokens(self) -> None:
        """Let all tokens issued so far be expired: they are answered with 401. New ones are good."""
        self.faults.expire_tokens()

    def expire_channel(self) -> None:
        """Let the channel be expired: it is answered with 410, until :meth:`new_channel` gives another."""
        self.faults.expire_channel(self.channel_uri)

    async def revoke_channel(self) -> None:
        """Have the app close its channels: they are answered with 410, until :meth:`new_channel` gives another."""
        await self.device.revoke_channels(APP)

    async def new_channel(self, held: str = "") -> str:
        """Have the app ask for another channel; its URI is returned and is ``channel_uri`` from now on.

        :param held: the URI of a channel that it has; where that is good still, it is the one.
        :raises PlatformUnavailable: the device is offline.
        """
        self.channel_uri = await self.device.open_channel(APP, self.app.remote_id, held)
        await self._keep(self.device, self.channel_uri)
        return self.channel_uri

    async def go_offline(self) -> None:
        """Cut the device off."""
        if self.device.connected:
            left = self.faults.device_left
            self.device.disconnect()
            with anyio.move_on_after(PATIENCE):  # it may have been dropped already, which the device has not heard of
                await left.wait()
        else:
            self.device.disconnect()

    async def go_online(self) -> None:
        """Bring the device back; what was kept for it comes, and can be waited for.

        :raises PlatformUnavailable: the machine has no network.
        """
        if not self.host.record.host.internet_available:
            raise PlatformUnavailable("the machine that is played has no network: host.restore(), or PUT /_tocsin/host")
        await self.device.connect()

    async def play(self) -> None:
        """Let the service see the machine as it is played."""
        faults, device, host = self.faults, self.device, self.host.record
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
            await (device.connect() if online else self.go_offline())

    def heal(self) -> None:
        """Take back all faults that are still to come; what has expired or was revoked stays so."""
        self.faults.heal()

    async def reset(self) -> None:
        """Begin anew, but for the machine: no faults, nothing noted, the clock is right, the device online, its channel good.

        The channel stays the same if it is good; what was sent before does not come any more.

        :raises PlatformUnavailable: the machine has no network.
        """
        sent = {request.id for request in self.faults.requests}
        self.faults.reset()
        self.clock.reset()
        await self.go_online()
        await self.new_channel(self.channel_uri)
        self.pushes.clear(unwanted=sent)


@asynccontextmanager
async def open_twin(  # noqa: PLR0913  # what is optional has a name
    state: Path,
    settings: ServiceSettings | None = None,
    *,
    faults: Faults | None = None,
    app: AppRegistration | None = None,
    known: KnownDevice | None = None,
    held: str = "",
    keep: Callable[[Device, str], Awaitable[None]] = _forget,
    most: int | None = None,
    returns: bool = False,
) -> AsyncIterator[Twin]:
    """Run a twin of WNS on a state folder.

    :param faults: the layer around the service; by default a new one.
    :param app: the app with its credentials; by default one is registered, with new ones.
    :param known: the device as it was before; by default it is a new one.
    :param held: the URI of the channel that the device had.
    :param keep: as for :class:`Twin`.
    :param most: how many pushes and requests are kept, the newest; None for all.
    :param returns: whether the device connects again by itself where its connection breaks.
    """
    clock, pushes, layer = Clock(), Pushes(most), faults or Faults(most)
    async with open_service(state, settings, now=clock, layer=layer) as service, task_group() as tasks:
        if app is None:
            app = await service.register("app under test")
        else:
            await service.registrations.adopt(app)
        device = Device(service.device_url, tasks, pushes.add, known, returns=returns, authority=service.authority)
        twin = Twin(service, app, device, layer, pushes, clock, keep)
        await twin.start(held)
        yield twin
        device.disconnect()


def check_wait(count: int, timeout: float) -> None:
    """Refuse what cannot be waited for.

    :raises InvalidArgument: it is that.
    """
    check_within(count, "count", 0, MANY)
    check_finite(timeout, "timeout")


def missed(count: int, timeout: float, pushes: Pushes) -> TimedOut:
    """Build the error that says what has come instead."""
    came = pushes.all()
    newest = ", ".join(f"{push.type} {quoted(push.body.decode(errors='replace'))}" for push in came[-_TOLD:])
    told = f", the newest: {newest}" if came else ""
    return TimedOut(f"{count} pushes were expected within {timeout:g} s, and {len(came)} came{told}")


def _check_fault(status: int, times: int | None) -> None:
    check_within(status, "status", 200, 599)
    if times is not None:
        check_within(times, "times", 1, MANY)


def _check_header(value: str, what: str) -> None:
    check_kind(value, what, str)
    if not value.isprintable():
        raise InvalidArgument(f"{what} goes into a header, which has no room for {quoted(value)}")
