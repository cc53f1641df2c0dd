"""What the tests of benches with several processes share."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.__main__ import main
from bench.http_load import Target, closed_loop

TAIL = ("p50", "p99", "p99.9")
COSTS = ("server CPU µs", "receiver CPU µs", "sender CPU µs")


def post_some(targets: Target | Sequence[Target], _seconds: int, _folder: Path, **_: object) -> dict[str, Any]:
    """Do what wrk does, a few times."""
    asyncio.run(closed_loop([targets] if isinstance(targets, Target) else targets, 100))
    return {"requests": 100, "seconds": 1.0, "errors": 0, "p50": 1.0, "p99": 2.0, "p99.9": 3.0, "cpu": 0.001}


def told(medians: dict[str, float], *waits: str) -> None:
    """Demand the tails of these waits, what each process has used, and the load of the machine."""
    for wait in waits:
        p50, p99, p999 = (medians[f"{wait} {each} ms"] for each in TAIL)
        assert 0 < p50 <= p99 <= p999
    assert all(medians[cost] > 0 for cost in COSTS)
    assert medians["load at begin"] >= 0
    assert medians["load at end"] >= 0
    assert medians["missed"] == 0


def found(capsys: pytest.CaptureFixture[str], name: str) -> list[dict[str, Any]]:
    """Run a bench with tiny rounds and return its rows."""
    assert main([name, "--quick", "--json", "--loop", "asyncio"]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["rows"]
    return rows
