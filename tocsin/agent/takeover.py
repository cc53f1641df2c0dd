"""How an agent takes the place of the one that runs on its state folder, such as after an upgrade.

The one before ends as on SIGTERM: apps go on without it, with what they have in hand, and come back to the next one.
"""

from __future__ import annotations

import os
from pathlib import Path

import anyio

from tocsin.agent.agent_control import KIND
from tocsin.child_process import open_end
from tocsin.persistence.sqlite_store import read_sqlite
from tocsin.protocol.errors import PlatformUnavailable
from tocsin.transport.control_socket import Answer, ask

PATIENCE = 30.0
"""Seconds within which the agent before must have ended."""


async def take_over(state: Path) -> Answer | None:
    """Have the agent on a state folder end, wait until it has, and return its ``pid`` and ``version``; None where there is none.

    :raises StateUnavailable: it is newer, so that this one could not read what it has written; it goes on.
    :raises PlatformUnavailable: it has not ended in time, or what runs there is no agent.
    """
    running = await ask(state, {"verb": "status"})
    if running is None:
        return None
    if running.get("kind") != KIND:
        raise PlatformUnavailable(f"what runs on {state} is no agent, and cannot be replaced by one")
    await _check_readable(state)
    before = await ask(state, {"verb": "replace"})
    if before is not None:
        await _ended(int(before["pid"]))
    return before


async def _check_readable(state: Path) -> None:
    """See that this version reads what the running one has written, while that still runs.

    :raises StateUnavailable: it does not.
    """
    database = state / "platform.db"
    if await anyio.Path(database).exists():
        async with read_sqlite(database):
            pass


async def _ended(pid: int) -> None:
    try:
        end = open_end(pid)
    except ProcessLookupError:
        return
    try:
        with anyio.fail_after(PATIENCE):
            await anyio.wait_readable(end)
    except TimeoutError:
        raise PlatformUnavailable(
            f"the agent before (process {pid}) has not ended within {PATIENCE:g} s; its log may say why"
        ) from None
    finally:
        os.close(end)
