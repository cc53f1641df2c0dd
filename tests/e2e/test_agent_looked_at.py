"""What the command tells of a real agent: how it is, and what happens to payloads."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.e2e.agents import Agent, in_process, running_agent
from tests.processes import PATIENCE
from tocsin.protocol.errors import PushError
from tocsin.transport.control_socket import ask, follow

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the agent runs on POSIX systems")


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Processes and sockets: on asyncio."""
    return "asyncio"


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """Run one agent for all tests that let it live."""
    with running_agent(tmp_path_factory.mktemp("agent")) as found:
        yield found


async def until_followed(agent: Agent, number: int) -> None:
    """Wait until so many follow."""
    with anyio.fail_after(PATIENCE):
        while ((await ask(agent.state, {"verb": "status"})) or {})["now"]["followers"] < number:  # noqa: ASYNC110  # it is another process
            await anyio.sleep(0.01)


async def test_the_command_tells_how_an_agent_is(agent: Agent) -> None:
    """Where apps connect, which of them are there, and what it has counted; exit code 0 says that it is well."""
    async with agent.app("mail", "--stays", "30"):
        code, output, errors = await in_process("status", "--json", "--state", str(agent.state))
        told = json.loads(output)
        assert (code, errors, told["kind"], told["status"], told["causes"]) == (0, "", "agent", "ok", {})
        assert (told["socket"], told["pid"]) == (str(agent.socket), agent.process.pid)
        assert (told["sessions"], told["now"]["apps_connected"], told["counters"]["bad_frames"]) == ({"mail": 1}, 1, 0)
        _, output, _ = await in_process("status", "--state", str(agent.state))
        first, *_, last = output.splitlines()
        assert first == f"ok  agent on {agent.socket}, push service {told['service']}"
        assert last.split() == ["mail", "1", "connected"]
        _, output, _ = await in_process("channels", "--json", "--state", str(agent.state))
        assert json.loads(output)["app"] == "mail"


async def test_an_agent_says_what_it_does_not_know(agent: Agent) -> None:
    """A verb of a later version, or of none, is refused."""
    for verb in ("grant", 5, None):
        with pytest.raises(PushError, match="this agent does not know how to"):
            await ask(agent.state, {"verb": verb})


async def test_payloads_are_followed_from_stage_to_stage(agent: Agent) -> None:
    """In order, with what is known of each; a launch is one of them, but not for a toast, and what is not wanted is not told."""
    await agent.install("launched")
    told: dict[str, list[dict[str, Any]]] = {"all": [], "wanted": []}

    async def listen(name: str, **wanted: Any) -> None:
        async with aclosing(follow(agent.state, {"verb": "tail", **wanted})) as events:
            async for event in events:
                told[name].append(event)
                if {"handled", "dead"} <= {each["stage"] for each in told["all"]}:
                    tasks.cancel_scope.cancel()

    with anyio.fail_after(PATIENCE):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listen, "all")
            tasks.start_soon(partial(listen, "wanted", apps=["launched"], stages=["stored"], types=["raw"]))
            await until_followed(agent, 2)
            await agent.push("launched", b"four", b"")
    first = [each for each in told["all"] if each.get("id") == told["all"][0]["id"]]
    stages = [each["stage"] for each in first]
    stages.remove("parked")  # told when it is on disk, which may be behind the launch
    stages.remove("received")  # told when the service of the agent has answered, which may be then too
    assert stages == ["accepted", "stored", "launched", "offered", "handled"]
    assert {(each["app"], each["type"], each["size"]) for each in first} == {("launched", "raw", 4)}
    assert [each["stage"] for each in told["wanted"]] == ["stored"]
    toast = [(each["stage"], each.get("reason")) for each in told["all"] if each.get("type") == "toast"]
    assert [each for each in toast if each != ("received", None)] == [
        ("accepted", None),
        ("stored", None),
        ("dead", "unreadable"),
    ]


async def test_a_follower_is_told_what_is_wrong(agent: Agent) -> None:
    """A type or stage that there is not, and lists that are none."""
    for wanted in ({"types": ["voice"]}, {"stages": ["lost"]}, {"apps": "mail"}, {"channels": [5]}):
        with pytest.raises(PushError, match=r"is one of|are lists of texts"):
            await ask(agent.state, {"verb": "tail", **wanted})


async def test_tail_prints_until_the_agent_ends(tmp_path: Path) -> None:
    """A line a stage for a person; then it says why there will be no more, and where there is no agent, that there is none."""
    with running_agent(tmp_path) as agent:
        await agent.install("mail")
        printed: list[tuple[int, str, str]] = []

        async def tail() -> None:
            printed.append(await in_process("tail", "--state", str(agent.state), "--stage", "stored"))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(tail)
            await until_followed(agent, 1)
            await agent.push("mail", b"ding")
            await agent.journal("mail").wait_for("done")
            await anyio.to_thread.run_sync(agent.stop)
    ((code, output, errors),) = printed
    (line,) = output.splitlines()
    assert "stored" in line
    assert line.endswith("raw  4 bytes")
    assert (code, errors) == (0, "tocsin tail: what was followed has ended\n")
    code, _, errors = await in_process("tail", "--state", str(agent.state))
    assert (code, "no agent, no program and no service runs on" in errors) == (1, True)
