"""The devices: each is at one node at a time, or at none, and knows again what it has had."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Iterator

import anyio
from anyio.abc import TaskGroup
from attrs import Factory, define, field
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, WebSocketException

from tests.e2e.crash.victims import APP
from tests.e2e.node_troubles.balancer import Balancer
from tests.e2e.node_troubles.ledger import Ledger
from tests.e2e.node_troubles.node import Node
from tests.e2e.node_troubles.waits import Waits
from tocsin.protocol.kernel.backoff import backoff
from tocsin.protocol.messages import (
    Acknowledge,
    ChannelGranted,
    ChannelRefused,
    Hello,
    Payload,
    RequestChannel,
    Welcome,
    codec,
)
from tocsin.protocol.values import PROTOCOL_VERSION, NotificationType
from tocsin.protocol.webpush.envelope import Envelope
from tocsin.protocol.webpush.sender import web_push_sender
from tocsin.protocol.webpush.subscription import PushSubscription
from tocsin.webpush.message_encryption import SubscriptionKeys, decrypt

FIRST, LONGEST = 0.25, 1.0
"""Seconds of the wait after a connection has failed: as a device's, which goes on to more."""

OPENS = 2.0
"""Seconds in which a connection has to be there."""

SILENT = 1.5
"""Seconds between two pings, and in which one has to be answered."""

STAYS, AWAY, LINGERS = 6.0, 1.5, 4.0
"""Seconds that a device which comes and goes is there, is away, and leaves an old connection open, at most."""

FORGETS = 0.002
"""How often its network goes before it has said that it has a payload."""


def _chance(device: Device) -> random.Random:
    return random.Random(device.number)  # noqa: S311  # not a secret


@define(eq=False)
class Device:
    """A device with one channel; ``moves`` is one that comes and goes, and ``keys`` are those of its push subscription, if it has one."""

    number: int
    remote_id: str
    balancer: Balancer
    ledger: Ledger
    waits: Waits
    tasks: TaskGroup
    moves: bool
    keys: SubscriptionKeys | None
    stays: bool = False
    """Whether it has stopped to come and go."""
    uri: str = ""
    subscription: PushSubscription | None = None
    node: Node | None = None
    """Where it is."""
    _left: Node | None = None
    """Where it was, until it is noted that it is not there any more."""
    _failures: int = 0
    _random: random.Random = field(init=False, default=Factory(_chance, takes_self=True))

    async def run(self) -> None:
        """Be connected, over all ends of nodes, until cancelled."""
        while True:
            try:
                await self._connect()
            except (OSError, WebSocketException) as failure:  # a time that is up is one of the former
                self._note(failure)
                self._failures += 1
                await anyio.sleep(backoff(FIRST, LONGEST, self._failures, self._random.random()))
                self._spend("before the next attempt")
            else:
                self._left = None
                await anyio.sleep(self._random.uniform(0, AWAY))

    @property
    def lacks(self) -> RequestChannel | None:
        """What it has to ask for next; None once it has all."""
        if not self.uri:
            return RequestChannel(1, APP, self.remote_id, "")
        if self.keys is not None and self.subscription is None:
            return RequestChannel(2, APP, web_push_sender(None), "")
        return None

    def _note(self, failure: Exception) -> None:
        """Note that a connection has ended, or an attempt to make one."""
        left, self._left = self._left, None
        if left is not None and left.trouble is not None:
            kind, since = left.trouble
            self.waits.leave(kind, self.number, since)
        self._spend("until it was noticed" if left else _failed(failure))

    def _spend(self, on: str) -> None:
        self.waits.spend(self.number, on)

    def _may_leave(self) -> bool:
        return self.moves and not self.stays and not self.waits.waits_for(self.number)

    async def _open(self) -> tuple[ClientConnection, Node]:
        """Open a connection to the first node that takes it, as a load balancer does."""
        failure: OSError | None = None
        for node in self.balancer.order():
            try:
                with anyio.fail_after(OPENS):
                    return await self._open_to(node), node
            except ConnectionRefusedError as refused:
                node.away()
                failure = refused
        assert failure is not None
        raise failure

    async def _open_to(self, node: Node) -> ClientConnection:
        return await connect(
            f"ws://{node.address.host}:{node.address.port}/device",
            compression=None,
            open_timeout=None,
            ping_interval=SILENT,
            ping_timeout=SILENT,
            close_timeout=0.1,
        )

    async def _connect(self) -> None:
        """Be connected to one node until it leaves; that the connection ends is an error."""
        socket, node = await self._open()
        lingers = False
        try:
            began = time.monotonic()
            with anyio.fail_after(OPENS):
                await self._greet(socket, began)
            self.node, self._left, self._failures = node, node, 0
            self._spend("connecting")
            self.ledger.place(self.number, f"at {node.name}")
            await self._stay(socket, began)
            lingers = self._random.random() < 0.3
        finally:
            self.node = None
            self.ledger.place(self.number, "lingers" if lingers else "gone")
            if lingers:
                self.tasks.start_soon(_linger, socket, self._random.uniform(0, LINGERS))
            else:
                socket.transport.abort()

    async def _greet(self, socket: ClientConnection, began: float) -> None:
        key = f"the key of device {self.number}, as long as it must be"
        await socket.send(codec.encode(Hello(PROTOCOL_VERSION, key)))
        greeted = False
        while not greeted:
            for message in _split(await socket.recv()):
                if isinstance(message, Payload):
                    await self._handle(socket, message, began)
                elif isinstance(message, Welcome | ChannelGranted):
                    if isinstance(message, ChannelGranted):
                        self._take_granted(message)
                    greeted = self.lacks is None
                    if self.lacks is not None:
                        await socket.send(codec.encode(self.lacks))
                elif isinstance(message, ChannelRefused):
                    raise ConnectionResetError(message.text)

    def _take_granted(self, granted: ChannelGranted) -> None:
        if not self.uri:
            self.uri = granted.uri
        else:
            assert self.keys is not None
            self.subscription = PushSubscription(granted.uri, self.keys.p256dh, self.keys.auth)

    async def _stay(self, socket: ClientConnection, began: float) -> None:
        until = began + self._random.uniform(0.2, STAYS)
        while not self._may_leave() or time.monotonic() < until:
            data: bytes | str | None = None
            with anyio.move_on_after(max(until - time.monotonic(), 0.1)):
                data = await socket.recv()
            for message in _split(data or b""):
                if isinstance(message, Payload):
                    await self._handle(socket, message, began)

    async def _handle(self, socket: ClientConnection, payload: Payload, began: float) -> None:
        found = re.search(rb"\d+", self._read(payload))
        assert found is not None
        if self.ledger.handle(self.number, int(found[0]), payload.id):
            self.waits.served(self.number, began)
            if self._random.random() < FORGETS:
                raise ConnectionResetError("the device's network is gone")
        await socket.send(codec.encode(Acknowledge((payload.id,))))

    def _read(self, payload: Payload) -> bytes:
        if payload.type is not NotificationType.PUSH:
            return payload.body
        assert self.keys is not None
        return decrypt(self.keys, Envelope.unpack(payload.body))


def _failed(failure: Exception) -> str:
    """Say of an attempt how it has failed."""
    if isinstance(failure, ConnectionClosed):
        return f"turned away with {failure.rcvd.code if failure.rcvd else 'nothing'}"
    if isinstance(failure, ConnectionRefusedError):
        return "refused by all"
    return "not answered" if isinstance(failure, TimeoutError) else "broken off"


async def _linger(socket: ClientConnection, seconds: float) -> None:
    """Leave a connection open that its device is not at any more, as one is whose network has changed."""
    socket.transport.pause_reading()
    await anyio.sleep(seconds)
    socket.transport.abort()


def _split(data: bytes | str) -> Iterator[object]:
    assert isinstance(data, bytes)
    return map(codec.decode, codec.split(data))
