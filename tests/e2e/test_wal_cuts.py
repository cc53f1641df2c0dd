"""A log that ends anywhere: the store comes up as some commit left it, with all that was acknowledged by then."""

from __future__ import annotations

from pathlib import Path

from tests.e2e.wal_cuts import run


async def test_a_log_cut_anywhere_opens_as_some_commit_left_it(tmp_path: Path) -> None:
    """Cuts at every tenth frame and at 50 random offsets lose nothing acknowledged; changed bytes tear nothing."""
    recording, verdict = await run(tmp_path, seed=1, offsets=50, every=10)
    assert not verdict.failures
    assert len(recording.states) > 60
    assert verdict.cuts > 50 + len(recording.boundaries()) // 10
    assert verdict.flips > 20
