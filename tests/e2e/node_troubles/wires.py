"""What nodes are reached over, and reach PostgreSQL and each other over, and how they are cut off: by relays, or by namespaces."""

from __future__ import annotations

import os
import shutil
import subprocess
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from enum import Enum, auto, unique
from pathlib import Path

import anyio
from attrs import define, field, frozen

from tests.e2e.crash.loop import free_port
from tests.e2e.node_troubles.relay import Relay, relay
from tests.persistence.postgres_server import USER

DATABASE_PORT = 5432


@unique
class Cut(Enum):
    """What a node is cut off from."""

    DATABASE = auto()
    NODES = auto()
    ALL_BUT_CLIENTS = auto()
    ALL = auto()


@frozen
class Address:
    """Where one node listens, and what it is told."""

    host: str
    port: int
    link: str
    """Where other nodes reach it."""
    link_at: str
    """Where it listens for them."""
    database: str
    """The database's URL, without its name."""
    namespace: str = ""
    """The network namespace in which it runs, if it is in one."""

    @property
    def url(self) -> str:
        """Where senders reach it."""
        return f"http://{self.host}:{self.port}"


class Wires(ABC):
    """The wires of one run."""

    cuts: tuple[Cut, ...]
    server_settings: tuple[str, ...] = ()
    """What PostgreSQL is started with besides."""
    client: str = "127.0.0.1"
    """The address of senders and devices."""

    @abstractmethod
    def address(self, node: int) -> Address:
        """Return where a node is."""

    @abstractmethod
    async def cut(self, node: int, cut: Cut, *, abrupt: bool) -> None:
        """Cut a node off; ``abrupt``: its connections end at once, where that can be done, else nothing comes through."""

    @abstractmethod
    async def heal(self, node: int) -> None:
        """Let all come through again."""


class RelayWires(Wires):
    """Each node reaches PostgreSQL, and is reached by other nodes, through a relay of its own; so it reaches them still."""

    cuts = (Cut.DATABASE, Cut.NODES, Cut.ALL_BUT_CLIENTS)

    def __init__(self, addresses: list[Address], databases: list[Relay], links: list[Relay]) -> None:
        self._addresses, self._databases, self._links = addresses, databases, links

    def address(self, node: int) -> Address:
        """Return where a node is."""
        return self._addresses[node]

    async def cut(self, node: int, cut: Cut, *, abrupt: bool) -> None:
        """Cut a node off."""
        relays = [] if cut is Cut.NODES else [self._databases[node]]
        relays += [] if cut is Cut.DATABASE else [self._links[node]]
        for each in relays:
            each.cut(abrupt=abrupt)

    async def heal(self, node: int) -> None:
        """Let all come through again."""
        for each in (self._databases[node], self._links[node]):
            each.heal()


@asynccontextmanager
async def relay_wires(nodes: int, server: Path) -> AsyncIterator[Wires]:
    """Make relays to the socket of a server, and to the links of so many nodes."""
    addresses, databases, links = [], [], []
    async with AsyncExitStack() as stack:
        for _ in range(nodes):
            link = free_port()
            databases.append(await stack.enter_async_context(relay(str(server / f".s.PGSQL.{DATABASE_PORT}"))))
            links.append(await stack.enter_async_context(relay(("127.0.0.1", link))))
            url = f"postgresql://{USER}@127.0.0.1:{databases[-1].port}"
            there = f"127.0.0.1:{links[-1].port}"
            addresses.append(Address("127.0.0.1", free_port(), there, f"127.0.0.1:{link}", url))
        yield RelayWires(addresses, databases, links)


@define
class NamespaceWires(Wires):
    """Each node is in a network namespace, with a cable to a bridge; what is cut off goes to a card that is not there."""

    nodes: int
    name: str = field(factory=lambda: f"t{os.getpid() % 1_000_000}")
    _subnet: str = field(factory=lambda: f"10.{200 + os.getpid() % 50}.{os.getpid() // 50 % 250}")

    cuts = (Cut.DATABASE, Cut.NODES, Cut.ALL_BUT_CLIENTS, Cut.ALL)

    def __attrs_post_init__(self) -> None:
        """Name what lies on the bridge."""
        self.client, self.server = f"{self._subnet}.1", f"{self._subnet}.2"
        self.server_settings = (f"listen_addresses={self.server}",)

    def make(self) -> None:
        """Make bridge, namespaces and cables."""
        _ip("link", "add", self.name, "type", "bridge")
        for host in (self.client, self.server):
            _ip("address", "add", f"{host}/24", "dev", self.name)
        _ip("link", "set", self.name, "up")
        for node in range(self.nodes):
            name, cable = self._named(node), f"{self.name}c{node}"
            _ip("netns", "add", name)
            _ip("link", "add", cable, "type", "veth", "peer", "name", "eth0", "netns", name)
            _ip("link", "set", cable, "master", self.name, "up")
            _ip("-n", name, "address", "add", f"{self._host(node)}/24", "dev", "eth0")
            _ip("-n", name, "link", "set", "eth0", "up")
            _ip("-n", name, "link", "set", "lo", "up")

    def remove(self) -> None:
        """Remove what was made."""
        for words in [
            *(("netns", "delete", self._named(node)) for node in range(self.nodes)),
            ("link", "delete", self.name),
        ]:
            _ip(*words, check=False)

    def address(self, node: int) -> Address:
        """Return where a node is."""
        host = self._host(node)
        url = f"postgresql://{USER}@{self.server}:{DATABASE_PORT}"
        return Address(host, 8080, f"{host}:8081", f"{host}:8081", url, self._named(node))

    async def cut(self, node: int, cut: Cut, *, abrupt: bool) -> None:
        """Let what the node sends go nowhere."""
        del abrupt
        others = [self._host(other) for other in range(self.nodes) if other != node]
        hosts = [] if cut is Cut.NODES else [self.server]
        hosts += [] if cut is Cut.DATABASE else others
        hosts += [self.client] if cut is Cut.ALL else []
        for host in hosts:
            words = ("neighbour", "replace", host, "lladdr", "02:00:00:00:00:01", "dev", "eth0", "nud", "permanent")
            await anyio.to_thread.run_sync(_ip, "-n", self._named(node), *words)

    async def heal(self, node: int) -> None:
        """Forget the cards that are not there."""
        await anyio.to_thread.run_sync(
            _ip, "-n", self._named(node), "neighbour", "flush", "nud", "permanent", "dev", "eth0"
        )

    def _named(self, node: int) -> str:
        return f"{self.name}n{node}"

    def _host(self, node: int) -> str:
        return f"{self._subnet}.{11 + node}"


@asynccontextmanager
async def namespace_wires(nodes: int) -> AsyncIterator[Wires]:
    """Make namespaces for so many nodes."""
    wires = NamespaceWires(nodes)
    try:
        wires.make()
        yield wires
    finally:
        wires.remove()


def why_no_namespaces() -> str:
    """Say why there can be no namespaces here; empty where there can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "only root makes network namespaces"
    if not shutil.which("ip"):
        return "ip is not installed: apt-get install iproute2"
    wires = NamespaceWires(1)
    try:
        wires.make()
    except subprocess.CalledProcessError as failure:
        return f"no network namespace can be made here: {failure.stderr.strip()}"
    finally:
        wires.remove()
    return ""


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True, text=True)  # noqa: S603, S607  # of the system
