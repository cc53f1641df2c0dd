"""SIGKILL at random moments for the service of a hub: each message that it has accepted comes to each of its targets once."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.hub_kills.loop import HubKills, HubPlan


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL, and no server to fork from")
async def test_killing_a_hub_loses_and_doubles_no_message(tmp_path: Path) -> None:
    """5 kills and more: by tag, direct, batch and scheduled, each is handled once by each target, and its counts add up."""
    figures = await HubKills(HubPlan(cycles=5, seed=2), tmp_path).run()
    assert not figures.violations
    assert not figures.refused
    assert figures.kills >= 5
    assert figures.accepted.keys() == {"tagged", "direct", "batch", "scheduled", "cancelled", "tag"}
    assert figures.twice_on_the_wire > 0
