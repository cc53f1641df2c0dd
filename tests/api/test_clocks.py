"""A device whose wall clock is set to anything: what the service has set ends by the service's clock."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import cast

import pytest

from tests.helpers import PATIENCE, payload
from tests.world import Gathered, World, dead_rows, handling, open_rows, world
from tocsin.actors.actor_runner import Kernel
from tocsin.actors.clock import LoopClock
from tocsin.actors.lifecycle import open_platform
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.embedded import local_session
from tocsin.api.manager import PushNotificationManager
from tocsin.client.wns_client import WnsClient
from tocsin.persistence.sqlite_store import read_sqlite
from tocsin.protocol.delivery.dead_letter_policy import DeadLetterPolicy
from tocsin.protocol.values import CHANNEL_LIFETIME
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import PushService, open_service
from tocsin.transport.websocket_wire import dial_websocket

DAY = 86_400.0
APART = (900.0, 31 * DAY, 40 * DAY, -40 * DAY)
"""Seconds by which the device's clock is ahead: a quarter of an hour and 31 days were enough to lose everything."""


class DeviceClock(LoopClock):
    """A wall clock that can be set, and a steady one that can be put on."""

    def __init__(self) -> None:
        super().__init__()
        self.ahead = 0.0
        self.gone_by = 0.0

    def wall(self) -> float:
        """Return what it was set to."""
        return time.time() + self.ahead + self.gone_by

    def steady(self) -> float:
        """Return seconds from anywhere."""
        return super().steady() + self.gone_by


@pytest.fixture
def clock() -> DeviceClock:
    """Give the clocks of a device."""
    return DeviceClock()


@pytest.fixture
def kernel(clock: DeviceClock) -> Kernel:
    """Give a kernel that takes its time by them."""
    return Kernel(clock=clock)


@pytest.mark.parametrize("ahead", APART)
async def test_a_device_whose_clock_is_wrong_gets_what_was_received(
    tmp_path: Path, clock: DeviceClock, kernel: Kernel, ahead: float
) -> None:
    """While it is connected, and what was stored for it, over a real service; it asks for one channel."""
    clock.ahead = ahead
    seen = Gathered()
    for folder in ("service", "device"):
        (tmp_path / folder).mkdir()
    async with open_service(tmp_path / "service", ServiceSettings.private(port=0)) as service:
        app = await service.register("contoso.mail")
        dial = partial(dial_websocket, service.device_url)

        async def receive(count: int) -> PushNotificationChannel:
            async with (
                open_platform(tmp_path / "device", dial, kernel=kernel) as platform,
                local_session(platform, "contoso.mail") as session,
            ):
                manager = PushNotificationManager(session, "contoso.mail", None)
                channel = (await manager.create_channel(app.remote_id)).channel
                assert channel is not None
                if not uris:
                    uris.append(channel.uri)
                    await send("live", ttl=600)
                with channel.push_received(handling(seen)):
                    await seen.wait_for(count)
            return channel

        async def send(body: str, **wanted: object) -> None:
            async with WnsClient(app.client_id, app.client_secret, token_url=service.token_url) as client:
                result = await client.send(uris[0], body, **wanted)  # type: ignore[arg-type]  # a TTL and a cache policy
                assert result.status == "received"

        uris: list[str] = []
        channel = await receive(1)
        ends = datetime.now(UTC) + timedelta(seconds=CHANNEL_LIFETIME + ahead)
        assert abs(channel.expiration_time - ends) < timedelta(seconds=PATIENCE)
        await send("stored", ttl=600, cache=True)
        assert (await receive(2)).uri == channel.uri
        assert channels_of(service) == 1
    assert await dead_rows(tmp_path / "device") == []


def channels_of(service: PushService) -> float:
    """Return how many channels the service keeps."""
    return service.report().gauges["channels"]


@pytest.mark.parametrize("ahead", APART)
async def test_a_clock_that_is_set_while_the_platform_runs_ends_nothing(
    tmp_path: Path, clock: DeviceClock, kernel: Kernel, ahead: float
) -> None:
    """Neither what waits in the inbox, nor what comes after that, nor the channel."""
    lost, seen = Gathered(), Gathered()
    async with world(tmp_path, kernel=kernel) as w:
        w.manager.add_channel_revoked(lost.add)
        channel = await granted(w)
        await expiring(w, "A", 600.0)
        clock.ahead = ahead
        await w.service.cut()  # so that everything looks at its clock
        await w.service.accept()
        await expiring(w, "B", 600.0)
        with channel.push_received(handling(seen)):
            await seen.wait_for(2)
    assert lost.items == await dead_rows(tmp_path) == []


def ids(seen: Gathered) -> list[str]:
    """Return the ids of what a handler has got."""
    return [str(cast(tuple[str, int], item)[0]) for item in seen.items]


async def granted(w: World, lives: float = CHANNEL_LIFETIME) -> PushNotificationChannel:
    """Request a channel that lives so many seconds."""
    operation = w.manager.create_channel("f80e541e-3606-48fb-935e-118a3c5f41f4")
    await w.service.grant("c1", expires=w.service.now() + lives)
    channel = (await operation).channel
    assert channel is not None
    return channel


async def expiring(w: World, id_: str, ttl: float) -> None:
    """Send a payload that lives so many seconds, and wait until it is acknowledged."""
    now = w.service.now()
    await w.service.send(payload(id_, expires=now + ttl, sent=now))
    await w.service.expect_acknowledged(id_)


async def test_a_payload_expires_when_its_time_has_gone_by(tmp_path: Path, clock: DeviceClock, kernel: Kernel) -> None:
    """On the steady clock, without a word from the service."""
    seen = Gathered()
    async with world(tmp_path, kernel=kernel) as w:
        channel = await granted(w)
        await expiring(w, "short", 600.0)
        await expiring(w, "long", 1200.0)
        clock.gone_by = 601.0
        with channel.push_received(handling(seen)):
            await seen.wait_for(1)
    assert ids(seen) == ["long"]
    assert await dead_rows(tmp_path) == [("short", "expired", "")]


async def test_a_payload_is_not_late_on_a_device_whose_clock_is_fast(
    tmp_path: Path, clock: DeviceClock, kernel: Kernel
) -> None:
    """It says itself when it was sent: a connection may last for months, and no two clocks go the same."""
    seen = Gathered()
    async with world(tmp_path, kernel=kernel) as w:
        channel = await granted(w)
        clock.gone_by = 90.0  # since the welcome the service's clock has gone no further
        await expiring(w, "A", 60.0)
        with channel.push_received(handling(seen)):
            await seen.wait_for(1)


async def test_what_may_have_expired_while_the_machine_was_off_waits_for_the_service(
    tmp_path: Path, clock: DeviceClock, kernel: Kernel
) -> None:
    """The wall clock says so, and may have been set: neither is it thrown away nor handed out before it is known."""
    async with world(tmp_path, kernel=kernel) as w:
        await granted(w)
        for id_, ttl in (("A", 600.0), ("B", 1e9), ("C", 600.0)):
            await expiring(w, id_, ttl)
    clock.ahead = DAY
    seen = Gathered()
    async with world(tmp_path, kernel=kernel, connect=False) as w:
        w.manager._session.subscribe("c1", handling(seen))
        await seen.wait_for(1)
        assert ids(seen) == ["B"]
        await w.service.accept()
        await seen.wait_for(3)
        assert sorted(ids(seen)) == ["A", "B", "C"]
    assert await dead_rows(tmp_path) == []
    assert await open_rows(tmp_path) == []


async def test_what_has_expired_while_the_machine_was_off_is_a_dead_letter(
    tmp_path: Path, clock: DeviceClock, kernel: Kernel
) -> None:
    """As soon as the service has said what time it is there; nothing of it was handed out before."""
    async with world(tmp_path, kernel=kernel) as w:
        await granted(w)
        await expiring(w, "A", 600.0)
    clock.ahead = DAY
    seen = Gathered()
    async with world(tmp_path, kernel=kernel, connect=False) as w:
        w.manager._session.subscribe("c1", handling(seen))
        w.service.now = lambda: time.time() + DAY
        await w.service.accept()
        await expiring(w, "B", 600.0)
        await seen.wait_for(1)
    assert seen.items == [("B", 1)]
    assert await dead_rows(tmp_path) == [("A", "expired", "")]


async def test_a_clock_that_was_set_ahead_makes_no_dead_letter_old(
    tmp_path: Path, clock: DeviceClock, kernel: Kernel
) -> None:
    """They are kept for so many days of the service's time too."""
    policy = DeadLetterPolicy(days=30)
    async with world(tmp_path, kernel=kernel, dead_letters=policy) as w:
        await granted(w, lives=1e9)
        await expiring(w, "A", -1.0)
    clock.ahead = 40 * DAY
    async with world(tmp_path, kernel=kernel, dead_letters=policy, connect=False) as w:
        w.service.now = lambda: time.time() + 40 * DAY
        await w.service.accept()
        await expiring(w, "B", 600.0)
    assert await dead_rows(tmp_path) == [("A", "expired", "")]
    async with world(tmp_path, kernel=kernel, dead_letters=policy):
        pass
    async with read_sqlite(tmp_path / "platform.db") as store:
        assert await store.dead_letter_counts() == {"expired": 1}
    assert await dead_rows(tmp_path) == []
