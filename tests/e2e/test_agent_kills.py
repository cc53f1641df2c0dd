"""SIGKILL at random moments for the agent, its apps and what it has launched: nothing is lost, doubled or left behind."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.agent_kills.loop import KINDS, AgentKills, AgentPlan


@pytest.mark.skipif(sys.platform != "linux", reason="launched processes are found in /proc")
async def test_killing_agent_and_apps_loses_no_acknowledged_payload(tmp_path: Path) -> None:
    """12 kills of any and all: what was acknowledged was handled or has its reason, each attempt once; no process is left."""
    figures = await AgentKills(AgentPlan(cycles=12, seed=30), tmp_path).run()
    assert not figures.violations
    assert figures.cycles.keys() == KINDS.keys()
    assert figures.killed_at_the_start == 4
    assert figures.launched_killed > 0
    assert figures.redelivered > 0
    assert figures.messages > 0
    assert figures.dead_letters.keys() <= {"launch_failed", "crash_loop"}
