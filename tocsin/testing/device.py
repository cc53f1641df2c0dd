"""A device that acknowledges every payload, and can be switched off."""

from __future__ import annotations

import itertools
import secrets
import ssl
from collections.abc import Callable
from pathlib import Path

import anyio
from anyio.abc import TaskGroup
from attrs import Factory, define, field, frozen

from tocsin.protocol.errors import PlatformUnavailable
from tocsin.protocol.messages import (
    Acknowledge,
    ChannelGranted,
    ChannelRefused,
    ChannelsRevoked,
    Hello,
    Message,
    Payload,
    PowerState,
    RequestChannel,
    RevokeChannels,
    UnwantedChanged,
    Welcome,
    codec,
)
from tocsin.protocol.platform.power import PLUGGED_IN, Power
from tocsin.protocol.platform.unwanted import NOTHING, Unwanted
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.transport.websocket_wire import dial_websocket
from tocsin.transport.wire import Wire, WireBroken

PATIENCE = 10.0
"""Seconds that the service may take to answer."""

RETURNS_AFTER = 1.0
"""Seconds after which a device that returns tries again."""

NO_APP = "no app of the device"
"""One that has no channels."""


@frozen
class KnownDevice:
    """What a device is known by at the service, and the URIs of its channels by their names."""

    key: str = field(repr=False)
    uris: dict[str, str] = field(factory=dict, repr=False)


@define
class _Asked:
    """A question to the service, and its answer once it is there."""

    answered: anyio.Event = Factory(anyio.Event)
    answer: Message | None = None


class Device:
    """One device; it is off until :meth:`connect`.

    :param arrived: is told each payload and the URI of its channel, before it is acknowledged.
    :param known: what it was before, with its channels; None for a new one.
    :param returns: whether it connects again by itself where its connection breaks.
    :param authority: the file of the authority that it trusts, for TLS; None where there is none.
    """

    def __init__(  # noqa: PLR0913  # what is optional has a name
        self,
        url: str,
        tasks: TaskGroup,
        arrived: Callable[[Payload, str], None],
        known: KnownDevice | None = None,
        *,
        returns: bool = False,
        authority: Path | None = None,
    ) -> None:
        self._url = url
        self._tasks = tasks
        self._arrived = arrived
        self._returns = returns
        self._tls = None if authority is None else ssl.create_default_context(cafile=authority)
        self.known = known or KnownDevice(secrets.token_urlsafe(32))
        """What it is known by, and its channels."""
        self._scope: anyio.CancelScope | None = None
        self._wire: Wire | None = None
        self._asked: dict[int, _Asked] = {}
        self._number = itertools.count(1)
        self._power = PLUGGED_IN
        self._unwanted = self._remembered = NOTHING  # by the service

    @property
    def connected(self) -> bool:
        """Whether it has a connection."""
        return self._wire is not None

    async def connect(self) -> None:
        """Switch it on, and wait until the service has welcomed it.

        :raises PlatformUnavailable: it has not.
        """
        if not self.connected:
            self.disconnect()  # where it was about to return by itself
            tried = anyio.Event()
            self._tasks.start_soon(self._run, tried)
            await tried.wait()
            if not self.connected:
                self.disconnect()
                raise PlatformUnavailable("the service has not welcomed the device")
            await self._report(PLUGGED_IN)

    def disconnect(self) -> None:
        """Switch it off."""
        self._wire = None
        if self._scope is not None:
            self._scope.cancel()

    async def report(self, power: Power, unwanted: Unwanted) -> None:
        """Tell the service how it stands, and wait until that counts; where it is off, once it is on."""
        before, self._power, self._unwanted = self._power, power, unwanted
        if self.connected:
            await self._report(before)

    async def open_channel(self, app: str, remote_id: str, held: str = "") -> str:
        """Ask for another channel and return its URI.

        :param held: the URI of one that it has; where that is good still, it stays so.
        :raises PlatformUnavailable: the service refuses it.
        """
        request = next(self._number)
        granted = await self._ask(request, RequestChannel(request, app, remote_id, held))
        if isinstance(granted, ChannelRefused):
            raise PlatformUnavailable(f"no channel: {granted.text}")
        assert isinstance(granted, ChannelGranted)  # noqa: S101  # what is asked for is granted or refused
        self.known.uris[granted.channel] = granted.uri
        return granted.uri

    async def revoke_channels(self, app: str) -> None:
        """Give up all channels of an app."""
        request = next(self._number)
        await self._ask(request, RevokeChannels(request, app))
        if app != NO_APP:
            self.known.uris.clear()

    async def _report(self, known: Power) -> None:
        """Tell the service what has changed; ``known`` is the power state that it takes to be the device's."""
        power, news = self._power, list[Message]()
        if power != known:
            news.append(PowerState(power.screen_on_or_plugged, power.battery_saver, power.exempt))
        if self._unwanted != self._remembered:
            self._remembered = self._unwanted
            news.append(UnwantedChanged(self._unwanted))
        if news and self._wire is not None:
            await self._wire.send(b"".join(map(codec.encode, news)))
            await self.revoke_channels(
                NO_APP
            )  # which changes nothing: once it is answered, what came before it was taken

    async def _ask(self, request: int, question: Message) -> Message | None:
        if self._wire is None:
            raise PlatformUnavailable("the device is offline: go_online() first, or POST /_tocsin/online")
        asked = self._asked[request] = _Asked()
        try:
            await self._wire.send(codec.encode(question))
            with anyio.fail_after(PATIENCE):
                await asked.answered.wait()
        except (WireBroken, TimeoutError) as failure:
            raise PlatformUnavailable(
                "the service has not answered the device: go_online(), and try again"
            ) from failure
        finally:
            self._asked.pop(request, None)
        return asked.answer

    async def _run(self, tried: anyio.Event) -> None:
        """Hold a connection until it is switched off, or the service closes it; then the next where it returns."""
        with anyio.CancelScope() as self._scope:
            await self._hold_one(tried)
            while self._returns:
                await anyio.sleep(RETURNS_AFTER)
                await self._hold_one(tried)

    async def _hold_one(self, tried: anyio.Event) -> None:
        wire: Wire | None = None
        try:
            async with dial_websocket(self._url, self._tls) as wire:
                await wire.send(codec.encode(Hello(PROTOCOL_VERSION, self.known.key)))
                await self._read(wire, tried)
        except WireBroken:
            pass  # the service has closed it; the next use of the device finds it disconnected
        finally:
            if self._wire is wire:  # else it was switched off, and may be on again
                self._wire = None
            tried.set()

    async def _read(self, wire: Wire, tried: anyio.Event) -> None:
        while True:
            for message in map(codec.decode, codec.split(await wire.receive())):
                match message:
                    case Welcome():
                        self._wire = wire
                        if tried.is_set():  # it has returned
                            self._tasks.start_soon(self._report, PLUGGED_IN)
                        tried.set()
                    case Payload():
                        self._arrived(message, self.known.uris.get(message.channel, ""))
                        await wire.send(codec.encode(Acknowledge((message.id,))))
                    case ChannelGranted() | ChannelRefused() | ChannelsRevoked():
                        asked = self._asked.pop(message.request, None)
                        if asked is not None:  # else the service did that by itself
                            asked.answer = message
                            asked.answered.set()
                    case _:
                        pass  # news that a device without apps has no use for
