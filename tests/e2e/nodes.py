"""Nodes of one service as processes, a device that goes from one to another, and senders at all of them."""

from __future__ import annotations

import json
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import anyio
from attrs import Factory, define, field
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from tests.persistence.postgres_server import PostgresServer
from tests.processes import PATIENCE, Listening, Sender, call, running
from tests.service.world import KEY, Device
from tocsin.protocol.messages import Acknowledge, Payload, codec
from tocsin.service.url_paths import DEVICE_PATH

PUBLIC = "http://push.example"
"""The URL of the whole, which leads nowhere in a test."""


@define(eq=False)
class Nodes:
    """The nodes of one service over one server, by name."""

    server: PostgresServer
    url: str
    folder: Path
    stack: AsyncExitStack
    app: dict[str, str]
    running: dict[str, Listening] = Factory(dict)
    serving: list[str] = Factory(list)
    """Those that a load balancer would send clients to, the first ones first."""

    async def start(self, name: str, *options: str) -> None:
        """Start a node, or start it again."""
        verb = ("serve", "--json", "--state", str(self.folder / name), "--engine", self.url, "--public-url", PUBLIC)
        links = ("--link", "127.0.0.1:0", "--acknowledge-timeout", "3")
        self.running[name] = await self.stack.enter_async_context(running(*verb, *links, *options))
        self.serving.append(name)

    def port(self, name: str) -> int:
        """Return where a node listens for clients."""
        return int(self.running[name].first["port"])

    def at(self, name: str, url: str) -> str:
        """Return a URL of the service as it is at one node."""
        parts = urlsplit(url)
        return parts._replace(netloc=f"127.0.0.1:{self.port(name)}", scheme="http").geturl()

    def signal(self, name: str, number: signal.Signals) -> None:
        """Send a node a signal."""
        self.running[name].process.send_signal(number)

    def kill(self, name: str) -> None:
        """Kill a node."""
        self.serving.remove(name)
        self.signal(name, signal.SIGKILL)

    async def end(self, name: str) -> None:
        """End a node in order, and wait for it."""
        self.serving.remove(name)
        self.signal(name, signal.SIGTERM)
        assert await self.running[name].wait() == 0, await self.running[name].errors()


@asynccontextmanager
async def some_nodes(
    server: PostgresServer, folder: Path, names: str = "abc", *options: str, socket: Path | None = None
) -> AsyncIterator[Nodes]:
    """Run nodes, three or as many as there are names, of a service with one app; ``socket`` is the folder of one that leads to the server."""
    url = await server.make_database()
    if socket is not None:
        url = server.url(urlsplit(url).path.strip("/"), folder=socket)
    add = ("app", "add", "contoso", "--state", str(folder / "none"), "--engine", url, "--json")
    code, output, errors = await anyio.to_thread.run_sync(partial(call, *add))
    assert code == 0, errors
    async with AsyncExitStack() as stack:
        nodes = Nodes(server, url, folder, stack, json.loads(output))
        async with anyio.create_task_group() as tasks:
            for name in names:
                tasks.start_soon(nodes.start, name, *options)
        nodes.serving.sort()
        yield nodes


@define(eq=False)
class Roamer:
    """A device that connects to the first node that serves, takes all that comes, and comes back where it is parted with."""

    nodes: Nodes
    key: str = KEY
    prefers: str = ""
    """The node to which it goes; empty: the first one that serves."""
    got: list[bytes] = Factory(list)
    ids: Counter[str] = field(init=False, default=Factory(Counter))
    uri: str = ""
    at: str = ""
    """The node where it is, or empty."""
    visits: int = 0
    """How often it has connected."""
    _stays_away: bool = False
    _socket: ClientConnection | None = None

    def hold_off(self) -> None:
        """Do not connect again, until it is to come back."""
        self._stays_away = True

    async def leave(self) -> None:
        """Go away, until it is to come back."""
        self.hold_off()
        if self._socket is not None:
            await self._socket.close()
        with anyio.fail_after(PATIENCE):
            while self.at:  # noqa: ASYNC110  # as below
                await anyio.sleep(0.01)

    def come_back(self) -> None:
        """Connect again."""
        self._stays_away = False

    async def live(self) -> None:
        """Connect again and again."""
        while True:
            if not self._stays_away and self.nodes.serving:
                name = self.prefers or self.nodes.serving[0]
                with suppress(OSError, WebSocketException, TimeoutError):
                    await self._visit(name)
                self.at = ""
            await anyio.sleep(0.05)

    async def _visit(self, name: str) -> None:
        where = f"ws://127.0.0.1:{self.nodes.port(name)}{DEVICE_PATH}"
        async with connect(where, compression=None, ping_interval=1, ping_timeout=1, close_timeout=0.1) as socket:
            device, self._socket = Device(socket), socket
            await device.greet(self.key)
            self.at, self.visits = name, self.visits + 1
            if not self.uri:
                self.uri = (await device.channel(self.nodes.app["remote_id"])).uri
            async for data in socket:
                assert isinstance(data, bytes)
                for frame in codec.split(data):
                    await self._take(device, codec.decode(frame))

    async def _take(self, device: Device, message: object) -> None:
        if isinstance(message, Payload):
            self.ids[message.id] += 1
            if self.ids[message.id] == 1:
                self.got.append(message.body)
            await device.send(Acknowledge((message.id,)))

    async def until_at(self, name: str) -> None:
        """Wait until it is at a node, and has a channel."""
        with anyio.fail_after(PATIENCE):
            while self.at != name or not self.uri:  # noqa: ASYNC110  # the device's own task need not tell
                await anyio.sleep(0.01)

    async def until_got(self, bodies: list[bytes]) -> None:
        """Wait until it has all of these."""
        with anyio.fail_after(PATIENCE):
            while not set(bodies) <= set(self.got):  # noqa: ASYNC110  # as above
                await anyio.sleep(0.01)


@define(eq=False)
class Posts:
    """Posts at nodes, and what became of them."""

    nodes: Nodes
    roamer: Roamer
    http: aiohttp.ClientSession
    received: list[bytes] = Factory(list)
    statuses: Counter[int] = field(init=False, default=Factory(Counter))
    _token: str = ""
    _count: int = 0

    async def post(self, name: str, **headers: str) -> tuple[int, dict[str, str]]:
        """Post at a node, once; what is received has to come to the device."""
        if not self._token:
            where = {"token_url": self.nodes.at(name, f"{PUBLIC}/accesstoken.srf"), "uri": ""}
            sender = Sender(self.http, self.nodes.app | where)
            await sender.sign_in()
            self._token = sender.token
        sender = Sender(self.http, {"uri": self.nodes.at(name, self.roamer.uri)})
        sender.token = self._token
        self._count += 1
        body = f"{self._count} at {name}".encode()
        status, answer = await sender.push(body, **({"X_WNS_Cache_Policy": "cache"} | headers))
        self.statuses[status] += 1
        if status == 200 and answer["x-wns-status"] == "received":
            self.received.append(body)
        return status, answer

    async def go_on(self) -> None:
        """Post at each node that serves in its turn, until cancelled; one that has just gone is passed over."""
        turn = 0
        while True:
            turn += 1
            name = self.nodes.serving[turn % len(self.nodes.serving)]
            with suppress(aiohttp.ClientError):
                await self.post(name)
            await anyio.sleep(0.01)
