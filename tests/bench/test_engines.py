"""The benches of the engines and of several nodes, in a small way."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench import engines, nodes
from bench.postgres import Postgres
from tests.bench.small import found, post_some
from tests.persistence.postgres_server import programs

pytestmark = pytest.mark.skipif(
    programs() is None, reason="needs PostgreSQL 15 or newer: Debian's package is postgresql"
)


def test_each_engine_is_measured(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """What is posted is stored, and only one of both has a server beside it."""
    monkeypatch.setattr(engines, "wrk_anew", post_some)
    sqlite, postgres = found(capsys, "engines")
    for row in (sqlite, postgres):
        assert row["medians"]["posts/s"] > 0
        assert row["medians"]["server CPU µs"] > 0
    assert sqlite["medians"]["database CPU µs"] == 0
    assert postgres["medians"]["database CPU µs"] > 0


def test_nodes_share_a_database(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Each is posted to, and all that takes part is counted."""
    monkeypatch.setattr(nodes, "wrk_anew", post_some)
    monkeypatch.setattr(nodes, "pgbench", _once)
    *floors, answered, ours = found(capsys, "nodes")
    assert [row["role"] for row in (*floors, answered)] == ["floor"] * 3
    parts = ("node 1 CPU µs", "node 2 CPU µs", "senders CPU µs")
    for row, all_parts in ((answered, parts), (ours, ("database CPU µs", *parts))):
        medians = row["medians"]
        assert all(medians[part] > 0 for part in all_parts)
        assert medians["CPU of all µs"] == pytest.approx(sum(medians[part] for part in all_parts))


def _once(at: Postgres, script: str, seconds: int, folder: Path) -> float:
    del at, seconds, folder
    assert "tocsin.stored" in script
    return 1.0
