"""A push service in memory: it sends again, on every connection, what was not acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import anyio
from attrs import evolve

from tests.helpers import MemoryWire
from tests.simulation.clocks import ServiceMachine
from tests.simulation.faults import WireFaults, wires
from tests.simulation.record import Record
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import decode, encode, split
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.platform.channel_request import renewal
from tocsin.protocol.platform.unwanted import NOTHING
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.protocol.webpush.sender import is_web_push
from tocsin.transport.wire import Wire, WireBroken

FOREVER = 1e9
"""Seconds that channels live that outlive every run."""


class Service:
    """The service of one device."""

    def __init__(self, record: Record, faults: WireFaults, machine: ServiceMachine) -> None:
        self.reachable = True
        self.lifetime = FOREVER
        """Seconds that the channels that it grants from now on live."""
        self.delay = 0.0
        """Seconds that it takes over each message."""
        self.refusals: deque[tuple[int, float | None]] = deque()
        """The HRESULTs of the refusals of the next requests, with what ``Retry-After`` says."""
        self.channels: dict[str, tuple[str, str]] = {}
        self.granted: dict[str, tuple[str, str]] = {}
        """All channels ever: app and remote id, by their names."""
        self.expires: dict[str, float] = {}
        self.lives: dict[str, float] = {}
        """Seconds that channels live from their grants on, by their names."""
        self.unwanted = NOTHING
        """What the device has said last that it does not want."""
        self.waiting: dict[str, m.Payload] = {}
        self.acknowledged: dict[str, None] = {}
        self.withdrawn: set[str] = set()
        """The ids of what was taken back, or replaced."""
        self._record = record
        self._faults = faults
        self._machine = machine
        self._wire: MemoryWire | None = None

    def now(self) -> float:
        """Return the service's time, in seconds since the epoch."""
        return self._machine.now()

    @asynccontextmanager
    async def dial(self) -> AsyncIterator[Wire]:
        """Connect, as a device does."""
        if not self.reachable:
            raise WireBroken("the service is away", ConnectionCause.REFUSED)
        theirs, ours = wires(self._faults)
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._serve, ours)
                try:
                    yield theirs
                finally:
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await theirs.aclose()
                await ours.aclose()

    async def push(self, payload: m.Payload) -> None:
        """Send a payload now, if the device is there; and again with each connection until it is acknowledged."""
        if payload.id not in self.acknowledged:
            self.waiting[payload.id] = payload
        await self._send(payload)

    def withdraw(self, id_: str) -> None:
        """Send a payload no more that waits, and may have been sent."""
        del self.waiting[id_]
        self.withdrawn.add(id_)

    async def revoke(self, request: int, names: list[str]) -> None:
        """Take channels back."""
        for name in names:
            self.channels.pop(name, None)
        await self._send(m.ChannelsRevoked(request, tuple(names)))

    def has_ended(self, channel: str) -> bool:
        """Tell whether a channel was taken back, or its time is over."""
        return channel not in self.channels or self.expires[channel] <= self.now()

    async def cut(self) -> None:
        """Break the connection."""
        wire, self._wire = self._wire, None
        if wire is not None:
            self._record.say("service cuts")
            await wire.aclose()

    async def _serve(self, wire: MemoryWire) -> None:
        try:
            while True:
                for frame in split(await wire.receive()):
                    if self.delay:
                        await anyio.sleep(self.delay)
                    await self._take(wire, decode(frame))
        except WireBroken:
            await wire.aclose()
        finally:
            if self._wire is wire:
                self._wire = None

    async def _take(self, wire: MemoryWire, message: m.Message) -> None:
        self._record.say("service gets", _brief(message))
        match message:
            case m.Hello():
                self._wire = wire
                await self._send(m.Welcome(PROTOCOL_VERSION, 1024, self.now()), *self.waiting.values())
            case m.RequestChannel(request) if self.refusals:
                hresult, retry_after = self.refusals.popleft()
                await self._send(m.ChannelRefused(request, hresult, "not now", retry_after))
            case m.RequestChannel(request, app, remote_id, uri):
                name = uri if self._is_good(uri, remote_id) else self._grant(app, remote_id)
                await self._send(m.ChannelGranted(request, name, name, self.expires[name], self.now()))
            case m.RevokeChannels(request, app):
                await self.revoke(request, [name for name, (owner, _) in self.channels.items() if owner == app])
            case m.UnwantedChanged(unwanted):
                self.unwanted = unwanted
            case m.Acknowledge(ids):
                for id_ in ids:
                    self.acknowledged[id_] = None
                    self.waiting.pop(id_, None)

    def _is_good(self, uri: str, remote_id: str) -> bool:
        """Tell whether a channel may stay; the end of a push subscription is put off."""
        if self.channels.get(uri) is not None and is_web_push(remote_id) and not self.has_ended(uri):
            self._put_off(uri)
            return True
        return uri in self.channels and renewal(remote_id, self.expires[uri]) > self.now()

    def _grant(self, app: str, remote_id: str) -> str:
        name = f"c{len(self.granted)}"
        self.channels[name] = self.granted[name] = app, remote_id
        self._put_off(name)
        return name

    def _put_off(self, name: str) -> None:
        self.lives[name] = self.lifetime
        self.expires[name] = max(self.now() + self.lifetime, self.expires.get(name, 0.0))

    async def _send(self, *messages: m.Message) -> None:
        wire = self._wire
        if wire is not None:
            for message in messages:
                self._record.say("service sends", _brief(message))
            with suppress(WireBroken):  # the task that reads from it fails too
                await wire.send(b"".join(encode(self._dated(message)) for message in messages))

    def _dated(self, message: m.Message) -> m.Message:
        """Say in a payload that expires what time it is."""
        dated = isinstance(message, m.Payload) and message.expires is not None
        return evolve(message, sent=self.now()) if dated else message  # type: ignore[misc]  # a payload


def _brief(message: m.Message) -> str:
    match message:
        case m.Payload(id_, channel):
            rest = f"{id_} {channel}"
        case m.Acknowledge(ids):
            rest = " ".join(ids)
        case m.RequestChannel(request, app) | m.ChannelGranted(request, app):
            rest = f"{request} {app}"
        case m.ChannelRefused(request, hresult):
            rest = f"{request} {hresult:#x}"
        case m.ChannelsRevoked(_, channels):
            rest = " ".join(channels)
        case _:
            rest = ""
    return f"{type(message).__name__} {rest}".rstrip()
