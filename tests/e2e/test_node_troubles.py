"""Nodes that are killed, stopped and cut off, and PostgreSQL that is restarted: what was received comes once and in its order."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.node_troubles.loop import NodeTroubles, TroublePlan
from tests.persistence.postgres_server import programs


@pytest.mark.skipif(sys.platform != "linux", reason="nodes are tied to this process, and cut off, as Linux does it")
@pytest.mark.skipif(programs() is None, reason="PostgreSQL 15 or newer is not installed: apt-get install postgresql")
async def test_troubles_of_nodes_lose_and_double_nothing(tmp_path: Path) -> None:
    """Four of any kind, with relays: what was received is handled by its device, once, behind what was received before it was sent."""
    figures = await NodeTroubles(TroublePlan(cycles=4, seed=3, devices=20, rate=60, wires="relays"), tmp_path).run()
    assert not figures.violations
    assert figures.cycles.total() >= 4
    assert figures.received > 0
