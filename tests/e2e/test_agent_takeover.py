"""An agent that takes the place of another: nothing is lost, and nothing is done twice."""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.agents import Agent, running_agent, start_agent
from tests.processes import PATIENCE
from tocsin.agent.takeover import take_over
from tocsin.protocol.errors import PlatformUnavailable, StateUnavailable
from tocsin.transport.control_socket import serving_control

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the agent runs on POSIX systems")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Processes and sockets: on asyncio."""
    return "asyncio"


@pytest.fixture
def agent(tmp_path: Path) -> Iterator[Agent]:
    """Run an agent that is to be replaced."""
    with running_agent(tmp_path) as found:
        yield found


async def test_the_next_agent_goes_on_with_apps_and_payloads(agent: Agent) -> None:
    """What the app has in hand, what waits and what is pushed afterwards is handled once; the process lives on."""
    bodies = [b"in hand", b"waits", b"waits, too"]
    async with agent.app("mail", "--work", "0.3", "--stays", "30"):
        await agent.push("mail", *bodies)
        journal = agent.journal("mail")
        await journal.wait_for("began")
        following = start_agent(agent.folder, "--replace")
        try:
            assert agent.process.wait(PATIENCE) == 0
            assert "another agent takes over" in agent.said
            await following.push("mail", b"afterwards")
            await journal.wait_for("done", 4)
            assert sorted(journal.payloads()) == sorted([*bodies, b"afterwards"])
            assert len({each["pid"] for each in journal.events("began")}) == 1
            assert await following.dead_letters("mail") == []
        finally:
            following.stop()


async def test_an_agent_that_could_not_read_what_is_there_leaves_the_running_one(agent: Agent) -> None:
    """The state is of a newer version: it is refused in words before anything is asked of the agent that runs."""
    with closing(sqlite3.connect(agent.state / "platform.db")) as database:
        database.execute("PRAGMA user_version = 99")
    with pytest.raises(StateUnavailable, match=r"was written by a newer Tocsin \(schema 99"):
        await take_over(agent.state)
    assert agent.process.poll() is None


async def test_only_an_agent_is_replaced(tmp_path: Path) -> None:
    """A push service on the folder goes on, and where nothing runs there is nothing to do."""
    assert await take_over(tmp_path) is None

    async def answer(_: dict[str, Any]) -> dict[str, Any]:
        return {"status": "ok"}

    async with serving_control(tmp_path, answer, "service"):
        with pytest.raises(PlatformUnavailable, match="is no agent"):
            await take_over(tmp_path)
