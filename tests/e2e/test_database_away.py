"""Nodes over a database that is away for some seconds, or slow: what senders, devices and metrics tell of it."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.database_away import absence
from tests.e2e.database_slow import HERE, slowness
from tests.persistence.postgres_server import PostgresServer, safe_server

AWAY_FOR = 4.0  # the lease of a node, which ends after three seconds, and more
PATIENT = 10.0  # three times what acknowledge_timeout is at these nodes, and more

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are looked at as Linux shows them")


@pytest.fixture
def server() -> Iterator[PostgresServer]:
    """Run a server that waits for its disk."""
    with safe_server() as server:
        yield server


@pytest.mark.parametrize(("way", "nodes"), [("frozen", "a"), ("swallowed", "ab")])
async def test_devices_stay_and_senders_come_back(tmp_path: Path, server: PostgresServer, way: str, nodes: str) -> None:
    """However the database is away: no device connects again, what was received comes once, and all is well soon after."""
    figures = await absence(way, AWAY_FOR, nodes, server, tmp_path)
    assert (figures.lost, figures.twice, figures.reconnected) == (0, 0, 0)
    assert set(figures.answers["during"]) <= {"200", "503"}
    assert figures.answers["during"]["503"]
    assert set(figures.retry_after) == {"1"}
    assert figures.longest_wait < PATIENT
    assert max(figures.back.values()) < 2 * PATIENT
    assert all(most < before + 64 for before, most, _ in figures.resident.values())
    assert all(most < before + 200 for before, most, _ in figures.descriptors.values())


@pytest.mark.parametrize("nodes", ["a", "ab"])
async def test_a_slow_database_makes_those_wait_who_need_it(tmp_path: Path, server: PostgresServer, nodes: str) -> None:
    """The metrics tell of it; a device that is there, at whichever node, is served as fast as ever, and the leases go on."""
    figures = await slowness(0.1, 50, 4, nodes, server, tmp_path)
    assert set(figures.answers) <= {"200", "503"}
    assert figures.seconds["200"][0] > 0.1 > figures.seconds[HERE][0]
    for metrics in figures.metrics.values():
        for kind in ("devices", "leases"):
            count = metrics[f"tocsin_store_seconds_count[{kind}]"]
            assert metrics[f"tocsin_store_seconds_sum[{kind}]"] > 0.05 * count > 0
        assert metrics["tocsin_leases_lapsed_total"] == 0
