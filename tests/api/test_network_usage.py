"""What an app sends and receives, as it asks for it and as it counts against its budget."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

import tocsin
from tests.actors.test_host_listening import Told
from tests.helpers import payload
from tests.world import Gathered, World, handling, world
from tocsin.host.promises import HostParts
from tocsin.persistence.sqlite_store import read_sqlite
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.messages import Acknowledge, RequestChannel
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import Activators, PushNotificationActivationInfo
from tocsin.protocol.platform.policy import Policy
from tocsin.protocol.platform.usage import MAX_REPORT, AttributedNetworkUsage, NetworkKind

PROTOCOL = PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR)


async def used(w: World, days: int = 1) -> AttributedNetworkUsage:
    """Return what counts as the app's of the last days."""
    now = datetime.now(UTC)
    return await w.manager.usage.get_attributed_network_usage(now - timedelta(days=days - 1), now)


async def test_pushes_and_requests_count_without_a_word_of_the_app(tmp_path: Path) -> None:
    """The request, its answer, the payload as the frame that it came in, and its acknowledgement; also after a restart."""
    seen = Gathered()
    async with world(tmp_path) as w:
        channel = await w.channel()
        before = await used(w)
        asked = len(encode(RequestChannel(2**50, "contoso.mail", "f80e541e-3606-48fb-935e-118a3c5f41f4", "")))
        assert asked - 8 <= before.bytes_sent <= asked
        assert before.bytes_received > len(channel.uri)
        with channel.push_received(handling(seen)):
            sent = payload("A", bytes(1_000))
            await w.service.send(sent)
            await w.service.expect_acknowledged("A")
            await seen.wait_for(1)
        after = await used(w)
        assert after.bytes_received - before.bytes_received == len(encode(sent))
        assert abs(after.bytes_sent - before.bytes_sent - len(encode(Acknowledge(("A",))))) < 3
        assert (after.attribution_id, after.attribution_name) == ("contoso.mail", "contoso.mail")
    async with world(tmp_path, connect=False) as w:
        assert await used(w) == after
    async with read_sqlite(tmp_path / "platform.db") as store:
        rows = await store.usage(0, 10**6, "contoso.mail")
        assert [(row.network, row.sent, row.received) for row in rows] == [
            (NetworkKind.UNKNOWN, after.bytes_sent, after.bytes_received)
        ]


async def test_what_an_app_reports_counts_too(tmp_path: Path) -> None:
    """Each report is added to what there is."""
    async with world(tmp_path) as w:
        await w.manager.usage.add(sent=3)
        await w.manager.usage.add(sent=4, received=5)
        assert await used(w, 62) == AttributedNetworkUsage("contoso.mail", "contoso.mail", 7, 5)
        before = datetime.now(UTC) - timedelta(days=3)
        assert (await w.manager.usage.get_attributed_network_usage(before, before)).bytes_sent == 0


NOW = datetime(2026, 11, 29, tzinfo=UTC)


@pytest.mark.parametrize(
    ("start", "end", "words"),
    [
        (NOW, NOW - timedelta(1), "the end is before the start"),
        (NOW.replace(tzinfo=None), NOW, "the start has no time zone"),
        (NOW, "today", "the end must be datetime"),
    ],
)
async def test_a_span_of_time_that_cannot_be_is_refused(tmp_path: Path, start: Any, end: Any, words: str) -> None:
    """In words; the ends of the calendar are none of these."""
    async with world(tmp_path, connect=False) as w:
        with pytest.raises(InvalidArgument, match=words):
            await w.manager.usage.get_attributed_network_usage(start, end)
        ends = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
        assert (await w.manager.usage.get_attributed_network_usage(*ends)).bytes_sent == 0


@pytest.mark.parametrize("count", [-1, MAX_REPORT + 1, 1.5, True, "1"])
async def test_a_report_that_cannot_be_is_refused(tmp_path: Path, count: Any) -> None:
    """And counts nothing."""
    async with world(tmp_path, connect=False) as w:
        for each in ("sent", "received"):
            with pytest.raises(InvalidArgument, match=f"the bytes {each}"):
                await w.manager.usage.add(**{each: count})
        assert await used(w) == AttributedNetworkUsage("contoso.mail", "contoso.mail", 0, 0)


async def test_background_work_waits_while_the_budget_is_used_up(tmp_path: Path) -> None:
    """What comes meanwhile is acknowledged and kept; it runs in its order when the policy allows more."""
    policy, seen = Told("policy", Policy(daily_data=20_000)), Gathered()
    async with world(tmp_path, host=HostParts(policy=policy)) as w:
        in_foreground = Gathered()
        await w.channel()
        await w.manager.register_activator(PROTOCOL, lambda args: seen.add(args.id))
        with (await w.channel("c2")).push_received(handling(in_foreground)):
            await w.service.send(payload("A"))
            await w.service.expect_acknowledged("A")
            await seen.wait_for(1)
            await w.manager.usage.add(sent=20_000)
            await anyio.wait_all_tasks_blocked()
            assert not w.manager.conditions.settings.within_budget
            await w.service.send(payload("B"), payload("C"), payload("D", channel="c2"))
            await w.service.expect_acknowledged("B", "C", "D")
            await in_foreground.wait_for(1)  # an app that is open goes on
            await anyio.wait_all_tasks_blocked()
            assert seen.items == ["A"]
            policy.tell(Policy(daily_data=100_000))
            await seen.wait_for(3)
        assert w.manager.conditions.settings.within_budget
    assert seen.items == ["A", "B", "C"]


async def test_the_budget_of_a_day_outlives_a_restart(tmp_path: Path) -> None:
    """Nothing of the background begins before it is known."""
    policy = Policy(daily_data=1_000)
    async with world(tmp_path, host=HostParts(policy=Told("policy", policy))) as w:
        await w.channel()
        await w.manager.usage.add(received=1_000)
        await w.service.send(payload("A"))
        await w.service.expect_acknowledged("A")
    seen = Gathered()
    async with world(tmp_path, host=HostParts(policy=Told("policy", policy))) as w:
        await w.manager.register_activator(PROTOCOL, seen.add)
        await anyio.wait_all_tasks_blocked()
        assert seen.items == []
        assert not w.manager.conditions.settings.within_budget
    async with world(tmp_path, host=HostParts(policy=Told("policy", Policy()))) as w:
        await w.manager.register_activator(PROTOCOL, seen.add)
        await seen.wait_for(1)


def test_the_record_is_public() -> None:
    """An app can name it."""
    assert tocsin.AttributedNetworkUsage is AttributedNetworkUsage
