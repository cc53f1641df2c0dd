"""A node's lease kept over a store that fails, hangs and comes back, on virtual time; beside other nodes."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from attrs import Factory, define, field

from tests.persistence.virtual_loop import VirtualLoop
from tests.service.nodes.memory_node_store import MemoryNodeStore
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.nodes.lease import Others, Phase
from tocsin.protocol.service.nodes.lease_row import Joining
from tocsin.repeat_log import RepeatLog
from tocsin.service.nodes.lease_keeper import LeaseKeeper
from tocsin.service.nodes.node_links import NodePlace

LENGTH = 3.0


def on_virtual_time(test: Callable[[], Awaitable[None]]) -> None:
    """Run a test in which waiting takes no time."""

    async def run() -> None:
        await test()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(run())


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something is so that no event tells of."""
    while not holds():  # noqa: ASYNC110  # as said
        await asyncio.sleep(0.01)


@define(eq=False)
class PlayedHeld:
    """Devices that keep what was done to them."""

    devices: int = 0
    done: list[str] = Factory(list)

    def open(self) -> None:
        """Note it."""
        self.done.append("open")

    def hold(self) -> None:
        """Note it."""
        self.done.append("hold")

    def reclaim(self) -> None:
        """Note it."""
        self.done.append("reclaim")

    def stale(self, devices: Iterable[str]) -> None:
        """Note which."""
        self.done.append(f"stale {' '.join(devices)}")

    def close_devices(self) -> None:
        """Close all."""
        self.done.append("close")
        self.devices = 0

    def send_away(self, others: int) -> None:
        """Note to how many."""
        self.done.append(f"send away to {others}")

    def connected(self) -> int:
        """Count them."""
        return self.devices


@define(eq=False)
class PlayedPeers:
    """Other nodes, of which this is heard."""

    say: Others = Others.NONE
    asked: list[str] = Factory(list)
    dropped: list[str] = Factory(list)

    def ask(self, places: Iterable[NodePlace]) -> Others:
        """Answer."""
        self.asked += [each.node for each in places]
        return self.say if self.asked else Others.NONE

    def drop(self, node: str) -> None:
        """Note it."""
        self.dropped.append(node)


@define(eq=False)
class Played:
    """A node of which only the lease is real."""

    keeper: LeaseKeeper
    held: PlayedHeld
    peers: PlayedPeers


@define(eq=False)
class Service:
    """What nodes share, and how far their clocks are ahead of the loop's."""

    ahead: float = 0.0
    store: MemoryNodeStore = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Share a store by the database's clock."""
        self.store = MemoryNodeStore(lambda: asyncio.get_running_loop().time(), LENGTH)

    @asynccontextmanager
    async def node(self, name: str, run: str = "", store: Any = None) -> AsyncIterator[Played]:
        """Let a node run."""
        held, peers, loop = PlayedHeld(), PlayedPeers(), asyncio.get_running_loop()
        asked = Joining(name, run or name, f"{name}:1", "1.0")
        clock = lambda: loop.time() + self.ahead  # noqa: E731  # as late as the loop is
        keeper = LeaseKeeper(store or self.store, asked, held, RepeatLog(loop.time), clock=clock, chance=lambda: 0.5)
        async with keeper.running(peers, 5.0):
            yield Played(keeper, held, peers)


def test_a_lease_is_kept_and_given_back() -> None:
    """For as long as the node runs; then others know at once."""

    async def check() -> None:
        service = Service()
        async with service.node("a") as node:
            for _ in range(50):
                await asyncio.sleep(1.0)
                assert node.keeper.is_good()
                assert node.keeper.cause is None
            number = node.keeper.lease
            assert (number, node.keeper.lapsed, node.held.done) == (1, 0, ["open"])
            assert node.keeper.renewed > 40
        assert not service.store.is_good(number)
        assert node.keeper.phase is Phase.LEFT
        assert node.held.done[-2:] == ["close", "hold"]

    on_virtual_time(check)


def test_nodes_know_each_other() -> None:
    """Which there are, where they are, and which of them does what one does for all; also of one that has gone."""

    async def check() -> None:
        service = Service()
        async with service.node("a") as one:
            async with service.node("b") as other:
                await asyncio.sleep(2.0)
                assert [each.node for each in one.keeper.others()] == ["b"]
                (seen,) = other.keeper.others()
                assert (seen.number, NodePlace.of(seen)) == (one.keeper.lease, NodePlace("a", "a:1"))
                assert (one.keeper.leads(), other.keeper.leads()) == (True, False)
            await asyncio.sleep(2.0)
            assert (one.keeper.others(), one.peers.dropped) == ((), ["b"])

    on_virtual_time(check)


def test_wakes_are_read_before_a_lease_goes_on_and_then_erased() -> None:
    """Once the node has said with the next renewal that it has read them."""

    async def check() -> None:
        service = Service()
        async with service.node("a") as node, service.node("b") as other:
            home = (await service.store.connect("device", node.keeper.lease)).row.home  # type: ignore[union-attr]
            assert home is not None
            await service.store.connect("device", other.keeper.lease)
            assert service.store.wakes[node.keeper.lease]
            await asyncio.sleep(1.1)
            assert node.held.done == ["open", "stale device"]
            await asyncio.sleep(1.1)
            assert not service.store.wakes[node.keeper.lease]
            assert (node.keeper.wakes, node.held.done) == (1, ["open", "stale device"])

    on_virtual_time(check)


def test_a_node_stops_before_its_lease_is_over_and_goes_on_under_the_next() -> None:
    """While the database is gone it holds what it has; then all is written down anew."""

    async def check() -> None:
        service = Service()
        async with service.node("a") as node:
            await asyncio.sleep(10.0)
            node.held.devices = 3
            service.store.gone = True
            first = node.keeper.lease
            while node.keeper.is_good():
                assert service.store.is_good(first)
                await asyncio.sleep(0.01)
            assert service.store.is_good(first)
            await asyncio.sleep(0.2)
            assert node.held.done == ["open", "hold"]
            assert node.keeper.cause == ("the node has lost its lease, and asks for another: the database is gone")
            await asyncio.sleep(60.0)
            service.store.gone = False
            await asyncio.sleep(1.1)
            assert node.keeper.is_good()
            assert node.keeper.lease != first
            assert node.held.done == ["open", "hold", "reclaim", "open"]
            assert (node.keeper.lapsed, node.held.devices) == (1, 3)

    on_virtual_time(check)


@pytest.mark.parametrize(
    ("say", "least", "most"), [(Others.SERVE, 1.1, 1.5), (Others.SILENT, 0.0, 0.4), (Others.NONE, 89.9, 90.3)]
)
def test_devices_are_closed_where_only_this_node_is_cut_off(say: Others, least: float, most: float) -> None:
    """Another serves then, or none is reached; where one is, and none serves, they are held for a minute and a half."""

    async def check() -> None:
        service = Service()
        async with service.node("b"), service.node("a") as node:
            await asyncio.sleep(2.0)
            node.held.devices, node.peers.say = 3, say
            service.store.gone = True
            await until(lambda: not node.keeper.is_good())
            began = asyncio.get_running_loop().time()
            await until(lambda: not node.held.devices)
            assert least <= asyncio.get_running_loop().time() - began < most
            assert set(node.peers.asked) == {"b"}

    on_virtual_time(check)


def test_one_that_drains_is_not_asked() -> None:
    """Devices do no better there."""

    async def check() -> None:
        service = Service()
        async with service.node("b") as other, service.node("a") as node:
            other.held.devices = 1
            draining = asyncio.ensure_future(other.keeper.drain())
            await asyncio.sleep(2.0)
            node.held.devices, node.peers.say = 3, Others.SERVE
            service.store.gone = True
            await until(lambda: not node.keeper.is_good())
            await asyncio.sleep(5.0)
            assert (node.held.devices, node.peers.asked) == (3, [])
            draining.cancel()

    on_virtual_time(check)


def test_a_process_that_stood_still_does_not_act() -> None:
    """It is asked of each post, before any alarm has rung; it holds, and has another lease soon."""

    async def check() -> None:
        service = Service()
        async with service.node("a") as node:
            await asyncio.sleep(0.5)
            service.ahead = 100.0
            assert not node.keeper.is_good()
            assert node.keeper.cause == "the node has lost its lease, and asks for another"
            await asyncio.sleep(1.5)
            assert node.held.done == ["open", "hold", "reclaim", "open"]
            assert node.keeper.is_good()

    on_virtual_time(check)


@define(eq=False)
class Hanging:
    """A store that does not answer while it hangs."""

    store: MemoryNodeStore
    hangs: bool = False
    asked: int = 0
    at_once: int = 0
    most: int = 0

    def __getattr__(self, name: str) -> Any:
        """Wait before each question."""

        async def ask(*arguments: Any, **keywords: Any) -> Any:
            self.asked += 1
            self.at_once += 1
            self.most = max(self.most, self.at_once)
            try:
                if self.hangs:
                    await anyio.sleep_forever()
                return await getattr(self.store, name)(*arguments, **keywords)
            finally:
                self.at_once -= 1

        return ask


def test_a_question_that_is_not_answered_is_given_up() -> None:
    """After a third of a lease; there is never more than one on its way."""

    async def check() -> None:
        service = Service()
        hanging = Hanging(service.store)
        async with service.node("a", store=hanging) as node:
            await asyncio.sleep(0.9)
            hanging.hangs, hanging.asked = True, 0
            await asyncio.sleep(30.0)
            assert 15 < hanging.asked < 30
            assert node.keeper.cause == (
                "the node has lost its lease, and asks for another: the database has not answered in time"
            )
            hanging.hangs = False
            await asyncio.sleep(2.1)
            assert node.keeper.is_good()
            assert hanging.most == 1

    on_virtual_time(check)


def test_one_that_gets_no_lease_does_not_start() -> None:
    """It says why."""

    async def check() -> None:
        service = Service()
        service.store.gone = True
        with pytest.raises(StateUnavailable, match="has got no lease within 5 s: the database is gone"):
            async with service.node("a"):
                pass

    on_virtual_time(check)


def test_two_of_one_name_do_not_both_go_on() -> None:
    """The one that came first ends, and says why: its folder was copied."""

    async def check() -> None:
        service = Service()
        goes_on = list[bool]()

        async def first() -> None:
            async with service.node("a") as node, service.node("a", "second") as second:
                node.held.devices = 3
                try:
                    await asyncio.sleep(2.0)
                finally:
                    goes_on.append(second.keeper.is_good())
                    assert node.held.done == ["open", "hold", "close"]

        with pytest.raises(StateUnavailable, match="another process has joined in the name of the node a: no two"):
            await first()
        assert goes_on == [True]

    on_virtual_time(check)


def test_a_node_that_drains_serves_until_its_devices_have_gone() -> None:
    """The others are told with its next renewal, and how many of them take devices it knows."""

    async def check() -> None:
        service = Service()
        async with service.node("a") as node, service.node("b") as other:
            await asyncio.sleep(2.0)
            node.held.devices = 2
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(node.keeper.drain)
                await asyncio.sleep(2.0)
                assert node.held.done == ["open", "send away to 1"]
                assert [each.draining for each in other.keeper.others()] == [True]
                assert node.keeper.is_good()
                assert node.keeper.cause == "the node sends its devices to others, and leaves"
                node.held.devices = 0
            assert node.keeper.is_good()  # for those that are answered still

    on_virtual_time(check)


def test_what_is_told_again_and_again_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """A lease that is lost every few seconds fills no log."""

    async def check() -> None:
        service = Service()
        async with service.node("a"):
            for _ in range(5):
                service.ahead += 100.0
                await asyncio.sleep(2.5)

    caplog.set_level(logging.WARNING)
    on_virtual_time(check)
    assert [record.getMessage() for record in caplog.records] == ["the node has lost its lease, and acts for no device"]


def test_what_becomes_of_the_lease_is_told(caplog: pytest.LogCaptureFixture) -> None:
    """Where the node is for others, that it has lost its lease and why, and that it has one again; and how old what it knows is."""

    async def check() -> None:
        service = Service()
        async with service.node("b"), service.node("a") as node:
            await asyncio.sleep(5.0)
            assert node.keeper.age < LENGTH / 2
            service.store.gone = True
            await asyncio.sleep(10.0)
            assert 9.0 < node.keeper.age < 10.0 + LENGTH / 2
            service.store.gone = False
            await asyncio.sleep(5.0)
            assert node.keeper.age < LENGTH / 2

    caplog.set_level(logging.INFO)
    on_virtual_time(check)
    said = [record.getMessage() for record in caplog.records]
    assert "node a serves beside 1 more, which reach it at a:1" in said
    lost = said.index("the node has lost its lease, and acts for no device: the database is gone")
    assert "the node has a lease again, and acts for its devices" in said[lost:]
