"""Watches whether the agent is of use to any app, and tells when it has been of none for long enough."""

from __future__ import annotations

import anyio

from tocsin.actors.topology import Platform
from tocsin.protocol.platform.idleness import Idleness

LOOK_EVERY = 600.0
"""Seconds after which it is looked again while no session is open: a channel may end, or be revoked, without one.
Each look wakes the machine, and nothing depends on how soon an agent ends that is of no use."""


async def idle(platform: Platform, patience: float) -> None:
    """Return when there was no session, no channel, no trigger and no toast to be clicked for so many seconds."""
    clock, sessions, idleness = platform.kernel.clock, platform.sessions, Idleness(patience)
    while True:
        arrivals, before = sessions.arrivals, sessions.names()
        holds = await platform.holds_anything()
        if (sessions.arrivals, sessions.names()) != (arrivals, before):
            continue  # what a session has registered meanwhile, also one that has left, may not be in what was read
        there = len(sessions.names()) + sessions.expected
        idleness.note(clock.monotonic(), sessions=there, arrivals=arrivals, holds=holds)
        if idleness.is_over(clock.monotonic()):
            return
        pause = idleness.wait(clock.monotonic())
        with anyio.move_on_after(LOOK_EVERY if pause is None else pause):
            await sessions.changed.wait()
