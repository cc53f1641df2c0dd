"""A database that is slow under more posts than it can store: ``python -m tests.e2e.database_slow 0.1 400 30 ab``."""

from __future__ import annotations

import json
import sys
import time
from collections import Counter
from itertools import cycle, product
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import anyio
from anyio.abc import TaskGroup
from attrs import Factory, asdict, define
from prometheus_client.parser import text_string_to_metric_families

from bench.processes import resident
from tests.e2e.nodes import PUBLIC, Nodes, Roamer, some_nodes
from tests.persistence.lossy_socket import lossy_socket
from tests.persistence.postgres_server import PostgresServer, programs, running_server
from tests.processes import Sender

DEVICES = 10
"""Devices that are away: what is for one of them is stored one after the other."""

HERE = "here"
"""The device that is connected, for which the database need not be asked."""

OPTIONS = ("--max-connections-per-address", "10000", "--channel-rate", "0", "--app-rate", "0", "--address-rate", "0")

TOLD = ("tocsin_leases", "tocsin_store_seconds_sum", "tocsin_store_seconds_count")
"""How the metrics begin that are told."""


@define
class SlowFigures:
    """What it was like."""

    delay: float
    answers: dict[str, int] = Factory(dict)
    seconds: dict[str, list[float]] = Factory(dict)
    """What answers took, by status, and those for the device that is connected: the median, and the most."""
    under_way: int = 0
    """Requests at a time, at most."""
    resident: dict[str, list[float]] = Factory(dict)
    """MiB of each node: before, at most, in the end."""
    metrics: dict[str, dict[str, float]] = Factory(dict)


@define(eq=False)
class Slowness:
    """Some nodes, the devices of the first of them, and what has become of posts."""

    nodes: Nodes
    http: aiohttp.ClientSession
    devices: dict[str, Roamer] = Factory(dict)
    took: dict[str, list[float]] = Factory(dict)
    statuses: Counter[str] = Factory(Counter)
    under_way: int = 0
    most: int = 0
    token: str = ""

    async def settle(self, tasks: TaskGroup, away: int) -> None:
        """Have each device get its channel, and all but one leave; sign in."""
        for number in range(away + 1):
            key = f"{number} is the number of a key of a device"
            name = str(number) if number else HERE
            device = self.devices[name] = Roamer(self.nodes, key)
            tasks.start_soon(device.live)
            await device.until_at("a")
            if number:
                await device.leave()
        where = {"token_url": self.nodes.at("a", f"{PUBLIC}/accesstoken.srf")}
        sender = Sender(self.http, self.nodes.app | where)
        await sender.sign_in()
        self.token = sender.token
        for node in self.nodes.running:
            while (await self.metrics(node))["tocsin_leases_renewed_total"] < 3:  # noqa: ASYNC110  # its statement is prepared then
                await anyio.sleep(0.1)

    async def post(self, node: str, name: str) -> None:
        """Post once at a node, and note how that ends and when."""
        sender = Sender(self.http, {"uri": self.nodes.at(node, self.devices[name].uri)})
        sender.token, began = self.token, time.monotonic()
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            status, answer = await sender.push(b"x" * 1000, X_WNS_Cache_Policy="cache")
        finally:
            self.under_way -= 1
        said = str(status) if status != 503 or answer.get("retry-after") else "503 without Retry-After"
        self.statuses[said] += 1
        self.took.setdefault(HERE if name == HERE else said, []).append(time.monotonic() - began)

    async def metrics(self, node: str) -> dict[str, float]:
        """Read the metrics of a node, labels within the names."""
        async with self.http.get(self.nodes.at(node, f"{PUBLIC}/metrics")) as answer:
            text = await answer.text()
        return {
            sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }


async def slowness(  # noqa: PLR0917  # by hand, and in a test
    delay: float, rate: float, seconds: float, names: str, server: PostgresServer, folder: Path
) -> SlowFigures:
    """Post so many a second over a database each of whose answers comes later, and tell what that was like.

    :param names: of the nodes, a letter each, the first of them ``a``; posts go to each in its turn.
    """
    figures = SlowFigures(delay)
    socket = server.folder / "lossy"
    socket.mkdir()
    async with (
        lossy_socket(server.folder, socket) as lossy,
        some_nodes(server, folder, names, *OPTIONS, socket=socket) as nodes,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http,
        anyio.create_task_group() as tasks,
    ):
        world = Slowness(nodes, http)
        await world.settle(tasks, DEVICES)
        pids = {name: node.process.pid for name, node in nodes.running.items()}
        memory = [{name: resident(pid) for name, pid in pids.items()}]
        lossy.delay = delay
        async with anyio.create_task_group() as posting:
            begin, pairs = anyio.current_time(), cycle(product(world.devices, names))
            for number in range(round(rate * seconds)):
                device, node = next(pairs)
                posting.start_soon(world.post, node, device)
                if number % 100 == 0:
                    memory.append({name: resident(pid) for name, pid in pids.items()})
                await anyio.sleep_until(begin + number / rate)
            memory.append({name: resident(pid) for name, pid in pids.items()})
        for node, pid in pids.items():
            told = (await world.metrics(node)).items()
            figures.metrics[node] = {name: round(value, 2) for name, value in told if name.startswith(TOLD)}
            most = max(each[node] for each in memory)
            figures.resident[node] = [round(each, 1) for each in (memory[0][node], most, resident(pid))]
        tasks.cancel_scope.cancel()
    figures.answers, figures.under_way = dict(world.statuses), world.most
    for name, took in world.took.items():
        took.sort()
        figures.seconds[name] = [round(took[len(took) // 2], 3), round(took[-1], 3)]
    return figures


async def _by_hand(delay: str, rate: str, seconds: str, names: str) -> None:
    found = programs()
    assert found is not None, "PostgreSQL 15 or newer is not installed"
    with running_server(found, is_safe=True) as server, TemporaryDirectory() as folder:
        figures = await slowness(float(delay), float(rate), float(seconds), names, server, Path(folder))
    sys.stdout.write(json.dumps(asdict(figures), indent=1) + "\n")


if __name__ == "__main__":
    anyio.run(_by_hand, sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4])
