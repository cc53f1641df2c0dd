"""A real agent, real apps that it starts, and pushes over real HTTP."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define

from tests.processes import Listening, Sender, run, running, sender

APP = Path(__file__).parent / "agent_app.py"
PATIENCE = 20.0


@pytest.fixture
def anyio_backend() -> str:
    """Real processes: on asyncio."""
    return "asyncio"


@define
class Ground:
    """A folder with an agent's state and socket, and the journal of an app."""

    folder: Path

    @property
    def journal(self) -> Path:
        """Where the app writes."""
        return self.folder / "journal"

    def agent(self) -> Any:
        """Run an agent while the block runs."""
        return running("agent", "--json", "--state", str(self.folder / "state"), "--socket", str(self.folder / "s"))

    async def run_app(self, mode: str) -> dict[str, Any]:
        """Run the app as a person does, and return how to push to it."""
        env = os.environ | {"TOCSIN_SOCKET": str(self.folder / "s"), "PYTHONPATH": str(Path.cwd())}
        with anyio.fail_after(PATIENCE):
            done = await anyio.run_process([sys.executable, str(APP), str(self.journal), mode], env=env, check=False)
        assert done.returncode == 0, done.stderr.decode()
        (ready,) = [line for line in self.lines() if line["step"] == "ready"]
        return ready

    def lines(self) -> list[dict[str, Any]]:
        """Return what the app has written so far."""
        text = self.journal.read_text(encoding="utf-8") if self.journal.exists() else ""
        return [json.loads(line) for line in text.splitlines()]

    def steps(self, step: str) -> list[dict[str, Any]]:
        """Return the lines of one step."""
        return [line for line in self.lines() if line["step"] == step]

    async def until(self, step: str, count: int) -> list[dict[str, Any]]:
        """Wait until there are so many lines of a step."""
        with anyio.fail_after(PATIENCE):
            while len(self.steps(step)) < count:  # noqa: ASYNC110  # another process writes them
                await anyio.sleep(0.02)
        return self.steps(step)


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    """Make a folder."""
    return Ground(tmp_path)


@asynccontextmanager
async def pushing(ground: Ground, mode: str) -> AsyncIterator[tuple[Listening, Sender]]:
    """Run an agent, let an app register with it and end, and sign in as its server."""
    async with ground.agent() as agent:
        ready = await ground.run_app(mode)
        async with sender(ready) as server:
            yield agent, server


async def test_a_push_starts_the_app_with_the_payload_and_two_more_wait_their_turn(ground: Ground) -> None:
    """Each is claimed by a process of its own, one after the other; none stands on a command line, and no bytes change."""
    async with pushing(ground, "short") as (_, server):
        bodies = [b"\x00\xff\x80 binary", b"\n", b"third"]
        for body in bodies:
            assert (await server.push(body))[0] == 200
        completed = await ground.until("completed", 3)
        claimed = ground.steps("claimed")
        assert [bytes.fromhex(line["payload"]) for line in claimed] == bodies
        assert [line["payload"] for line in completed] == [line["payload"] for line in claimed]
        assert len({line["pid"] for line in claimed}) == 3
        order = [line["step"] for line in ground.lines() if line["step"] in {"claimed", "completed"}]
        assert order == ["claimed", "completed"] * 3
        for line in claimed:
            words = bytes.fromhex(line["words"]).split(b"\0")
            assert sum(word.startswith(b"----tocsin-push:") for word in words) == (1 if line["words"] else 0)
            assert not any(body in word for body in bodies for word in words)


async def test_what_comes_while_the_launched_process_lives_goes_to_its_handler(ground: Ground) -> None:
    """One process does it all, in order, the payload that has started it included."""
    async with pushing(ground, "handler") as (_, server):
        for body in (b"1", b"2", b"3"):
            assert (await server.push(body))[0] == 200
        handled = await ground.until("handled", 3)
        assert [bytes.fromhex(line["payload"]) for line in handled] == [b"1", b"2", b"3"]
        assert len({line["pid"] for line in handled}) == 1


async def test_a_process_that_dies_again_and_again_is_started_no_more(ground: Ground) -> None:
    """The payload comes with its attempt raised each time, then it is a dead letter that says so."""
    async with pushing(ground, "crash") as (_, server):
        assert (await server.push(b"1"))[0] == 200
        claimed = await ground.until("claimed", 3)
        assert [line["attempt"] for line in claimed] == [1, 2, 3]
        with anyio.fail_after(PATIENCE):
            state = str(ground.folder / "state")
            while "crash_loop" not in (await run("dead-letters", "--state", state))[1]:  # noqa: ASYNC110  # as above
                await anyio.sleep(0.1)
    assert len(ground.steps("claimed")) == 3


async def test_a_command_outlives_the_agent(ground: Ground) -> None:
    """An agent that was killed and started again starts the app; what it had accepted comes."""
    async with ground.agent() as first:
        ready = await ground.run_app("long")
        async with sender(ready) as server:
            assert (await server.push(b"1"))[0] == 200
            await ground.until("claimed", 1)
            first.process.kill()
            await first.wait()
    async with ground.agent():  # which starts processes only when those that live had time to come back
        completed = await ground.until("completed", 1)
        assert completed[0]["payload"] == b"1".hex()
        assert len(ground.steps("claimed")) == 1, "the process that has it goes on with it"
