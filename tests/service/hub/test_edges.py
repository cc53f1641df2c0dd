"""Messages of a hub at the edges: limits, slow devices, ends of patience, hubs that go, and a stop in the middle."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import pytest

from tests.service.hub.hub_world import RAW, HubWorld, connected, open_hub
from tests.service.hub.test_sending import KEYS, SOON, details, id_of, pass_time
from tests.service.world import dial
from tocsin.protocol.delivery.payload_events import Stage, Wanted
from tocsin.protocol.hub.rights import Right
from tocsin.protocol.messages import Acknowledge, Payload
from tocsin.service.hub import message_sending, page, target_delivery, target_pages
from tocsin.service.hub.composing import Compose
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.hub_store import MessageRow

DEAF = ServiceSettings.private(acknowledge_timeout=0.1)
"""A service that soon takes a device for one that does not answer."""


@asynccontextmanager
async def passing(hub: HubWorld) -> AsyncIterator[None]:
    """Let the service's clock go on while the block runs."""
    async with anyio.create_task_group() as group:
        group.start_soon(pass_time, hub)
        yield
        group.cancel_scope.cancel()


def rows(state: Path, table: str) -> int:
    """Count the rows of a table on disk."""
    with closing(sqlite3.connect(f"{(state / 'service.db').as_uri()}?mode=ro", uri=True)) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  # ours


async def test_what_is_not_acknowledged_is_given_up_in_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After so many attempts under one id, those before a restart counted; then the message is Abandoned."""
    monkeypatch.setattr(target_delivery, "wait_before", lambda attempt: 0.2 if attempt < 3 else None)
    ids: list[str] = []
    async with open_hub(tmp_path, DEAF) as hub, connected(hub, KEYS[0]) as (device, uri):
        await hub.register(uri)
        id_ = id_of(await hub.send(b"x"))
        ids.append((await device.receive(Payload)).id)
        await _attempted(tmp_path, 1)
    for attempt in (2, 3):
        async with open_hub(tmp_path, DEAF) as hub, dial(hub.world.service) as device:
            await device.greet(KEYS[0])
            hub.world.clock.time += attempt
            ids.append((await device.receive(Payload)).id)
            if attempt < 3:
                await _attempted(tmp_path, attempt)
            else:
                told = await details(hub, id_, "Abandoned")
                assert re.search("<Name>PnsUnavailable</Name><Count>1</Count>", told)
    assert not rows(tmp_path, "hub_retries")
    assert len(ids) == 3
    assert len(set(ids)) == 1


async def _attempted(state: Path, attempts: int) -> None:
    """Wait until it is on disk that the only target was tried so often."""
    with (
        anyio.fail_after(5),
        closing(sqlite3.connect(f"{(state / 'service.db').as_uri()}?mode=ro", uri=True)) as database,
    ):
        while database.execute("SELECT attempts FROM hub_retries").fetchall() != [(attempts,)]:
            await anyio.lowlevel.checkpoint()


async def test_a_limit_of_a_channel_delays_and_loses_nothing(tmp_path: Path) -> None:
    """What a channel takes no more of just now is tried again when it takes more."""
    settings = ServiceSettings.private(channel_rate=1.0, channel_burst=1)
    async with open_hub(tmp_path, settings) as hub, connected(hub, KEYS[0]) as (device, uri):
        await hub.register(uri)
        ids = [id_of(await hub.send(str(number).encode())) for number in range(2)]
        async with passing(hub):
            assert {(await device.acknowledge()).body for _ in ids} == {b"0", b"1"}
            for id_ in ids:
                assert "<Name>Success</Name><Count>1</Count>" in await details(hub, id_, "Completed")


async def test_a_limit_of_an_app_delays_and_loses_nothing(tmp_path: Path) -> None:
    """The message waits; it counts as no attempt."""
    settings = ServiceSettings.private(app_rate=1.0, app_burst=1)
    async with open_hub(tmp_path, settings) as hub, connected(hub, KEYS[0]) as (device, uri):
        await hub.register(uri)
        ids = [id_of(await hub.send(str(number).encode())) for number in range(2)]
        async with passing(hub):
            assert {(await device.acknowledge()).body for _ in ids} == {b"0", b"1"}
            for id_ in ids:
                assert "<Name>Success</Name><Count>1</Count>" in await details(hub, id_, "Completed")
        assert not rows(tmp_path, "hub_retries")


async def test_what_is_late_is_dropped_for_that_reason(tmp_path: Path) -> None:
    """The TTL of a message that is scheduled begins when it is due."""
    async with open_hub(tmp_path) as hub:
        async with connected(hub, KEYS[0]) as (_, uri):
            await hub.register(uri)
        headers = RAW | SOON | {"X-WNS-TTL": "3"}
        late = id_of(await hub.ask("POST", "schedulednotifications", b"late", right=Right.SEND, **headers))
        headers |= {"X-WNS-TTL": "30"}
        early = id_of(await hub.ask("POST", "schedulednotifications", b"early", right=Right.SEND, **headers))
    async with open_hub(tmp_path, later=10) as hub, dial(hub.world.service) as device:
        await device.greet(KEYS[0])
        hub.world.clock.time += 2
        payload = await device.acknowledge()
        assert payload.body == b"early"
        assert payload.expires is not None
        assert abs(payload.expires - (1_800_000_000 + 5 + 30)) < 2
        await details(hub, early, "Completed")
        told = await details(hub, late, "Completed")
        assert re.search("<Name>Dropped</Name><Count>1</Count><Detail>1 x X-WNS-TTL was over", told)
        assert device.waiting() == 0


async def test_a_ttl_of_a_second_is_good_for_it(tmp_path: Path) -> None:
    """What is sent half a second after it was due is not late."""
    async with open_hub(tmp_path) as hub, connected(hub, KEYS[0]) as (device, uri):
        await hub.register(uri)
        headers = RAW | SOON | {"X-WNS-TTL": "1"}
        await hub.ask("POST", "schedulednotifications", b"in time", right=Right.SEND, **headers)
        hub.world.clock.time = 1_800_000_000 + 5.5
        assert (await device.acknowledge()).body == b"in time"


async def test_one_slow_device_holds_up_so_many_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those behind them come when it has acknowledged; a message that came later does not wait for it."""
    monkeypatch.setattr(target_pages, "PAGE", 1)
    monkeypatch.setattr(message_sending, "MAX_PAGES", 2)
    async with (
        open_hub(tmp_path) as hub,
        connected(hub, KEYS[0]) as (slow, uri_slow),
        connected(hub, KEYS[1]) as (quick, uri_quick),
        connected(hub, KEYS[2]) as (last, uri_last),
    ):
        for uri, tag in ((uri_slow, "slow"), (uri_quick, "quick"), (uri_last, "last")):
            await hub.register(uri, tag)
        id_ = id_of(await hub.send(b"x"))
        held = await slow.receive(Payload)
        assert (await quick.acknowledge()).body == b"x"
        other = id_of(await hub.send(b"other", "last"))
        assert (await last.acknowledge()).body == b"other"
        await details(hub, other, "Completed")
        assert last.waiting() == 0
        await slow.send(Acknowledge((held.id,)))
        assert (await last.acknowledge()).body == b"x"
        assert "<Name>Success</Name><Count>3</Count>" in await details(hub, id_, "Completed")


async def test_a_channel_that_is_registered_twice_gets_a_message_once(tmp_path: Path) -> None:
    """While the first is under way the second is none of its targets; what comes later has the same id."""
    async with open_hub(tmp_path) as hub, connected(hub, KEYS[0]) as (device, uri):
        await hub.register(uri, "a")
        await hub.register(uri, "b")
        id_ = id_of(await hub.send(b"x"))
        assert (await device.acknowledge()).body == b"x"
        assert "<Name>Success</Name><Count>1</Count>" in await details(hub, id_, "Completed")
        assert device.waiting() == 0


async def test_a_hub_that_is_removed_sends_nothing_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not what is under way either; nothing of it is left, and another hub of the same name begins anew."""
    monkeypatch.setattr(target_pages, "PAGE", 1)
    monkeypatch.setattr(message_sending, "MAX_PAGES", 1)
    async with (
        open_hub(tmp_path) as hub,
        connected(hub, KEYS[0]) as (one, uri_one),
        connected(hub, KEYS[1]) as (two, uri_two),
    ):
        for uri in (uri_one, uri_two):
            await hub.register(uri)
        id_of(await hub.send(b"removed"))
        held = await one.receive(Payload)
        hubs = hub.world.service.hubs
        await hubs.remove("contoso")
        await one.send(Acknowledge((held.id,)))
        hub.keys = await hubs.add("contoso")
        await hub.register(uri_two)
        id_ = id_of(await hub.send(b"anew"))
        assert (await two.acknowledge()).body == b"anew"
        await details(hub, id_, "Completed")
        assert (rows(tmp_path, "hub_messages"), rows(tmp_path, "hub_retries")) == (1, 0)


async def test_what_comes_while_its_hub_is_removed_goes_with_it(tmp_path: Path) -> None:
    """A message that is on disk behind its hub's removal is not kept for ever."""
    async with open_hub(tmp_path) as hub:
        later = await hub.ask("POST", "schedulednotifications", b"x", right=Right.SEND, **(RAW | SOON))
        id_of(later)
        with closing(sqlite3.connect(tmp_path / "service.db")) as database:
            database.execute("DELETE FROM hubs")
            database.commit()
    async with open_hub(tmp_path, later=10):
        with anyio.fail_after(5):
            while rows(tmp_path, "hub_messages"):
                await anyio.lowlevel.checkpoint()


async def test_a_stop_in_the_middle_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The target that has it is not sent it again, the one that had begun is, and so are those behind."""
    monkeypatch.setattr(target_pages, "PAGE", 1)
    async with (
        open_hub(tmp_path) as hub,
        connected(hub, KEYS[0]) as (one, uri_one),
        connected(hub, KEYS[1]) as (two, uri_two),
        connected(hub, KEYS[2]) as (three, uri_three),
    ):
        for uri in (uri_one, uri_two, uri_three):
            await hub.register(uri)
        id_ = id_of(await hub.send(b"x"))
        await one.acknowledge()
        held = [(await device.receive(Payload)).id for device in (two, three)]
        with anyio.fail_after(5):
            while not _place(tmp_path):
                await anyio.lowlevel.checkpoint()
    async with (
        open_hub(tmp_path) as hub,
        dial(hub.world.service) as one,
        dial(hub.world.service) as two,
        dial(hub.world.service) as three,
    ):
        for device, key in ((one, KEYS[0]), (two, KEYS[1]), (three, KEYS[2])):
            await device.greet(key)
        hub.world.clock.time += 2
        async with passing(hub):
            assert [(await device.acknowledge()).id for device in (two, three)] == held
            assert "<Name>Success</Name><Count>3</Count>" in await details(hub, id_, "Completed")
        assert one.waiting() == 0


def _place(state: Path) -> int:
    with closing(sqlite3.connect(f"{(state / 'service.db').as_uri()}?mode=ro", uri=True)) as database:
        return int(database.execute("SELECT place FROM hub_messages").fetchone()[0])


async def test_a_fault_of_the_service_ends_in_that_target(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A retry that fails for whatever reason counts as an attempt; the others go on."""

    def broken(_: MessageRow) -> Compose:
        raise KeyError("planted")

    monkeypatch.setattr(page, "wait_before", lambda attempt: 0.0 if attempt < 4 else None)
    async with open_hub(tmp_path, DEAF) as hub, connected(hub, KEYS[0]) as (device, uri):
        await hub.register(uri)
        id_ = id_of(await hub.send(b"x"))
        await device.receive(Payload)
        await _attempted(tmp_path, 1)
        with monkeypatch.context() as patch:
            patch.setattr(message_sending, "composer", broken)
            async with passing(hub):
                told = await details(hub, id_, "Abandoned")
        assert "1 x The service could not try it" in told
        assert not rows(tmp_path, "hub_retries")
        other = id_of(await hub.send(b"y"))
        assert (await device.acknowledge()).body == b"y"
        await details(hub, other, "Completed")


async def test_what_is_scheduled_does_not_wait_for_what_is_tried_again(tmp_path: Path) -> None:
    """A limit that holds up a retry for minutes holds up no message that is due."""
    settings = ServiceSettings.private(acknowledge_timeout=0.1, app_rate=0.01, app_burst=1)
    async with open_hub(tmp_path, settings) as hub, connected(hub, KEYS[0]) as (device, uri):
        await hub.register(uri)
        id_of(await hub.send(b"x"))
        assert (await device.receive(Payload)).body == b"x"
        await _attempted(tmp_path, 1)
        async with passing(hub):
            with anyio.fail_after(5):
                while hub.world.clock.time < 1_800_000_003:  # it is tried again, and waits for its app
                    await anyio.lowlevel.checkpoint()
            headers = {
                "ServiceBusNotification-ScheduleTime": "2027-01-15T08:00:05",
                "ServiceBusNotification-Tags": "none",
            }
            later = id_of(await hub.ask("POST", "schedulednotifications", b"y", right=Right.SEND, **(RAW | headers)))
            with anyio.fail_after(10):
                await details(hub, later, "NoTargetFound")
        await _attempted(tmp_path, 1)


async def test_followers_hear_of_it(tmp_path: Path) -> None:
    """Of each target: what was received, and what is tried again, with the hub and the message."""
    async with open_hub(tmp_path, DEAF) as hub, connected(hub, KEYS[0]) as (device, uri):
        await hub.register(uri)
        with hub.world.service.followers.follow(Wanted()) as follower, anyio.fail_after(5):
            id_ = id_of(await hub.send(b"four"))
            payload = await device.receive(Payload)
            (refused,), _ = await follower.batch()
            async with passing(hub):
                assert (await device.acknowledge()).id == payload.id
                (received,), _ = await follower.batch()
    assert [(event.stage, event.id, event.type, event.size, event.channel) for event in (refused, received)] == [
        (stage, payload.id, "raw", 4, payload.channel) for stage in (Stage.REFUSED, Stage.RECEIVED)
    ]
    assert {event.detail for event in (refused, received)} == {f"hub contoso, message {id_}"}
