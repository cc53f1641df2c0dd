"""The benches with several processes, in a small way; what is not installed is skipped by themselves."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from bench import agent, peers, scale, toasts, wire
from bench.__main__ import main
from bench.framework import Options
from bench.http_load import Target, closed_loop, moment_of, stamped
from bench.load import BODY
from bench.receiving import Tally
from bench.scaled import prefill, through
from tocsin.api.activated import CLAIM_TIMEOUT

QUICK = Options(rounds=1, quick=True)


def found(capsys: pytest.CaptureFixture[str], name: str) -> list[dict[str, Any]]:
    """Run a bench with tiny rounds and return its rows."""
    assert main([name, "--quick", "--json", "--loop", "asyncio"]) == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)["rows"]
    return rows


def post_some(target: Target, _seconds: int, _folder: Path) -> dict[str, Any]:
    """Do what wrk does, a few times."""
    asyncio.run(closed_loop(target, 100))
    return {"requests": 100, "seconds": 1.0, "errors": 0, "p50": 1.0, "p99": 2.0}


def test_posts_are_counted_where_they_are_handled(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every POST that was answered reaches the handler in the other process."""
    monkeypatch.setattr(wire, "wrk", post_some)
    monkeypatch.setattr(wire, "PEERS", ())
    rows = {row["role"]: row["medians"] for row in found(capsys, "wire")}
    assert rows["floor"]["payloads/s"] == rows["product"]["answers/s"] == 100
    assert rows["product"]["payloads/s"] > 0
    assert rows["product"]["missed"] == 0


def test_latency_is_taken_at_the_handler(capsys: pytest.CaptureFixture[str]) -> None:
    """It is above nothing, and none is missing."""
    medians = found(capsys, "latency")[0]["medians"]
    assert 0 < medians["handler p50 ms"] <= medians["handler p99 ms"]
    assert medians["missed"] == 0


def test_toasts_are_taken_at_the_daemon(capsys: pytest.CaptureFixture[str]) -> None:
    """Each has come there or has another end, and raw payloads have come beside them."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("needs dbus-daemon")
    soon, flooded = (row["medians"] for row in found(capsys, "toasts"))
    assert 0 < soon["toast p50 ms"] <= soon["toast p99 ms"]
    assert soon["missed"] == flooded["lost"] == 0
    assert flooded["shown"] + flooded["dead"] == toasts.FEW


def test_an_agent_carries_launches_and_keeps_apps_apart(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside embedded; a launched process reports its first line before its payload, well before a claim would time out."""
    monkeypatch.setattr(wire, "wrk", post_some)
    rows = {row["name"]: row["medians"] for row in found(capsys, "agent")}
    for name in (agent.EMBEDDED, agent.CONNECTED):
        assert rows[name]["payloads/s"] > 0
        assert 0 < rows[name]["handler p50 ms"] <= rows[name]["handler p99 ms"]
    assert rows[agent.CROWD]["others p99 ms"] > 0
    assert rows[agent.CROWD]["all well p99 ms"] > 0
    assert all(rows[name]["missed"] == 0 for name in (agent.EMBEDDED, agent.CONNECTED, agent.CROWD))
    assert 0 < rows[agent.LAUNCHED]["first line ms"] < rows[agent.LAUNCHED]["claimed ms"] < 1000 * CLAIM_TIMEOUT


def test_peers_take_what_tocsin_takes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's own row is made as those of the peers are."""
    monkeypatch.setattr(peers, "PEERS", ())
    (row,) = found(capsys, "peers")
    assert row["medians"]["published/s"] > 0
    assert row["medians"]["missed"] == 0


def test_a_platform_of_some_size_handles_its_payloads(tmp_path: Path) -> None:
    """Channels and payloads that were put there by hand are the product's own; it can be done again on the same state."""
    prefill(tmp_path, channels=5, stored=20)
    for _ in range(2):
        sample = asyncio.run(through(tmp_path, 30, 5))
        assert sample["payloads/s"] > 0


def test_idle_devices_are_welcomed() -> None:
    """They count in the service's memory, and it does nearly nothing for them."""
    sample = scale.idle(QUICK, 10, 0.1)
    assert sample["connected/s"] > 0
    assert sample["idle CPU %"] < 100


def test_a_tally_has_count_rate_and_age() -> None:
    """A body carries the moment of its sending; one that does not has no age."""
    tally = Tally()
    for body in (stamped(0.001), b"no moment", b""):
        tally.add(body)
    figures = tally.found()
    assert figures["count"] == 3
    assert figures["rate"] > 0
    assert figures["p50"] == figures["p99"] > 0
    tally.begin()
    assert tally.found()["count"] == 0


def test_a_stamped_body_is_of_the_usual_size() -> None:
    """The moment is in it to the microsecond."""
    body = stamped(1234.567891)
    assert len(body) == BODY
    assert moment_of(body) == pytest.approx(1234.567891, abs=1e-6)
    assert moment_of("nothing") == moment_of(b"") == 0.0


def test_a_request_is_whole() -> None:
    """Its head says where it goes and how long it is."""
    target = Target("http://127.0.0.1:8080/w/?token=abc", {"X-WNS-Type": "wns/raw"})
    head, _, body = target.request(b"ding").partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /w/?token=abc HTTP/1.1"
    assert {b"Host: 127.0.0.1:8080", b"Content-Length: 4", b"X-WNS-Type: wns/raw"} <= set(lines)
    assert (body, target.address) == (b"ding", ("127.0.0.1", 8080))
