"""The benches with several processes, in a small way; what is not installed is skipped by themselves."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import pytest

from bench import agent, calling, hub, peers, scale, toasts, wire
from bench.framework import Options, Row
from bench.http_load import Target, moment_of, stamped, turns
from bench.load import BODY
from bench.prompt_devices import PromptDevice
from bench.receiving import Tally
from bench.scaled import prefill, through
from tests.bench.small import found, post_some, told
from tocsin.api.activated import CLAIM_TIMEOUT
from tocsin.protocol.messages import Acknowledge, Payload
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.values import NotificationType

QUICK = Options(rounds=1, quick=True)


def test_posts_are_counted_where_they_are_handled(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every POST that was answered reaches the handler in the other process."""
    monkeypatch.setattr(wire, "wrk", post_some)
    monkeypatch.setattr(wire, "PEERS", ())
    rows = {row["role"]: row["medians"] for row in found(capsys, "wire")}
    assert rows["floor"]["payloads/s"] == rows["product"]["answers/s"] == 100
    assert rows["product"]["payloads/s"] > 0
    told(rows["product"], "answer")


def test_latency_is_taken_at_the_handler(capsys: pytest.CaptureFixture[str]) -> None:
    """It is above nothing, and none is missing."""
    medians = found(capsys, "latency")[0]["medians"]
    told(medians, "answer", "delivery")


def test_toasts_are_taken_at_the_daemon(capsys: pytest.CaptureFixture[str]) -> None:
    """Each has come there or has another end, and raw payloads have come beside them."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("needs dbus-daemon")
    soon, flooded = (row["medians"] for row in found(capsys, "toasts"))
    assert 0 < soon["toast p50 ms"] <= soon["toast p99 ms"]
    assert soon["missed"] == flooded["lost"] == 0
    assert flooded["shown"] + flooded["dead"] == toasts.FEW


def test_calls_are_taken_at_the_daemon_and_in_the_app(capsys: pytest.CaptureFixture[str]) -> None:
    """Each has rung, in an app that it has launched and in one that runs, beside plain pushes."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("needs dbus-daemon")
    rows = {row["name"]: row["medians"] for row in found(capsys, "calling")}
    launched = rows[calling.LAUNCHED]
    assert 0 < launched["first line ms"] < launched["imported ms"] < launched["signed in ms"] < launched["p50 ms"]
    assert 0 < rows[calling.PUSHED]["p50 ms"] <= rows[calling.PUSHED]["p99 ms"]
    assert rows[calling.PUSHED]["plain push p50 ms"] > 0


def test_an_agent_carries_launches_and_keeps_apps_apart(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside embedded; a launched process reports its first line before its payload, well before a claim would time out."""
    monkeypatch.setattr(wire, "wrk", post_some)
    rows = {row["name"]: row["medians"] for row in found(capsys, "agent")}
    for name in (agent.EMBEDDED, agent.CONNECTED):
        assert rows[name]["payloads/s"] > 0
        assert 0 < rows[name]["delivery p50 ms"] <= rows[name]["delivery p99 ms"]
    assert rows[agent.CROWD]["others p99 ms"] > 0
    assert rows[agent.CROWD]["all well p99 ms"] > 0
    assert all(rows[name]["missed"] == 0 for name in (agent.EMBEDDED, agent.CONNECTED, agent.CROWD))
    assert 0 < rows[agent.LAUNCHED]["first line ms"] < rows[agent.LAUNCHED]["claimed ms"] < 1000 * CLAIM_TIMEOUT


def test_peers_take_what_tocsin_takes(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """The product's own rows are made as those of the peers are: by its client, and by hand."""
    monkeypatch.setattr(peers, "PEERS", ())
    rows = found(capsys, "peers")
    assert len(rows) == 2
    for row in rows:
        assert row["medians"]["answers/s"] > 0
        told(row["medians"], "answer", "delivery")


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


def test_a_send_of_a_hub_reaches_each_device(capsys: pytest.CaptureFixture[str]) -> None:
    """By a tag, by an expression and by itself, as single posts do in the same run."""
    rows = found(capsys, "hub")
    assert [row["role"] for row in rows] == ["floor", "product", "product", "product"]
    for medians in (row["medians"] for row in rows):
        assert medians["targets/s"] > 0
        assert medians["first ms"] > 0
        assert medians["missed"] == 0
    assert rows[1]["of_floor"] > 0
    assert rows[2]["medians"]["ms a send"] > 0
    assert 0 < rows[3]["medians"]["answer p50 ms"] <= rows[3]["medians"]["answer p99 ms"]


def test_the_goals_of_a_send_are_told_with_what_was_found() -> None:
    """Each in a sentence; the memory is the most of all rounds."""
    samples = [{"targets/s": 8_000.0, "first ms": first, "MiB above idle": first / 2} for first in (10.0, 20.0, 60.0)]
    words = hub.verdicts(Row(hub.TAGGED, "product", "", samples), 0.91)
    assert words == [
        "The first was delivered after 20 ms (goal: 100 at most).",
        "Targets a second: 0.91 of as many single posts (goal: 0.5 at least; aim: 1).",
        "Memory: 30.0 MiB above idle at most.",
    ]


@pytest.mark.parametrize("size", [1, 125, 126, 65_535, 65_536])
def test_a_device_takes_frames_in_pieces(size: int) -> None:
    """Of every form of length, however they are cut, two of them in one piece too."""
    payload = encode(Payload("1", "c", NotificationType.RAW, stamped(0.001) + bytes(size), None, 3))
    length = len(payload)
    prefix = (
        bytes([length])
        if length < 126
        else (b"\x7e" + length.to_bytes(2, "big") if length < 65_536 else b"\x7f" + length.to_bytes(8, "big"))
    )
    frame = b"\x82" + prefix + payload

    async def counts() -> list[int]:
        tally, sent = Tally(), bytearray()
        device = PromptDevice(0, tally)
        device.send = lambda kind, body: sent.extend(body)  # type: ignore[method-assign] # noqa: ARG005 - without a socket
        found = []
        for piece in (frame[:1], frame[1:5], frame[5:-1], frame[-1:] + frame + frame[:3], frame[3:]):
            device.take(piece)
            found.append(tally.count)
        assert bytes(sent) == encode(Acknowledge(("1",))) * 3
        return found

    assert asyncio.run(counts()) == [0, 0, 0, 2, 3]


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


def test_posts_go_round() -> None:
    """Each target gets its share, and the first of them what is left over."""
    assert turns(3, 2) == [2, 1]
    assert turns(2, 3) == [1, 1, 0]


def test_a_request_is_whole() -> None:
    """Its head says where it goes and how long it is."""
    target = Target("http://127.0.0.1:8080/w/?token=abc", {"X-WNS-Type": "wns/raw"})
    head, _, body = target.request(b"ding").partition(b"\r\n\r\n")
    lines = head.split(b"\r\n")
    assert lines[0] == b"POST /w/?token=abc HTTP/1.1"
    assert {b"Host: 127.0.0.1:8080", b"Content-Length: 4", b"X-WNS-Type: wns/raw"} <= set(lines)
    assert (body, target.address) == (b"ding", ("127.0.0.1", 8080))
