"""The benches of many devices, of payloads that come alone and of many notifications in flight, in a small way."""

from __future__ import annotations

import asyncio
import shutil
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import pytest
from websockets.asyncio.client import connect

from bench import alone, client, headers, million, servers, spread
from bench.framework import Missing, Row
from bench.http_load import Poster, Target, moment_of, stamped
from bench.wrk import Trace, wrk_anew
from tests.bench.small import found, post_some, told
from tests.helpers import listening


def test_a_load_spread_over_devices_reaches_each(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each POST that was answered has reached its device."""
    monkeypatch.setattr(spread, "wrk_anew", post_some)
    monkeypatch.setattr(spread, "PEERS", ())
    (row,) = found(capsys, "spread")
    assert row["medians"]["payloads/s"] > 0
    told(row["medians"], "answer", "delivery")


def test_what_comes_alone_reaches_the_handler(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Paced; what is in flight is measured as in ``peers``."""
    for peers_of_it in ("NCHAN", "BROKERS"):
        monkeypatch.setattr(alone, peers_of_it, ())
    monkeypatch.setattr(alone, "IN_FLIGHT", ())
    (row,) = found(capsys, "alone")
    told(row["medians"], "answer", "delivery")


def test_what_is_beside_a_peer_is_told_of_each_load() -> None:
    """Where the peer is not there, nothing is said of it."""
    ours, theirs = ({"payloads/s": 5.0, "delivery p50 ms": 3.0, "delivery p99 ms": 4.0}, {"payloads/s": 10.0})
    rows = [Row(f"tocsin, {load}", "product", "", [ours]) for load in ("1 in flight", "16 in flight", "500 a second")]
    rows += [Row(f"nchan, {each} in flight", "peer", "", [theirs]) for each in (1, 16)]
    rows.append(Row("nchan, 500 a second", "peer", "", [{"delivery p50 ms": 2.0, "delivery p99 ms": 1.0}]))
    (sentence,) = alone.beside_peers({row.name: row for row in rows})
    flying, paced = sentence.split(", 500 a second ", 1)
    assert flying == "Beside nchan: 1 in flight 0.50 of its payloads/s, 16 in flight 0.50 of its payloads/s"
    assert paced == "1.50 of its delivery p50, 500 a second 4.00 of its delivery p99."


def test_a_million_users_come_and_go(capsys: pytest.CaptureFixture[str]) -> None:
    """Devices leave and come back and get channels meanwhile, and nothing is missed; a peer may miss some."""
    ours, *peers = found(capsys, "million")
    for row in (ours, *peers):
        assert 0 < row["medians"]["of a core"] < 2
        assert row["medians"]["connects/s"] > 0
    assert ours["medians"]["RSS MiB"] > 10
    told(ours["medians"], "answer", "delivery")
    for row in peers:
        told(row["medians"] | {"missed": 0}, "answer", "delivery")


def test_a_subscriber_gets_what_comes_from_then_on(tmp_path: Path) -> None:
    """So one that comes back has nothing again, though nchan keeps all for an hour."""

    async def first_after(server: servers.Server) -> float:
        at = f"{servers.HOST}:{server.port}"
        target = Target(f"http://{at}/pub?id=0", {})
        poster = await Poster.connect(target)
        await poster.post(target.request(stamped(1.0)))
        async with connect(f"ws://{at}/sub?id=0", compression=None, proxy=None) as socket:
            await poster.post(target.request(stamped(2.0)))
            came = moment_of(await socket.recv())
        await poster.aclose()
        return came

    try:
        with servers.nginx(tmp_path) as server:
            assert asyncio.run(first_after(server)) == 2.0
    except Missing as missing:
        pytest.skip(str(missing))


def test_a_header_is_measured_beside_the_same_load_without_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it costs the service is the main figure."""
    monkeypatch.setattr(headers, "wrk_anew", post_some)
    rows = found(capsys, "headers")
    assert [row["role"] for row in rows] == ["floor", "product"]
    for row in rows:
        assert next(iter(row["medians"])) == headers.COST
        told(row["medians"], "answer", "delivery")


def test_a_client_is_measured_beside_its_library(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both have as many in flight."""
    monkeypatch.setattr(client, "IN_FLIGHT", (10,))
    rows = found(capsys, "client")
    assert [row["role"] for row in rows] == ["product", "peer"]
    for row in rows:
        told(row["medians"], "answer", "delivery")


def test_verdicts_are_ratios_within_the_rounds() -> None:
    """Each sentence has the figure that its goal is about."""
    figures = {"server CPU µs": 10.0, "payloads/s": 4.0, "answer p99 ms": 6.0, "delivery p99 ms": 9.0}
    figures |= {"answers/s": 5.0, "sender CPU µs": 3.0, "of a core": 0.2}
    twice = {name: 2 * figure for name, figure in figures.items()}
    assert headers.verdicts(Row("without", "floor", "", [figures]), Row("with", "product", "", [twice])) == [
        "With the header: 2.00 of the service's CPU a message (goal: 1.15 at most), 2.00 of the rate."
    ]
    rows = [Row(f"tocsin, {spread.COUNTS[0]} device", "product", "", [figures])]
    rows.append(Row(f"nchan, {spread.COUNTS[0]} subscriber", "peer", "", [twice]))
    assert spread.beside_peers({row.name: row for row in rows}) == [
        "1: 0.50 of nchan's payloads a second, 0.50 of the p99 of its answers and 0.50 of that of its deliveries; 10 µs of the service a push."
    ]
    rows = [
        Row(f"{who}, {each} in flight", "product", "", [figures])
        for who in ("WnsClient", "aiohttp")
        for each in client.IN_FLIGHT
    ]
    assert client.beside_aiohttp({row.name: row for row in rows})[0].startswith("100 in flight: 1.00 of aiohttp's")
    ours, theirs = Row("tocsin", "product", "", [twice]), Row("nchan", "peer", "", [figures])
    goals = [
        "The service took 0.40 of a core (goal: 0.12 at most).",
        "99 in 100 were with their devices within 18.0 ms of when they were due (goal: 15 at most).",
    ]
    beside = "Beside nchan: 2.00 of its share of a core, 2.00 of the p99 of its deliveries."
    assert million.verdicts([ours]) == goals
    assert million.verdicts([ours, theirs]) == [*goals, beside]
    assert million.verdicts([]) == []


@pytest.mark.skipif(shutil.which("wrk") is None, reason="needs wrk")
@pytest.mark.parametrize("trace", [Trace.MADE, Trace.SENT])
def test_wrk_makes_each_request_anew(trace: Trace, tmp_path: Path) -> None:
    """With a path by turns, a moment, and a traceparent where it is to be sent."""
    heads: list[bytes] = []
    bodies: list[bytes] = []

    async def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            heads.append(await reader.readuntil(b"\r\n\r\n"))
            bodies.append(await reader.readexactly(256))
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")

    async def load() -> dict[str, float]:
        async with listening(take) as port:
            targets = [Target(f"http://127.0.0.1:{port}/w/?token={each}", {"X-WNS-Type": "wns/raw"}) for each in "ab"]
            return await asyncio.to_thread(wrk_anew, targets, 1, tmp_path, 1, trace)

    told_by_wrk = asyncio.run(load())
    assert told_by_wrk["errors"] == 0
    assert 0 < told_by_wrk["p50"] <= told_by_wrk["p99"] <= told_by_wrk["p99.9"]
    assert {(head.split(b" ")[1][-1:], after.split(b" ")[1][-1:]) for head, after in pairwise(heads)} == {
        (b"a", b"b"),
        (b"b", b"a"),
    }
    moments = [moment_of(body) for body in bodies]
    assert moments == sorted(moments)
    assert 0 < moments[0] < perf_counter()
    traces = {head.partition(b"traceparent: ")[2] for head in heads} - {b""}
    assert len(traces) == (len(heads) if trace is Trace.SENT else 0)


def test_forwards_are_measured_beside_bytes_that_are_echoed(capsys: pytest.CaptureFixture[str]) -> None:
    """As many of the same length, over the same TLS; what each process has used is told."""
    rows = found(capsys, "nodelink")
    assert [row["role"] for row in rows] == ["floor", "product"]
    for row in rows:
        medians = row["medians"]
        assert medians["payloads/s"] > 0
        assert 0 < medians["alone p50 ms"] <= medians["alone p99 ms"]
        assert min(medians["server CPU µs"], medians["sender CPU µs"]) > 0
