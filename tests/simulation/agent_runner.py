"""The agent around a life of the platform: its door and its launcher, as ``open_agent`` has them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING

import anyio

from tests.simulation.app_process import AGENT
from tocsin.actors.returning_processes import ReturningProcesses
from tocsin.agent.launcher import Launcher
from tocsin.agent.session_door import SessionDoor
from tocsin.repeat_log import RepeatLog

if TYPE_CHECKING:
    from tests.simulation.runner import Life, Simulation


@asynccontextmanager
async def agent_serving(sim: Simulation, life: Life) -> AsyncIterator[None]:
    """Let the processes of apps in, and launch them, as ``open_agent`` does."""
    platform, log = life.platform, RepeatLog(sim.clock.current_time)
    assert platform.launcher is not None
    launcher = life.launcher = Launcher(
        platform.launcher,
        platform.actors["supervisor"].mailbox,
        platform.sessions,
        AGENT,
        start=sim.processes.start,
        new_claim=sim.processes.new_claim,
    )
    returning = life.returning
    assert returning is not None
    life.door = SessionDoor(platform, _no_service, log, partial(_meet, returning), returning.left)
    async with anyio.create_task_group() as serving:
        life.serving = serving
        try:
            async with anyio.create_task_group() as launching:
                launching.start_soon(launcher.run)
                launching.start_soon(returning.run)
                try:
                    yield
                finally:
                    launching.cancel_scope.cancel()
        finally:
            life.serving = None
            serving.cancel_scope.cancel()
            log.close()


async def _no_service(_app: str, _family: str) -> None:
    """There is no push service of the agent's own."""


async def _meet(returning: ReturningProcesses, session: str, app: str, _pid: int) -> None:
    """All processes are this one: a launch is known by its claim."""
    returning.met(session, app, 0)
