"""A database that is away for a while under posts, and what became of them: ``python -m tests.e2e.database_away stopped 60 ab``."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import cycle, product
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import anyio
from anyio.abc import TaskGroup
from attrs import Factory, asdict, define, field

from bench.processes import resident
from tests.e2e.nodes import PUBLIC, Nodes, Roamer, some_nodes
from tests.persistence.lossy_socket import Loss, LossySocket, lossy_socket
from tests.persistence.postgres_server import PostgresServer, programs, running_server
from tests.processes import PATIENCE, Sender

RATE = 40.0
"""Posts a second."""

AWAY = "away"
"""The device that is nowhere meanwhile."""


@define(eq=False)
class Post:
    """A post to a device at a node, on this process's clock, and its answer: of one without, the status is 0."""

    node: str
    device: str
    body: bytes
    began: float
    ended: float = 0.0
    status: int = 0
    retry_after: str = ""


@define
class AwayFigures:
    """What one absence was like: seconds are from its beginning, or ``back`` ones from its end."""

    way: str
    seconds: float
    answers: dict[str, dict[str, int]] = Factory(dict)
    """By status, of what began before, during and after it."""
    last_received: float = 0.0
    """When the last post was answered with 200."""
    first_refused: float = 0.0
    longest_wait: float = 0.0
    """Seconds that the slowest answer took."""
    slowest: list[str] = Factory(list)
    """The answers that took the longest, with their seconds."""
    retry_after: dict[str, int] = Factory(dict)
    """What the 503s said."""
    back: dict[str, float] = Factory(dict)
    """When the first post to each device at each node was received."""
    reconnected: int = 0
    received: int = 0
    lost: int = 0
    twice: int = 0
    resident: dict[str, list[float]] = Factory(dict)
    """MiB of each node: before, at most, in the end."""
    descriptors: dict[str, list[int]] = Factory(dict)


@define(eq=False)
class Absence:
    """Nodes with a device at each and one that is nowhere, and posts to all of them at all nodes."""

    nodes: Nodes
    lossy: LossySocket
    http: aiohttp.ClientSession
    devices: dict[str, Roamer] = Factory(dict)
    posts: list[Post] = Factory(list)
    _token: str = ""
    _seen: dict[str, list[tuple[float, int]]] = field(init=False, factory=dict)

    async def settle(self, tasks: TaskGroup) -> None:
        """Have each device get its channel, and the one leave; sign in."""
        for name in (*self.nodes.running, AWAY):
            at = name if name in self.nodes.running else self.nodes.serving[0]
            device = self.devices[name] = Roamer(self.nodes, f"{name} a key as long as it has to be, or longer", at)
            tasks.start_soon(device.live)
            await device.until_at(at)
        await self.devices[AWAY].leave()
        where = {"token_url": self.nodes.at(self.nodes.serving[0], f"{PUBLIC}/accesstoken.srf")}
        sender = Sender(self.http, self.nodes.app | where)
        await sender.sign_in()
        self._token = sender.token

    async def go_on(self) -> None:
        """Post so many a second, whatever has become of those before, and watch the nodes, until cancelled."""
        pairs = cycle(product(self.nodes.running, self.devices))
        begin = anyio.current_time()
        async with anyio.create_task_group() as tasks:
            for number in range(sys.maxsize):
                node, device = next(pairs)
                if device != AWAY or number % 10 < 2:  # of more than 100 that wait for a channel the oldest gives way
                    tasks.start_soon(self._post, node, device, number)
                if number % RATE == 0:
                    self._look()
                await anyio.sleep_until(begin + number / RATE)

    async def _post(self, node: str, device: str, number: int) -> None:
        post = Post(node, device, f"{number} for {device}".encode(), time.monotonic())
        self.posts.append(post)
        sender = Sender(self.http, {"uri": self.nodes.at(node, self.devices[device].uri)})
        sender.token = self._token
        status, answer = await sender.push(post.body, X_WNS_Cache_Policy="cache")
        post.ended, post.status, post.retry_after = time.monotonic(), status, answer.get("retry-after", "")

    def _look(self) -> None:
        for name, each in self.nodes.running.items():
            pid = each.process.pid
            self._seen.setdefault(name, []).append((resident(pid), len(list(Path(f"/proc/{pid}/fd").iterdir()))))

    @asynccontextmanager
    async def away(self, way: str) -> AsyncIterator[None]:
        """Have the database away while the block runs."""
        server = self.nodes.server
        pids = (server.pid, *server.children())
        if way == "stopped":
            await anyio.to_thread.run_sync(server.stop)
        elif way == "frozen":
            for pid in pids:
                os.kill(pid, signal.SIGSTOP)
        else:
            self.lossy.loss = Loss.ALL
        yield
        self.lossy.loss = Loss.NOTHING
        if way == "stopped":
            await anyio.to_thread.run_sync(server.start)
        elif way == "frozen":
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    async def until_received(self, since: float) -> dict[str, float]:
        """Wait until a post that began after a moment was received for each device at each node; tell when."""
        pairs = list(product(self.nodes.running, self.devices))
        with anyio.fail_after(PATIENCE):
            while True:
                first: dict[str, float] = {}
                for post in self.posts:
                    if post.status == 200 and post.began >= since:
                        first.setdefault(f"{post.device} at {post.node}", round(post.ended - since, 2))
                if len(first) == len(pairs):
                    return first
                await anyio.sleep(0.05)

    async def judge(self, figures: AwayFigures, begin: float, end: float) -> None:
        """Have all come that was received, and sum up."""
        received = {name: [p.body for p in self.posts if p.status == 200 and p.device == name] for name in self.devices}
        self.devices[AWAY].come_back()
        for name, device in self.devices.items():
            with anyio.move_on_after(PATIENCE):
                await device.until_got(received[name])
            figures.lost += len(set(received[name]) - set(device.got))
            figures.twice += len(device.got) - len(set(device.got))
        figures.received = sum(map(len, received.values()))
        for name, of_it in (("before", (0.0, begin)), ("during", (begin, end)), ("after", (end, float("inf")))):
            counted = Counter(str(post.status) for post in self.posts if of_it[0] <= post.began < of_it[1])
            figures.answers[name] = dict(counted)
        refused = [post for post in self.posts if post.status == 503]
        figures.retry_after = dict(Counter(post.retry_after for post in refused))
        figures.first_refused = round(min((post.ended for post in refused), default=begin) - begin, 2)
        late = [post.ended for post in self.posts if post.status == 200 and post.ended < end]
        figures.last_received = round(max(late) - begin, 2)
        slowest = sorted((post for post in self.posts if post.ended), key=lambda post: post.began - post.ended)[:4]
        figures.longest_wait = round(slowest[0].ended - slowest[0].began, 2)
        figures.slowest = [
            f"{each.ended - each.began:.2f} s to {each.status} for {each.device} at {each.node}, from {each.began - begin:.2f} s on"
            for each in slowest
        ]
        for name, seen in self._seen.items():
            memory, files = zip(*seen, strict=True)
            figures.resident[name] = [round(each, 1) for each in (memory[0], max(memory), memory[-1])]
            figures.descriptors[name] = [files[0], max(files), files[-1]]


async def absence(way: str, seconds: float, names: str, server: PostgresServer, folder: Path) -> AwayFigures:
    """Have the database away for some seconds under posts, and tell what that was like.

    :param way: it is ``stopped``, or ``frozen``, its processes standing still, or what is sent to it is ``swallowed``.
    :param names: of the nodes, a letter each.
    """
    figures = AwayFigures(way, seconds)
    socket = server.folder / "lossy"
    socket.mkdir()
    async with (
        lossy_socket(server.folder, socket) as lossy,
        some_nodes(server, folder, names, socket=socket if way == "swallowed" else None) as nodes,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
        anyio.create_task_group() as tasks,
    ):
        world = Absence(nodes, lossy, http)
        await world.settle(tasks)
        async with anyio.create_task_group() as posting:
            posting.start_soon(world.go_on)
            await world.until_received(time.monotonic())
            visits = [device.visits for device in world.devices.values()]
            begin = time.monotonic()
            async with world.away(way):
                await anyio.sleep(seconds)
                end = time.monotonic()
            figures.back = await world.until_received(end)
            await anyio.sleep(2)
            figures.reconnected = sum(device.visits for device in world.devices.values()) - sum(visits)
            posting.cancel_scope.cancel()
        await world.judge(figures, begin, end)
        tasks.cancel_scope.cancel()
    return figures


async def _by_hand(way: str, seconds: str, names: str) -> None:
    found = programs()
    assert found is not None, "PostgreSQL 15 or newer is not installed"
    with running_server(found, is_safe=True) as server, TemporaryDirectory() as folder:
        figures = await absence(way, float(seconds), names, server, Path(folder))
    sys.stdout.write(json.dumps(asdict(figures), indent=1) + "\n")


if __name__ == "__main__":
    anyio.run(_by_hand, sys.argv[1], sys.argv[2], sys.argv[3])
