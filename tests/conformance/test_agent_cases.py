"""The cases that need a platform in a process of its own: the agent, and apps that it starts."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process

from tests.agent.world import world
from tests.conformance.cases import case
from tests.e2e.agents import running_agent
from tocsin import (
    Activators,
    PushNotificationActivationInfo,
    TimedOut,
    connect,
    get_activated_event_args,
)
from tocsin.protocol.platform.launches import CLAIM_ARGUMENTS, LaunchPurpose

IDLE = 1
"""Seconds after which the agents of these tests end, where the SDK's process has 5."""


@pytest.fixture
def anyio_backend() -> str:
    """Processes and sockets: on asyncio."""
    return "asyncio"


@case(18)
async def test_a_launched_app_finds_its_payload(tmp_path: Path) -> None:
    """Its activation is of the kind Push, and has the payload as it was sent."""
    with running_agent(tmp_path) as agent:
        await agent.install("app")
        await agent.push("app", b"<toast></toast>")
        await agent.journal("app").wait_for("done")
        assert agent.journal("app").payloads() == [b"<toast></toast>"]


async def started(folder: Path, **environment: str) -> Process:
    """Start an agent that ends when it is idle, and wait until it serves."""
    command = [sys.executable, "-m", "tocsin", "agent", "--idle-exit", str(IDLE)]
    command += ["--state", str(folder / "state"), "--socket", str(folder / "s")]
    process = await anyio.open_process(command, env=environment or None, start_new_session=True)
    assert process.stdout is not None
    with anyio.fail_after(20):
        assert await process.stdout.receive()
    return process


async def gone_after(process: Process) -> float:
    """Wait until it has ended well, and return the seconds that this took."""
    begin = time.monotonic()
    with anyio.fail_after(20):
        assert await process.wait() == 0
    await process.aclose()
    return time.monotonic() - begin


@case(19)
async def test_it_serves_when_it_was_asked_for_and_ends_when_idle(tmp_path: Path) -> None:
    """It is there for as long as it says."""
    process = await started(tmp_path)
    async with connect("app", tmp_path / "s", command=[sys.executable]):
        await anyio.sleep(IDLE + 0.2)
        assert process.returncode is None
    assert await gone_after(process) >= IDLE - 0.1


@case(20)
async def test_it_does_so_too_when_a_log_on_has_started_it(tmp_path: Path) -> None:
    """As a service manager starts it: without a terminal, and with hardly an environment."""
    process = await started(tmp_path, HOME=str(tmp_path), PATH=os.environ["PATH"], PYTHONPATH=os.pathsep.join(sys.path))
    assert await gone_after(process) <= IDLE + 5


@case("D10")
async def test_it_ends_when_the_last_app_has_unregistered(tmp_path: Path) -> None:
    """While there is a trigger it stays; then it ends after its time."""
    process = await started(tmp_path)
    async with connect("app", tmp_path / "s", command=[sys.executable]) as manager:
        await manager.register_activator(PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR))
    await anyio.sleep(IDLE + 0.5)
    assert process.returncode is None
    async with connect("app", tmp_path / "s", command=[sys.executable]) as manager:
        await manager.unregister_all_activators()
    assert await gone_after(process) >= IDLE - 0.1


@case("D13")
async def test_a_launch_without_a_payload_times_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Within the two seconds, also when it is asked for again."""
    monkeypatch.setattr(sys, "argv", ["app", f"{CLAIM_ARGUMENTS[LaunchPurpose.PUSH]}unknown"])
    async with world(tmp_path) as w, w.connect("app"):
        for _ in range(2):
            with anyio.fail_after(2.5), pytest.raises(TimedOut):
                await get_activated_event_args()
