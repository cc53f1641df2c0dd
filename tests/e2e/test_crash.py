"""SIGKILL at random moments: what was acknowledged is not lost, and nothing comes twice under one attempt."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.crash.loop import KillLoop, Plan


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL, and no server to fork from")
async def test_killing_service_and_app_loses_no_acknowledged_payload(tmp_path: Path) -> None:
    """15 kills of either or both: all that was acknowledged was handed out or has its reason, each attempt once."""
    figures = await KillLoop(Plan(cycles=15, seed=1), tmp_path).run()
    assert not figures.lost
    assert not figures.doubled
    assert figures.cycles.keys() == {"device", "service", "both"}
    assert figures.killed_at_the_start > 0
    assert figures.redelivered > 0
    assert figures.messages > 0
    assert figures.dead_letters.keys() <= {"not_handled", "handler_failed"}
