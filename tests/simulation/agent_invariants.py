"""What always holds, and what holds in the end, of an agent: its launches, its sessions, and what they report."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tocsin.protocol.platform.launches import MAX_UNCLAIMED
from tocsin.protocol.platform.launches import Phase as Launch

if TYPE_CHECKING:
    from tests.simulation.world import World

PLACELESS = {Launch.WAITING, Launch.OVERTAKEN, Launch.CLAIMED, Launch.ENDED}
"""Where a launch stands that has no place among those that have yet to claim."""


def only_who_has_a_payload_settles_it(world: World) -> None:
    """No report of another app, nor of a session of the same that does not have it, changes how a payload stands."""
    offences = world.record.offences["only_who_has_a_payload_settles_it"]
    assert not offences, offences[0]


def launches_have_places_until_they_claim(world: World) -> None:
    """No more than there are, and none of them for a process that has claimed its payload or has ended."""
    launcher = world.life.launcher
    if launcher is not None:
        assert len(launcher._unclaimed) <= MAX_UNCLAIMED, f"{len(launcher._unclaimed)} launches have places"
        wrong = [launch for launch in launcher._unclaimed if launch.phase in PLACELESS]
        assert not wrong, f"a place is kept for {wrong[0]}"


def every_launch_has_ended(world: World) -> None:
    """Its place is another's, and its process is gone."""
    launcher = world.life.launcher
    if launcher is not None:
        waiting = [each for queue in launcher._waiting.values() for each in queue]
        left = [*launcher._launches.values(), *waiting, *launcher._unclaimed]
        assert not left, f"still there: {left[0]}"


def sessions_are_those_that_live(world: World) -> None:
    """One of each process that has not ended, and none of those that have."""
    processes = [process.app for process in world.sim.processes.living]
    sessions = sorted(world.life.platform.sessions._apps.values())
    assert sessions == sorted([*world.sim.apps, *processes]), f"{processes} live, and there are sessions of {sessions}"
