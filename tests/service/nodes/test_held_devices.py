"""The devices of a node as its lease acts on them: who is let in, who is held, and how fast they are sent away."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import cast

import pytest
from attrs import Factory, define, field

from tests.service.nodes.test_lease_keeper import on_virtual_time
from tocsin.service.devices.devices import Devices
from tocsin.service.devices.parting import Parting
from tocsin.service.nodes.held_devices import ELSEWHERE, LATER, HeldDevices
from tocsin.service.nodes.shared_queues import SharedQueues


@define(eq=False)
class PlayedDevices:
    """Devices, to some of which something is on its way."""

    idle: int
    busy: int = 0
    turn_away: Parting | None = None
    parted: list[tuple[float, int, Parting]] = Factory(list)

    def count(self) -> int:
        """Count both."""
        return self.idle + self.busy

    def part_with(self, most: int | None, parting: Parting) -> int:
        """Part with so many of those that are idle, or with all."""
        if most is None:
            gone, self.idle, self.busy = self.count(), 0, 0
        else:
            gone = min(most, self.idle)
            self.idle -= gone
        if gone:
            self.parted.append((asyncio.get_running_loop().time(), gone, parting))
        return gone


@define(eq=False)
class PlayedQueues:
    """Queues that keep what they were told."""

    told: list[str] = Factory(list)

    def hold(self) -> None:
        """Keep it."""
        self.told.append("hold")

    def reclaim(self) -> None:
        """Keep it."""
        self.told.append("reclaim")

    def stale(self, devices: Iterable[str]) -> None:
        """Keep which."""
        self.told.append(f"stale {' '.join(devices)}")


@define(eq=False)
class World:
    """What is held, and by what it is seen."""

    devices: PlayedDevices
    longest: float = 5.0
    queues: PlayedQueues = Factory(PlayedQueues)
    held: HeldDevices = field(init=False)

    def __attrs_post_init__(self) -> None:
        """Hold them."""
        self.held = HeldDevices(self.longest)
        self.held.give(cast("Devices", self.devices), cast("SharedQueues", self.queues))


def test_none_is_let_in_without_a_lease() -> None:
    """Neither before the first, nor after the last; what is said depends on whether others serve."""
    held = HeldDevices(5.0)
    held.hold()
    held.reclaim()
    held.stale(["device"])
    held.close_devices()
    assert held.connected() == 0
    world = World(PlayedDevices(3))
    assert world.devices.turn_away is LATER
    world.held.open()
    assert world.devices.turn_away is None
    world.held.hold()
    assert world.devices.turn_away is LATER
    world.held.stale(["one", "other"])
    world.held.reclaim()
    assert world.queues.told == ["hold", "stale one other", "reclaim"]
    assert world.held.connected() == 3


@pytest.mark.parametrize("count", [1, 7, 4_000])
def test_devices_are_sent_away_over_some_seconds(count: int) -> None:
    """As fast as the other nodes are to get them, and at the most as long as the node waits."""

    async def check() -> None:
        world = World(PlayedDevices(count))
        world.held.open()
        world.held.send_away(others=2)
        assert world.devices.turn_away is ELSEWHERE
        await asyncio.sleep(6.0)
        assert sum(gone for _, gone, _ in world.devices.parted) == count
        assert {parting for *_, parting in world.devices.parted} == {ELSEWHERE}
        last = max(1.0, count / 1_000)
        assert max(at for at, *_ in world.devices.parted) == pytest.approx(last, abs=0.1)
        assert max(gone for _, gone, _ in world.devices.parted) <= max(count / 10, 1)

    on_virtual_time(check)


def test_those_to_which_something_is_on_its_way_are_waited_for() -> None:
    """Until the time is over."""

    async def check() -> None:
        world = World(PlayedDevices(10, busy=5))
        world.held.open()
        world.held.send_away(others=1)
        await asyncio.sleep(0.95)
        assert (world.devices.idle, world.devices.busy) == (0, 5)
        await asyncio.sleep(0.1)
        assert world.devices.count() == 0

    on_virtual_time(check)


def test_a_node_alone_does_not_wait() -> None:
    """There is no other that would get them too fast."""

    async def check() -> None:
        world = World(PlayedDevices(10, busy=5))
        world.held.open()
        world.held.send_away(others=0)
        assert [(gone, parting) for _, gone, parting in world.devices.parted] == [(15, ELSEWHERE)]

    on_virtual_time(check)


def test_one_that_is_cut_off_says_that_another_may_serve() -> None:
    """And one whose time is over stops sending them away by and by."""

    async def check() -> None:
        world = World(PlayedDevices(10))
        world.held.open()
        world.held.send_away(others=1)
        await asyncio.sleep(0.5)
        world.held.hold()
        world.held.close_devices()
        await asyncio.sleep(2.0)
        assert world.devices.parted[-1][0] == 0.5
        assert world.devices.parted[-1][2] is LATER
        assert world.devices.count() == 0

    on_virtual_time(check)
