"""The service's surroundings: its clock, its devices, its senders."""

from __future__ import annotations

import asyncio
import re
from collections import Counter, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import ClientResponse, ClientSession
from attrs import define, frozen
from websockets.asyncio.client import ClientConnection, connect

from tocsin.protocol.messages import (
    Acknowledge,
    ChannelGranted,
    Hello,
    Message,
    Payload,
    RequestChannel,
    Welcome,
    codec,
)
from tocsin.protocol.service.offline_queue import Phase
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.service.layer import Layer
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.apps import AppRegistration
from tocsin.service.server import PushService, open_service

KEY = "a device key of thirty-two chars"
OTHER_KEY = "another device key, as long as it must be"
M = TypeVar("M", bound=Message)


def on_disk(state: Path) -> bytes:
    """Return all that the files of a state folder hold."""
    return b"".join(path.read_bytes() for path in state.iterdir())


@define
class Clock:
    """A wall clock that stands still until it is set."""

    time: float = 1_800_000_000.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.time


class Device:
    """A device, as its WebSocket sees it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._frames: deque[bytes] = deque()

    async def send(self, *messages: Message) -> None:
        """Send messages in one WebSocket message."""
        await self.socket.send(b"".join(codec.encode(message) for message in messages))

    async def receive(self, kind: type[M]) -> M:
        """Take the next message, which must be of that kind."""
        while not self._frames:
            data = await self.socket.recv()
            assert isinstance(data, bytes)
            self._frames.extend(codec.split(data))
        message = codec.decode(self._frames.popleft())
        assert isinstance(message, kind), message
        return message

    def waiting(self) -> int:
        """Tell how many messages have come that were not taken yet."""
        return len(self._frames)

    async def skip_to(self, kind: type[Message]) -> None:
        """Take the next message of that kind, before those that came earlier."""
        for frame in list(self._frames):
            if isinstance(codec.decode(frame), kind):
                self._frames.remove(frame)
                return
        data = await self.socket.recv()
        assert isinstance(data, bytes)
        self._frames.extend(codec.split(data))
        await self.skip_to(kind)

    async def greet(self, key: str = KEY) -> Welcome:
        """Say hello."""
        await self.send(Hello(PROTOCOL_VERSION, key))
        return await self.receive(Welcome)

    async def channel(self, remote_id: str, app: str = "app", known_uri: str = "") -> ChannelGranted:
        """Ask for a channel that is granted."""
        await self.send(RequestChannel(1, app, remote_id, known_uri))
        return await self.receive(ChannelGranted)

    async def acknowledge(self) -> Payload:
        """Take a payload and acknowledge it."""
        payload = await self.receive(Payload)
        await self.send(Acknowledge((payload.id,)))
        return payload

    async def closed(self) -> tuple[int, str]:
        """Wait until the service closes the connection; return its code and reason."""
        await self.socket.wait_closed()
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""


@asynccontextmanager
async def dial(service: PushService) -> AsyncIterator[Device]:
    """Connect a device that has said nothing yet."""
    async with connect(service.device_url, compression=None, ping_interval=None) as socket:
        yield Device(socket)


@frozen
class Answer:
    """What a sender got."""

    status: int
    headers: Mapping[str, str]
    text: str

    @property
    def reason(self) -> str:
        """The error's description."""
        return self.headers["X-WNS-Error-Description"]


@define
class World:
    """A running service with one app, and a sender that has a token."""

    service: PushService
    app: AppRegistration
    clock: Clock
    http: ClientSession
    token: str = ""
    uri: str = ""

    @property
    def counts(self) -> Counter[Phase]:
        """How stored notifications have ended."""
        return self.service.offline.counts

    async def authorize(self) -> None:
        """Get a token."""
        self.token = (await self.ask_token())["access_token"]

    async def ask_token(self, app: AppRegistration | None = None) -> dict[str, Any]:
        """Ask for a token of the app."""
        app = app or self.app
        form = {
            "grant_type": "client_credentials",
            "client_id": app.client_id,
            "client_secret": app.client_secret,
            "scope": "notify.windows.com",
        }
        async with self.http.post(self.service.token_url, data=form) as response:
            answer: dict[str, Any] = await response.json()
        return answer

    async def open_channel(self, key: str = KEY) -> None:
        """Have a device ask for a channel and leave."""
        async with dial(self.service) as device:
            await device.greet(key)
            self.uri = (await device.channel(self.app.remote_id)).uri

    async def post(
        self,
        body: bytes = b"body",
        headers: Mapping[str, str | None] | None = None,
        *,
        uri: str = "",
        method: str = "POST",
    ) -> Answer:
        """Send a raw notification with these headers instead of or beside the usual ones; None takes one away."""
        wanted = {
            "Authorization": f"Bearer {self.token}",
            "X-WNS-Type": "wns/raw",
            "Content-Type": "application/octet-stream",
            **(headers or {}),
        }
        request = self.http.request(
            method,
            uri or self.uri,
            data=body,
            headers={name: value for name, value in wanted.items() if value is not None},
            skip_auto_headers=["Content-Type"],
        )
        async with request as response:
            return await read(response)


async def read(response: ClientResponse) -> Answer:
    """Take an answer whole."""
    return Answer(response.status, response.headers, await response.text())


@asynccontextmanager
async def open_world(
    state: Path,
    settings: ServiceSettings | None = None,
    *,
    later: float = 0.0,
    key: str = KEY,
    layer: Layer | None = None,
    app: str = "contoso",
) -> AsyncIterator[World]:
    """Run a service with an app, a token and a channel of a device, so many seconds later than usual."""
    clock = Clock()
    clock.time += later
    async with open_service(state, settings, now=clock, layer=layer) as service, ClientSession() as http:
        world = World(service, await service.register(app), clock, http)
        await world.authorize()
        await world.open_channel(key)
        yield world


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """Open a raw connection to the service."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def ending(reader: asyncio.StreamReader) -> bytes:
    """Return what comes until the service closes the connection, or resets it."""
    got = b""
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            while chunk := await reader.read(65_536):
                got += chunk
    return got


async def exchange(
    service: PushService, *requests: bytes, lower: bool = True
) -> list[tuple[int, dict[str, str], bytes]]:
    """Send raw HTTP requests over one connection, one after the other, and return status, headers and body of each.

    The headers' names are in lower case, or as they came.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port)
    answers = []
    try:
        for request in requests:
            writer.write(request)
            answers.append(await read_raw(reader, lower=lower))
    finally:
        writer.close()
        await writer.wait_closed()
    return answers


async def read_raw(reader: asyncio.StreamReader, *, lower: bool = True) -> tuple[int, dict[str, str], bytes]:
    """Read one HTTP response: status, headers, body."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    status, *lines = head.rstrip().split("\r\n")
    pairs = [line.split(": ", 1) for line in lines]
    length = next(int(value) for name, value in pairs if name.lower() == "content-length")
    headers = {name.lower() if lower else name: value for name, value in pairs}
    return int(status.split()[1]), headers, await reader.readexactly(length)


def assert_identified(answer: Answer) -> None:
    """Every answer can be traced."""
    assert re.fullmatch("[0-9A-F]{16}", answer.headers["X-WNS-Msg-ID"])
    assert answer.headers["X-WNS-Msg-ID"] in answer.headers["X-WNS-Debug-Trace"]
    assert re.fullmatch(r"[A-Za-z0-9+/]{21}[AQgw](\.[0-9]+)+", answer.headers["MS-CV"])
