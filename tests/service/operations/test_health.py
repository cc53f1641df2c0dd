"""Health and metrics: who may see what, and whether the numbers are right."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.service.world import World, dial, open_world
from tocsin.durations import BUCKETS
from tocsin.protocol.messages import Acknowledge, Payload
from tocsin.service.operations.health import Health
from tocsin.service.operations.metrics import Counters
from tocsin.service.operations.settings import ServiceSettings

PROXIED = {"X-Forwarded-For": "203.0.113.7"}


async def get(world: World, path: str, **headers: str) -> tuple[int, str]:
    """Ask, and return status and body."""
    async with world.http.get(world.service.url + path, headers=headers) as response:
        return response.status, await response.text()


async def samples(world: World) -> dict[str, float]:
    """Read the metrics, labels within the names."""
    status, text = await get(world, "/metrics")
    assert status == 200
    return {
        sample.name + "".join(f"[{value}]" for value in sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def deliver(world: World) -> None:
    """Push one payload to a device that acknowledges it, and look at the metrics meanwhile."""
    async with anyio.create_task_group() as group, dial(world.service) as device:
        await device.greet()
        group.start_soon(world.post)
        payload = await device.receive(Payload)
        there = await samples(world)
        assert (there["tocsin_devices"], there["tocsin_outbox"], there["tocsin_channels"]) == (1, 1, 1)
        assert (there["tocsin_pushed_total"], there["tocsin_acknowledged_total"]) == (1, 0)
        await device.send(Acknowledge((payload.id,)))
        await anyio.wait_all_tasks_blocked()


async def test_each_stage_is_counted(world: World) -> None:
    """What was received, dropped and refused, tokens, and how long deliveries took."""
    await deliver(world)
    await world.post()
    await world.post(headers={"Authorization": "Bearer x"})
    await world.post(uri=world.uri + "x")
    there = await samples(world)
    assert there["tocsin_received_total"] == there["tocsin_acknowledged_total"] == 1
    assert there["tocsin_delivery_seconds_count"] == there["tocsin_delivery_seconds_bucket[+Inf]"] == 1
    assert 0 < there["tocsin_delivery_seconds_sum"] < 10
    assert sum(value for name, value in there.items() if name.startswith("tocsin_dropped_total[")) == 1
    assert (there["tocsin_refused_total[401]"], there["tocsin_refused_total[404]"]) == (1, 1)
    assert there["tocsin_tokens_issued_total"] == 1
    assert there["tocsin_store_seconds_count[write]"] == there["tocsin_store_seconds_bucket[write][+Inf]"] > 0
    assert 0 < there["tocsin_store_seconds_sum[write]"] < 10
    assert there["tocsin_connections"] >= 1
    assert there["process_resident_memory_bytes"] > 0


async def test_two_services_count_by_themselves(tmp_path: Path) -> None:
    """The registry is the service's, not the process's."""
    for name in "ab":
        (tmp_path / name).mkdir()
    async with open_world(tmp_path / "a") as one, open_world(tmp_path / "b") as two:
        await one.post(headers={"Authorization": None})
        assert "tocsin_refused_total[401]" in await samples(one)
        assert "tocsin_refused_total[401]" not in await samples(two)


async def test_a_well_service_says_so(standing: World) -> None:
    """Any client gets the status; the counters are for this machine."""
    status, body = await get(standing, "/healthz")
    assert status == 200
    assert body.startswith('{"status":"ok","causes":{},"counters":{')
    assert await get(standing, "/healthz", **PROXIED) == (200, '{"status":"ok","causes":[]}')


async def test_metrics_are_for_this_machine(standing: World) -> None:
    """What came through a proxy is not from here, whatever the proxy calls its headers."""
    assert (await get(standing, "/metrics", **PROXIED))[0] == 403
    for name in ("Forwarded", "Via", "X-Real-IP", "X-Forwarded-Host", "CF-Connecting-IP", "Fly-Client-IP"):
        assert (await get(standing, "/metrics", **{name: "127.0.0.1"}))[0] == 403
        assert (await get(standing, "/healthz", **{name: "127.0.0.1"}))[1] == '{"status":"ok","causes":[]}'
    assert (await get(standing, "/metrics", **{"X-Prometheus-Scrape-Timeout-Seconds": "10"}))[0] == 200


@pytest.mark.parametrize("proxy", ["127.0.0.1", "127.0.0.0/8", "::ffff:127.0.0.1"])
async def test_what_a_trusted_proxy_passes_on_is_not_from_here(tmp_path: Path, proxy: str) -> None:
    """Also where the proxy is on this machine and says nothing, or says what its client has made up."""
    async with open_world(tmp_path, ServiceSettings(trusted_proxies=(proxy,))) as world:
        for headers in ({}, {"X-Forwarded-For": "127.0.0.1"}):
            assert (await get(world, "/metrics", **headers))[0] == 403
            assert await get(world, "/healthz", **headers) == (200, '{"status":"ok","causes":[]}')


async def test_a_token_opens_the_metrics(tmp_path: Path) -> None:
    """Where there is a token, every client needs it, and it is enough from any address."""
    async with open_world(tmp_path, ServiceSettings(metrics_token="open sesame")) as world:  # noqa: S106 - a case
        assert (await get(world, "/metrics"))[0] == 401
        assert (await get(world, "/metrics", Authorization="Bearer open"))[0] == 401
        assert (await get(world, "/metrics", Authorization="Bearer open sesame", **PROXIED))[0] == 200
        assert (await get(world, "/healthz"))[1] == '{"status":"ok","causes":[]}'


@pytest.mark.parametrize(
    ("fault", "stopping", "causes"),
    [
        (None, False, {}),
        ("the disk is full", False, {"store": "the disk is full"}),
        (None, True, {"stopping": "the service is stopping"}),
        ("the disk is full", True, {"store": "the disk is full", "stopping": "the service is stopping"}),
    ],
)
def test_causes_are_named(fault: str | None, stopping: bool, causes: dict[str, Any]) -> None:
    """With details each cause has its reason; without, only the names are there."""
    health = Health(Counters(), lambda: fault, dict, "")
    health.stopping = stopping
    report = health.report()
    assert report.causes == causes
    assert report.fields(details=False)["causes"] == sorted(causes)
    assert report.fields(details=False)["status"] == ("unavailable" if causes else "ok")


def test_what_keeps_it_from_being_ready_is_told() -> None:
    """Besides what is not well, each by the name that it was given, for as long as it has something to say."""
    faults, words = list[str](), list[str]()
    health = Health(Counters(), lambda: faults[-1] if faults else None, dict, "")
    health.unready["lease"] = lambda: words[-1] if words else None
    assert health.readiness() == {}
    words.append("the node has no lease")
    assert health.readiness() == {"lease": "the node has no lease"}
    assert health.report().causes == {}
    faults.append("the disk is full")
    assert health.readiness() == {"store": "the disk is full", "lease": "the node has no lease"}
    health.stopping = True
    words.clear()
    assert (
        health.readiness()
        == health.report().causes
        == {"store": "the disk is full", "stopping": "the service is stopping"}
    )


@pytest.mark.parametrize("path", ["/healthz", "/readyz"])
async def test_balancers_may_ask_without_a_body(standing: World, path: str) -> None:
    """HEAD has the status, and what GET says of the body that it has not; no answer is kept for the next."""
    url = standing.service.url + path
    async with standing.http.get(url, headers=PROXIED) as asked, standing.http.head(url, headers=PROXIED) as glance:
        assert (asked.status, await asked.text()) == (200, '{"status":"ok","causes":[]}')
        assert (glance.status, await glance.read()) == (200, b"")
        for name in ("Content-Length", "Content-Type", "Cache-Control"):
            assert asked.headers[name] == glance.headers[name]
        assert glance.headers["Cache-Control"] == "no-store"


def test_latencies_fall_into_their_buckets() -> None:
    """A bound belongs to its bucket, and what is longer than all goes into the last."""
    counters = Counters()
    for seconds in (0.0, BUCKETS[0], BUCKETS[0] + 1e-6, 99.0):
        counters.accepted(seconds)
    assert counters.latencies.counts[:2] == [2, 1]
    assert counters.latencies.counts[-1] == 1


def test_reasons_do_not_grow_without_end() -> None:
    """After some different ones all others are one."""
    counters = Counters()
    for number in range(100):
        counters.drop(str(number))
    assert len(counters.dropped) == 33
    assert counters.summary()["dropped"] == 100
