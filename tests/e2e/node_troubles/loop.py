"""The run: nodes, devices and senders, troubles for the nodes, and in the end what became of each notification."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

import aiohttp
import anyio
from attrs import frozen

from tests.e2e.crash.victims import APP, PATIENCE, Stuck, Victim, within
from tests.e2e.hub_kills.figures import wait_until
from tests.e2e.node_troubles.balancer import Balancer
from tests.e2e.node_troubles.devices import Device
from tests.e2e.node_troubles.figures import TroubleFigures, spreads
from tests.e2e.node_troubles.ledger import Ledger
from tests.e2e.node_troubles.node import Node
from tests.e2e.node_troubles.programs import serve_node
from tests.e2e.node_troubles.senders import TAGS, TOPICS, Senders
from tests.e2e.node_troubles.troubles import Troubles
from tests.e2e.node_troubles.waits import Waits
from tests.e2e.node_troubles.wires import Address, Wires, namespace_wires, relay_wires, why_no_namespaces
from tests.persistence.postgres_server import PostgresServer, programs, running_server
from tests.processes import Sender, call
from tocsin.tasks import task_group
from tocsin.webpush.message_encryption import SubscriptionKeys

EVERY = 5.0
"""Seconds between two words on how far it is."""

STILL = 60.0
"""Seconds without anything received after which the run stands still."""

MOST_MIB = 300.0
"""What a node may hold."""


@frozen
class TroublePlan:
    """What to do: how many troubles, some at once, for how many nodes; ``wires`` are relays, namespaces, or either."""

    cycles: int
    seed: int = 0
    nodes: int = 3
    devices: int = 60
    rate: float = 120.0
    """Requests a second."""
    at_once: int = 1
    wires: str = "either"


class NodeTroubles:
    """One run in one folder."""

    def __init__(self, plan: TroublePlan, folder: Path) -> None:
        self.plan, self.folder = plan, folder
        self._figures = TroubleFigures()
        self._began = self._told = time.monotonic()
        self._random = random.Random(plan.seed)  # noqa: S311  # the same plan again, not a secret
        self._ledger, self._waits = Ledger(plan.devices), Waits()
        self._nodes: list[Node] = []

    async def run(self) -> TroubleFigures:
        """Make all troubles, let everything come to its end, and judge.

        :raises Stuck: something that had to happen did not.
        """
        found = programs()
        if found is None:
            raise Stuck("PostgreSQL 15 or newer is not installed: apt-get install postgresql")
        try:
            with running_server(found, is_safe=True) as server:
                async with self._wired(server) as wires:
                    await self._run(server, wires)
        finally:
            (self.folder / "troubles.log").write_text(self._ledger.told())
            (self.folder / "waits.log").write_text(self._waits.told(self._ledger.began))
            for device, story in self._ledger.stories().items():
                (self.folder / f"device{device}.log").write_text(story)
        self._figures.seconds = round(time.monotonic() - self._began, 1)
        return self._figures

    @asynccontextmanager
    async def _wired(self, server: PostgresServer) -> AsyncIterator[Wires]:
        """Lay the wires, and let the server listen on them."""
        why_not = "relays were asked for" if self.plan.wires == "relays" else why_no_namespaces()
        if why_not and self.plan.wires == "namespaces":
            raise Stuck(why_not)
        if why_not:
            sys.stderr.write(f"nodes are cut off by relays: {why_not}\n")
        self._figures.wires = "relays" if why_not else "namespaces"
        laying = relay_wires(self.plan.nodes, server.folder) if why_not else namespace_wires(self.plan.nodes)
        async with laying as wires:
            if wires.server_settings:
                rules = server.data / "pg_hba.conf"
                rules.write_text(f"{rules.read_text()}\nhost all all samenet trust\n")
                server.stop()
                server.start(*wires.server_settings)
            yield wires

    async def _run(self, server: PostgresServer, wires: Wires) -> None:
        url = await server.make_database()
        app = await self._register(url)
        name = urlsplit(url).path
        self._nodes = [self._node(number, wires.address(number), name) for number in range(self.plan.nodes)]
        balancer = Balancer(self._nodes, self._random)
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._remove)
            http = await stack.enter_async_context(aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)))
            tasks = await stack.enter_async_context(task_group())
            async with task_group() as starting:
                for node in self._nodes:
                    tasks.start_soon(node.watch, http)
                    starting.start_soon(node.start)
            around = app["remote_id"], balancer, self._ledger, self._waits, tasks
            devices = [
                Device(
                    number, *around, moves=number % 2 == 1, keys=SubscriptionKeys.generate() if number % 4 < 2 else None
                )
                for number in range(self.plan.devices)
            ]
            for device in devices:
                tasks.start_soon(device.run)
            await wait_until(lambda: all(device.lacks is None for device in devices), "devices got no channels")
            sender = Sender(http, app | {"token_url": f"{self._nodes[0].address.url}/accesstoken.srf"})
            await sender.sign_in()
            senders = Senders(
                *(http, balancer, self._ledger, self._waits, devices, self.plan.rate, self._random), token=sender.token
            )
            troubles = Troubles(self._nodes, server, wires, devices, self._ledger, self._waits, self._random)
            await self._trouble(senders, troubles)
            self._figures.cycles = troubles.done
            await self._settle(senders, devices, server, name.strip("/"))
            for node in self._nodes:
                await node.leave()
            tasks.cancel_scope.cancel()
        self._sum_up()

    async def _register(self, url: str) -> dict[str, str]:
        verb = ("app", "add", APP, "--state", str(self.folder / "operator"), "--engine", url, "--json")
        code, output, errors = await anyio.to_thread.run_sync(partial(call, *verb))
        if code != 0:
            raise Stuck(errors)
        app: dict[str, str] = json.loads(output)
        return app

    def _node(self, number: int, address: Address, database: str) -> Node:
        command = ["--state", str(self.folder / f"node{number}"), "--engine", f"{address.database}{database}"]
        command += ["--host", address.host, "--port", str(address.port), "--public-url", "http://balancer.example"]
        command += ["--log-level", "warning", "--page", "false"]
        command += ["--insecure"] if address.namespace else []
        for limit in ("channel", "app", "address", "grant"):
            command += [f"--{limit}-rate", "0"]
        if self.plan.nodes > 1:
            command += ["--link", address.link_at, "--link-address", address.link]
        log = self.folder / f"node{number}.log"
        process = Victim(f"node {number}", serve_node, (address.namespace, log, tuple(command)))
        return Node(number, address, log, process)

    async def _remove(self) -> None:
        with anyio.CancelScope(shield=True):  # bounded by PATIENCE
            for node in self._nodes:
                await node.process.remove()

    # The troubles

    async def _trouble(self, senders: Senders, troubles: Troubles) -> None:
        async with task_group() as tasks:
            tasks.start_soon(senders.run)
            tasks.start_soon(self._watch, troubles)
            await anyio.sleep(1)
            await troubles.run(self.plan.cycles, self.plan.at_once)
            for node in self._nodes:
                await node.ready()
            await anyio.sleep(1)
            senders.stopping = True
            tasks.cancel_scope.deadline = anyio.current_time() + PATIENCE
            with within(PATIENCE, "the requests under way were not answered"):
                while senders.under_way:  # noqa: ASYNC110  # requests end at any moment
                    await anyio.sleep(0.05)
            tasks.cancel_scope.cancel()

    async def _watch(self, troubles: Troubles) -> None:
        """Say how far it is, weigh the nodes, and see that something is received."""
        received, at = 0, time.monotonic()
        while True:
            await anyio.sleep(EVERY / 5)
            for node in self._nodes:
                node.weigh()
            now = time.monotonic()
            if self._ledger.received > received:
                received, at = self._ledger.received, now
            if now - at > STILL:
                raise Stuck(f"nothing was received for {STILL:g} s: {self._ledger.answers.most_common(5)}")
            if now - self._told >= EVERY:
                self._told = now
                sys.stderr.write(
                    f"{troubles.done.total()} of {self.plan.cycles} troubles, {now - self._began:.0f} s,"
                    f" {received} received, {self._ledger.handled} handled, {len(self._ledger.violations)} violations\n"
                )

    # The end

    async def _settle(self, senders: Senders, devices: list[Device], server: PostgresServer, database: str) -> None:
        """Send to each device once more in all ways that wait, until it is received; then all has to come."""
        for device in devices:
            device.stays = True
        async with task_group() as tasks:
            for device in devices:
                tasks.start_soon(self._last, senders, device)
        try:
            await wait_until(lambda: not self._ledger.missing(), "something did not come")
        except Stuck:
            self._ledger.judge()
            return
        try:
            with within(PATIENCE, "what has come was not erased"):
                while await server.execute(database, "SELECT 1 FROM tocsin.stored LIMIT 1"):  # noqa: ASYNC110  # devices say so
                    await anyio.sleep(0.2)
        except Stuck as stuck:
            rows = await server.execute(database, "SELECT count(*) FROM tocsin.stored")
            self._ledger.complain(f"{stuck}: {rows}")

    async def _last(self, senders: Senders, device: Device) -> None:
        with within(PATIENCE, f"device {device.number} could not be sent to"):
            while not await senders.send_raw(device):  # noqa: ASYNC110  # as a sender tries again
                await anyio.sleep(0.2)
            for tag in TAGS:
                while not await senders.send_toast(device, tag):  # noqa: ASYNC110  # as above
                    await anyio.sleep(0.2)
            for topic in TOPICS if device.subscription else ():
                while not await senders.send_message(device, topic):  # noqa: ASYNC110  # as above
                    await anyio.sleep(0.2)

    def _sum_up(self) -> None:
        figures, ledger = self._figures, self._ledger
        figures.received, figures.messages = ledger.received, ledger.messages
        figures.handled, figures.twice_on_the_wire = ledger.handled, ledger.again
        figures.answers = dict(ledger.answers.most_common())
        figures.served_again = spreads(self._waits.over)
        for node in self._nodes:
            figures.resident_mib[node.name] = round(node.most, 1)
            figures.starts_in_vain += node.starts_in_vain
            if node.most > MOST_MIB:
                ledger.complain(f"{node.name} has held {node.most:.0f} MiB")
            for line in node.log.read_text().splitlines():
                if "Traceback" in line:
                    ledger.complain(f"{node.name} has logged: {line}")
        figures.violations = ledger.violations
