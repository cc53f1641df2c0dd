"""The troubles: what is done to the nodes and to PostgreSQL, at moments that chance chooses."""

from __future__ import annotations

import random
import signal
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

import anyio
from attrs import define, field

from tests.e2e.crash.victims import PATIENCE, within
from tests.e2e.node_troubles.devices import Device
from tests.e2e.node_troubles.ledger import Ledger
from tests.e2e.node_troubles.node import Node
from tests.e2e.node_troubles.waits import DATABASE, DATABASE_AWAY, KILLED, NOT_SENT, Waits
from tests.e2e.node_troubles.wires import Wires
from tests.persistence.postgres_server import PostgresServer
from tocsin.tasks import task_group

LEASE = 3.0
"""Seconds of a node's lease."""

AT_THE_START = 0.2
"""In how many of the kills what was started is killed once more, whether it is ready or not."""

REST = 0.6
"""Seconds between two troubles, at most."""


@define(eq=False)
class Troubles:
    """Makes so many of them, some at a time, never two for the same node."""

    nodes: list[Node]
    server: PostgresServer
    wires: Wires
    devices: list[Device]
    ledger: Ledger
    waits: Waits
    chance: random.Random
    done: Counter[str] = field(factory=Counter)
    _begun: int = 0
    _busy: set[object] = field(factory=set)

    async def run(self, cycles: int, at_once: int) -> None:
        """Make so many troubles, so many at a time."""

        async def hand() -> None:
            while self._begun < cycles:
                self._begun += 1
                await anyio.sleep(self.chance.uniform(0, REST))
                await self._make()

        async with task_group() as tasks:
            for _ in range(at_once):
                tasks.start_soon(hand)

    async def _make(self) -> None:
        ways: dict[Callable[[Node], Awaitable[None]], int] = {
            self._kill: 8,
            self._stop: 4,
            self._cut: 4,
            self._leave: 2,
            self._end_server: 2,
        }
        way = self.chance.choices(list(ways), list(ways.values()))[0]
        if way == self._end_server and self.server in self._busy:
            way = self._kill
        node = self.chance.choice([node for node in self.nodes if node not in self._busy])
        thing: object = self.server if way == self._end_server else node
        self._busy.add(thing)
        try:
            await way(node)
        finally:
            self._busy.discard(thing)

    @contextmanager
    def _trouble(self, kind: str, text: str) -> Iterator[None]:
        """Let there be a trouble while the block runs."""
        self.done[kind] += 1
        self._told(text)
        self.waits.begin(kind)
        try:
            yield
        finally:
            self.waits.end(kind)

    def _told(self, text: str) -> None:
        self.ledger.trouble(text)

    def _at(self, node: Node) -> list[int]:
        """Return the devices that are at a node."""
        return [device.number for device in self.devices if device.node is node]

    async def _kill(self, node: Node) -> None:
        """Kill a node, and start it anew after a while."""
        with self._trouble(KILLED, f"{node.name} killed"):
            self.waits.wait(KILLED, self._at(node))
            await node.kill()
            await anyio.sleep(self.chance.uniform(0, 1.5))
            if self.chance.random() < AT_THE_START:
                self.done["killed while it started"] += 1
                await node.kill_while_it_starts(self.chance.uniform(0, 1.5))
            await node.start()
            self._told(f"{node.name} there again")

    async def _leave(self, node: Node) -> None:
        """Let a node end in order, and start it anew."""
        kind = "ended in order"
        with self._trouble(kind, f"{node.name} told to end"):
            self.waits.wait(kind, self._at(node))
            await node.leave()
            self._told(f"{node.name} ended")
            await node.start()
            self._told(f"{node.name} there again")

    async def _stop(self, node: Node) -> None:
        """Let a node stand still, mostly for longer than its lease."""
        seconds = self.chance.choice([self.chance.uniform(0.5, LEASE), *2 * [self.chance.uniform(LEASE, LEASE + 2.5)]])
        kind = "stood still past its lease" if seconds > LEASE else "stood still"
        with self._trouble(kind, f"{node.name} stands still for {seconds:.1f} s"):
            there = self._begin(node, kind)
            node.signal(signal.SIGSTOP)
            await anyio.sleep(seconds)
            node.signal(signal.SIGCONT)
            self._told(f"{node.name} goes on")
            self._over(node, kind, there)
            await node.ready()

    async def _cut(self, node: Node) -> None:
        """Cut a node off, and let it be there again."""
        cut = self.chance.choice(self.wires.cuts)
        seconds, abrupt = self.chance.uniform(0.5, LEASE + 2.5), self.chance.random() < 0.3
        kind = f"cut off: {cut.name.lower()}"
        with self._trouble(kind, f"{node.name} {kind} for {seconds:.1f} s{', abruptly' if abrupt else ''}"):
            there = self._begin(node, kind)
            await self.wires.cut(node.number, cut, abrupt=abrupt)
            await anyio.sleep(seconds)
            await self.wires.heal(node.number)
            self._told(f"{node.name} reached again")
            self._over(node, kind, there)
            await node.ready()

    def _begin(self, node: Node, kind: str) -> list[int]:
        """Return the devices that are at a node; those that leave it wait from now on."""
        node.trouble = kind, self.waits.clock()
        return self._at(node)

    def _over(self, node: Node, kind: str, there: list[int]) -> None:
        """Let those wait that were at a node all the time."""
        node.trouble = None
        self.waits.wait(kind, set(there).intersection(self._at(node)))

    def _spend(self, on: str) -> None:
        """Note what the time has gone into for those that are at a node, and wait."""
        for device in self.devices:
            if device.node is not None:
                self.waits.spend(device.number, on)

    async def _end_server(self, node: Node) -> None:
        """End PostgreSQL, in one of several ways, and start it anew."""
        del node
        way = self.chance.choice(["killed", "stopped at once", "restarted in order"])
        kind = f"{DATABASE} {way}"
        with self._trouble(kind, kind):
            self._spend(NOT_SENT)
            if way == "killed":
                self.server.kill()
            else:
                self.server.stop(signal.SIGQUIT if way == "stopped at once" else signal.SIGINT)
            await anyio.sleep(self.chance.choice([0.0, self.chance.uniform(0, 2), self.chance.uniform(0, LEASE + 2)]))
            self.server.launch(*self.wires.server_settings)
            with within(PATIENCE, "PostgreSQL was not ready"):
                while not self.server.is_ready():  # noqa: ASYNC110  # a file says so
                    await anyio.sleep(0.02)
            self._told("PostgreSQL there again")
            self._spend(DATABASE_AWAY)
            self.waits.wait(kind, [device.number for device in self.devices if device.node is not None])
