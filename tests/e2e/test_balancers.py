"""Two nodes of one service behind nginx and behind HAProxy, by the files that operators are given."""

from __future__ import annotations

import json
import signal
import ssl
import sys
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest
from aiohttp import ClientError, ClientSession, TCPConnector
from attrs import define, field
from websockets.asyncio.client import connect

from tests.e2e.balancing import BALANCERS, Balancer, Place, installed
from tests.persistence.postgres_server import PostgresServer, safe_server
from tests.processes import Listening, Sender, call
from tests.service.world import Device
from tocsin.api.embedded import embedded
from tocsin.api.manager import PushNotificationManager
from tocsin.protocol.messages import Payload

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="all of 127.0.0.0/8 is this machine on Linux only"),
    pytest.mark.parametrize(
        "name",
        [
            pytest.param(
                name,
                marks=pytest.mark.skipif(
                    installed(name) is None, reason=f"{name} is not installed: apt-get install {name}"
                ),
            )
            for name in BALANCERS
        ],
    ),
]

CLIENT = "127.0.0.9"
"""From where senders come: not the balancer's address."""

PATIENCE = 60.0
"""Seconds after which a test gives up: a device that a balancer has turned away asks for its channel again after a while."""

SENDERS = 4

POSTS = 6
"""Enough that each node gets one."""

DRAIN_DELAY = 5
"""What both files say that a node is to be given."""


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Run a server that waits for its disk."""
    with safe_server() as server:
        yield server


@define
class World:
    """Where a balancer and its nodes are, an app whose device comes through it, and a server of the app that does so too."""

    place: Place
    trust: ssl.SSLContext
    app: dict[str, Any]
    sender: Sender
    uri: str = ""
    seen: Counter[bytes] = field(factory=Counter)
    answers: list[int] = field(factory=list)

    async def listen(self, manager: PushNotificationManager) -> None:
        """Note what the app gets."""
        channel = (await manager.create_channel(self.app["remote_id"])).channel
        assert channel is not None
        self.uri = channel.uri
        async for args in channel.payloads():
            self.seen[args.payload] += 1

    async def send(self, name: int) -> None:
        """Send until cancelled, and note the statuses; 0 stands for no answer."""
        for number in range(1_000_000):
            try:
                status, _ = await self.sender.push(b"%d %d" % (name, number), self.uri, X_WNS_Cache_Policy="cache")
            except (OSError, ClientError):
                status = 0
            self.answers.append(status)
            await anyio.sleep(0.005)

    async def devices(self, number: int) -> int:
        """Return how many devices a node has; none if it does not run."""
        ask = partial(call, "status", "--json", "--state", str(self.place.state(number)))
        code, output, _ = await anyio.to_thread.run_sync(ask)
        count: int = json.loads(output)["now"]["devices"] if code == 0 else 0
        return count

    async def gets_more(self) -> None:
        """Wait until the app gets what is sent from now on."""
        before = len(self.seen)
        await until(lambda: len(self.seen) > before + 5)

    @asynccontextmanager
    async def device(self) -> AsyncIterator[None]:
        """Have the device, with its channel."""
        self.uri, state = "", self.place.folder / "device"
        opening = embedded("contoso", state, service=self.place.url, sensors=())
        async with anyio.create_task_group() as group, opening as manager:
            group.start_soon(self.listen, manager)
            await until(lambda: self.uri)
            yield
            group.cancel_scope.cancel()


async def until(condition: Callable[[], object]) -> None:
    """Wait for what other processes do."""
    with anyio.fail_after(PATIENCE):
        while not condition():  # noqa: ASYNC110  # they give no signal
            await anyio.sleep(0.01)


@asynccontextmanager
async def world(folder: Path, server: PostgresServer, environment: pytest.MonkeyPatch) -> AsyncIterator[World]:
    """Make an app, whose server comes from an address of its own, and over a new connection each time."""
    place = Place.make(folder, await server.make_database())
    environment.setenv("SSL_CERT_FILE", str(place.authority))
    trust = ssl.create_default_context(cafile=str(place.authority))
    add = partial(call, "app", "add", "contoso", "--state", str(place.state(0)), "--engine", place.engine, "--json")
    app: dict[str, Any] = json.loads((await anyio.to_thread.run_sync(add))[1])
    connector = TCPConnector(ssl=trust, local_addr=(CLIENT, 0), force_close=True)
    async with ClientSession(connector=connector) as http:
        yield World(place, trust, app, Sender(http, app | {"token_url": f"{place.url}/accesstoken.srf"}))


async def stop(node: Listening) -> None:
    """Stop a node in order."""
    node.process.send_signal(signal.SIGTERM)
    assert await node.wait() == 0


async def test_both_come_through(
    tmp_path: Path, server: PostgresServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A device, and a sender for its token and its notifications, though two of the three nodes do not run.

    The service sees from which address the sender comes, whatever that says of itself, and no log has the channel's token.
    """
    async with world(tmp_path, server, monkeypatch) as w, w.place.node(0) as node, BALANCERS[name](w.place) as balancer:
        async with w.device():
            await w.sender.sign_in()
            for number in range(6):
                status, answer = await w.sender.push(b"%d" % number, w.uri)
                assert (status, answer["x-wns-status"]) == (200, "received")
            await until(lambda: len(w.seen) == 6)
            w.sender.token += "x"
            status, _ = await w.sender.push(b"x", w.uri, X_Forwarded_For="203.0.113.7")
            assert status == 401
        await stop(node)
        (refusal,) = [line for line in (await node.errors()).splitlines() if "notifications refused" in line]
        assert refusal.endswith(f"token_forged: 1 (1 from {CLIENT})"), refusal
        said = balancer.said()
    assert "POST /w/" in said
    assert w.uri.partition("token=")[2] not in said


@asynccontextmanager
async def two_nodes(
    folder: Path, server: PostgresServer, name: str, environment: pytest.MonkeyPatch
) -> AsyncIterator[tuple[World, Balancer, list[Listening]]]:
    """Run two nodes; of the three that the balancer knows one does not run."""
    async with world(folder, server, environment) as w:
        nodes = w.place.node(0, DRAIN_DELAY), w.place.node(1, DRAIN_DELAY)
        async with nodes[0] as first, nodes[1] as second, BALANCERS[name](w.place) as balancer:
            await w.sender.sign_in()
            yield w, balancer, [first, second]


@asynccontextmanager
async def sending(w: World, nodes: list[Listening]) -> AsyncIterator[tuple[Listening, Listening]]:
    """Have the device, and senders that go on; give the node where the device is, and the other."""
    async with w.device(), anyio.create_task_group() as group:
        for sender in range(SENDERS):
            group.start_soon(w.send, sender)
        await w.gets_more()
        at = await w.devices(1)
        yield nodes[at], nodes[1 - at]
        group.cancel_scope.cancel()


async def test_a_node_that_is_stopped_costs_no_request(
    tmp_path: Path, server: PostgresServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is taken out while it goes on; then it closes its devices, which come back by the other node."""
    async with (
        two_nodes(tmp_path, server, name, monkeypatch) as (w, balancer, nodes),
        sending(w, nodes) as (there, other),
    ):
        balancer.take_out(there.first["port"])
        await stop(there)
        await w.gets_more()
        assert other.process.returncode is None
        if name == "haproxy":  # nginx asks no node
            assert "is DOWN, reason: Layer7 wrong status, code: 503" in balancer.said()
    assert set(w.answers) == {200}, Counter(w.answers)
    assert max(w.seen.values()) == 1


async def test_a_node_that_is_killed_is_taken_out(
    tmp_path: Path, server: PostgresServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was under way there fails; all else goes to the other node, where the device comes back."""
    async with two_nodes(tmp_path, server, name, monkeypatch) as (w, _, nodes), sending(w, nodes) as (there, _):
        there.process.kill()
        await there.wait()
        await w.gets_more()
    failed = [status for status in w.answers if status != 200]
    assert len(failed) <= SENDERS, Counter(w.answers)
    assert set(failed) <= {502, 503}  # it was reached and has not answered; those that were tried were not reached
    assert max(w.seen.values()) == 1


async def test_what_was_answered_with_received_comes_by_the_other_node(
    tmp_path: Path, server: PostgresServer, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The node is killed before the device has acknowledged: of posts there the sender is told that they failed; others are stored."""
    async with two_nodes(tmp_path, server, name, monkeypatch) as (w, _, nodes), anyio.create_task_group() as group:
        url = f"wss{w.place.url.removeprefix('https')}/device"
        async with connect(url, ssl=w.trust, compression=None) as socket:
            device = Device(socket)
            await device.greet()
            uri = (await device.channel(w.app["remote_id"])).uri
            received: list[bytes] = []

            async def post(body: bytes) -> None:
                status, _ = await w.sender.push(body, uri, X_WNS_Cache_Policy="cache")
                w.answers.append(status)
                if status == 200:
                    received.append(body)

            for number in range(POSTS):
                group.start_soon(post, b"%d" % number)
            for _ in range(POSTS):  # by its own node, and by the other one's link
                await device.receive(Payload)
            nodes[await w.devices(1)].process.kill()
            await until(lambda: len(w.answers) == POSTS)
        assert set(w.answers) == {200, 502}, Counter(w.answers)
        async with connect(url, ssl=w.trust, compression=None) as socket:
            device = Device(socket)
            await device.greet()
            came = {(await device.receive(Payload)).body for _ in received}
        assert came == set(received)
