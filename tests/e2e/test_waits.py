"""What the run of troubles tells of the devices that waited: from when on, among which troubles, and what for."""

from __future__ import annotations

import pytest
from attrs import define

from tests.e2e.node_troubles.figures import spread, spreads
from tests.e2e.node_troubles.waits import KILLED, NOT_SENT, Wait, Waits


@define
class Clock:
    """A clock that is set."""

    now: float = 100.0

    def __call__(self) -> float:
        """Tell the time."""
        return self.now


@define
class World:
    """Devices that wait, and their clock."""

    clock: Clock
    waits: Waits

    def at(self, moment: float) -> Waits:
        """Let it be that time."""
        self.clock.now = moment
        return self.waits

    @property
    def over(self) -> Wait:
        """The only wait that is over."""
        (wait,) = self.waits.over
        return wait


@pytest.fixture
def world() -> World:
    """Let no device wait."""
    clock = Clock()
    return World(clock, Waits(clock))


def killed(world: World, moment: float, *devices: int) -> None:
    """Let the node of these devices be killed."""
    world.at(moment).begin(KILLED)
    world.waits.wait(KILLED, devices)


def test_each_moment_of_a_wait_goes_into_something(world: World) -> None:
    """The parts are the whole."""
    killed(world, 100.0, 1)
    world.at(100.1).spend(1, "until it was noticed")
    world.at(100.3).spend(1, "before the next attempt")
    world.at(102.3).spend(1, "not answered")
    world.at(102.7).spend(1, "before the next attempt")
    world.at(102.8).spend(1, "connecting")
    world.at(103.0).served(1, began=102.75)
    assert world.over.seconds == pytest.approx(3.0)
    assert world.over.spent == pytest.approx(
        {
            "until it was noticed": 0.1,
            "before the next attempt": 0.6,
            "not answered": 2.0,
            "connecting": 0.1,
            NOT_SENT: 0.2,
        }
    )
    assert not world.waits.waits_for(1)


def test_what_a_dead_node_had_sent_before_counts_for_nothing(world: World) -> None:
    """It was on its way when the node was killed."""
    killed(world, 100.0, 1)
    world.at(100.1).served(1, began=90.0)
    assert world.waits.waits_for(1)


def test_a_device_whose_next_node_is_killed_as_well_goes_on_to_wait(world: World) -> None:
    """From the first kill, and the second is told."""
    killed(world, 100.0, 1)
    killed(world, 101.0, 1)
    world.at(104.0).served(1, began=103.0)
    assert (world.over.seconds, world.over.kind, world.over.among) == (4.0, KILLED, [KILLED])


def test_a_device_that_waited_for_something_else_waits_for_a_dead_node_from_its_death(world: World) -> None:
    """What it waited for before is among the troubles, though it may be over."""
    world.at(99.0).begin("stood still")
    world.waits.wait("stood still", [1])
    world.waits.end("stood still")
    killed(world, 100.0, 1)
    world.at(101.0).served(1, began=100.5)
    assert (world.over.seconds, world.over.kind, world.over.among) == (1.0, KILLED, ["stood still"])


@pytest.mark.parametrize(
    ("others", "beside"),
    [
        ([], "nothing"),
        ([KILLED], "another dead one"),
        ([KILLED, "cut off: all"], "one that was cut off"),
        ([KILLED, "cut off: all", "stood still past its lease"], "one that stood still"),
        (["stood still", "PostgreSQL killed"], "PostgreSQL"),
    ],
)
@pytest.mark.parametrize("later", [False, True])
def test_what_else_there_was_is_told(world: World, others: list[str], beside: str, later: bool) -> None:
    """Whether it was there before or came while the device waited; what was over by then is not."""
    world.waits.begin("ended in order")
    world.waits.end("ended in order")
    if later:
        killed(world, 100.0, 1)
    for other in others:
        world.waits.begin(other)
    if not later:
        killed(world, 100.0, 1)
    world.at(101.0).served(1, began=100.5)
    assert world.over.beside == beside


def test_a_device_that_leaves_a_silent_node_waits_from_when_it_was_last_served(world: World) -> None:
    """Or from when the trouble began, if that is later; by then it has found out."""
    for device, last in ((1, 99.0), (2, 102.0)):
        world.at(last).served(device, began=90.0)
    world.at(100.0).begin("cut off: all")
    for device in (1, 2):
        world.at(103.0).leave("cut off: all", device, 100.0)
        world.waits.spend(device, "until it was noticed")
        world.at(104.0).served(device, began=103.5)
    assert [(wait.kind, wait.seconds) for wait in world.waits.over] == [
        ("cut off: all, and left", 4.0),
        ("cut off: all, and left", 2.0),
    ]


def waited(seconds: float, among: list[str] | None = None, **spent: float) -> Wait:
    """Return a wait for a dead node that is over."""
    wait = Wait(1, KILLED, 0.0, among or [], 0.0, until=seconds)
    wait.spent.update(spent)
    return wait


def test_of_the_longest_waits_it_is_told_what_they_went_into() -> None:
    """On average, of one of twenty."""
    waits = [waited(1.0, quick=1.0) for _ in range(38)]
    waits += [waited(4.0, slow=3.0, quick=1.0), waited(6.0, slow=6.0)]
    found = spread(waits)
    assert (found.count, found.p50, found.max) == (40, 1.0, 6.0)
    assert found.spent == {"slow": 4.5, "quick": 0.5}


def test_all_devices_of_dead_nodes_are_told_together_as_well() -> None:
    """Whatever else there was."""
    found = spreads([waited(1.0), waited(2.0, ["cut off: all"]), waited(9.0, ["PostgreSQL killed"])])
    assert {kind: (each.count, each.max) for kind, each in found.items()} == {
        "killed, in all": (3, 9.0),
        "killed, beside nothing": (1, 1.0),
        "killed, beside one that was cut off": (1, 2.0),
        "killed, beside PostgreSQL": (1, 9.0),
    }
