"""The devices: some that keep the ids that they have had, as a platform does, and a platform itself."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
from attrs import Factory, define, field
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.e2e.crash.victims import APP, SOON
from tests.e2e.hub_kills.hub_program import HubPlace
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.embedded import embedded
from tocsin.protocol.messages import Acknowledge, ChannelGranted, Hello, Payload, RequestChannel, Welcome, codec
from tocsin.protocol.values import PROTOCOL_VERSION

KNOCK = 0.01
"""Seconds between two attempts to connect."""

SLOW = 0.01
"""Seconds that a slow device takes over a payload."""

LEAVES = 0.5
"""Seconds within which a device that comes and goes cuts its connection."""


@define(eq=False)
class Recipient:
    """A device: ``tags`` are those of its registration, ``handled`` is what its handler was given, by number and id."""

    name: str
    tags: frozenset[str]
    uri: str = ""
    handled: Counter[tuple[int, str]] = Factory(Counter)
    again: int = 0
    """How many payloads came once more under an id that it had had."""
    up: bool = False
    """Whether it is connected."""

    @property
    def numbers(self) -> set[int]:
        """The numbers of what its handler was given."""
        return {number for number, _ in self.handled}


class SocketRecipient(Recipient):
    """One that is a WebSocket: it acknowledges what it is sent, and drops what it has had already."""

    async def run(self, place: HubPlace) -> None:
        """Stay connected, over all ends of the service, until cancelled."""
        chance = random.Random(self.name)  # noqa: S311  # not a secret
        while True:
            try:
                async with connect(place.device_url, compression=None, ping_interval=None) as socket:
                    messages = _messages(socket)  # one for both: payloads may come in one piece with what they wait for
                    await self._greet(socket, messages, place)
                    self.up = True
                    stays = chance.uniform(0, LEAVES) if "leaves" in self.tags else None
                    with anyio.move_on_after(stays):
                        await self._take(socket, messages)
                    socket.transport.abort()
            except (OSError, WebSocketException):
                await anyio.sleep(KNOCK)
            finally:
                self.up = False

    async def _greet(self, socket: ClientConnection, messages: AsyncIterator[object], place: HubPlace) -> None:
        key = f"the key of the device {self.name}, as long as it must be"
        await socket.send(codec.encode(Hello(PROTOCOL_VERSION, key)))
        async for message in messages:
            if isinstance(message, Payload):
                await self._acknowledge(socket, message)
            elif isinstance(message, Welcome):
                await socket.send(codec.encode(RequestChannel(1, APP, place.remote_id, self.uri)))
            elif isinstance(message, ChannelGranted):
                self.uri = message.uri
                return

    async def _take(self, socket: ClientConnection, messages: AsyncIterator[object]) -> None:
        async for message in messages:
            if isinstance(message, Payload):
                await self._acknowledge(socket, message)

    async def _acknowledge(self, socket: ClientConnection, payload: Payload) -> None:
        if "slow" in self.tags:
            await anyio.sleep(SLOW)
        record = int(payload.body), payload.id
        if record in self.handled:
            self.again += 1
        else:
            self.handled[record] += 1
        await socket.send(codec.encode(Acknowledge((payload.id,))))


async def _messages(socket: ClientConnection) -> AsyncIterator[object]:
    async for data in socket:
        assert isinstance(data, bytes)
        for frame in codec.split(data):
            yield codec.decode(frame)


@define(eq=False)
class PlatformRecipient(Recipient):
    """An app with a platform of its own, which is started anew with the service: a platform waits ever longer for one."""

    _life: anyio.CancelScope | None = field(default=None, init=False)

    def restart(self) -> None:
        """Leave the platform, and start it anew on its state."""
        self.up = False
        if self._life is not None:
            self._life.cancel()

    async def run(self, state: Path, place: HubPlace) -> None:
        """Run until cancelled."""

        async def handler(args: PushNotificationReceivedEventArgs) -> None:
            self.handled[int(args.payload), args.id] += 1
            args.handled = True

        while True:
            with anyio.CancelScope() as self._life:
                async with embedded(APP, state, service=place.url, retries=SOON) as manager:
                    result = await manager.create_channel(place.remote_id)
                    if result.channel is not None:  # else the service was killed meanwhile
                        with result.channel.push_received(handler):
                            self.uri, self.up = result.channel.uri, True
                            await anyio.sleep_forever()
