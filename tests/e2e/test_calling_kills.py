"""SIGKILL at random moments for the calling service: each call that rang has one end, the same on every side, and none rings on."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.e2e.calling_kills.loop import ONLINE, QUIET, CallKills, CallPlan


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL, and no server to fork from")
async def test_killing_a_calling_service_leaves_no_call_without_its_end(tmp_path: Path) -> None:
    """3 kills and more, while calls ring, are answered and go on: only endpoints that did not answer have another end than the caller."""
    figures = await CallKills(CallPlan(cycles=3, seed=2), tmp_path).run()
    assert not figures.violations
    assert figures.kills >= 3
    assert figures.killed_while.keys() & {"rang", "connected"}
    assert figures.rang.keys() == {ONLINE, QUIET}
    assert "0/0" in figures.ends
