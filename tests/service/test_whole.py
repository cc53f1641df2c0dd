"""The offline store with a real device behind it: a platform with its inbox, that is away and comes back."""

from __future__ import annotations

from pathlib import Path

import tocsin
from tests.service.world import World
from tests.world import Gathered
from tocsin.protocol.service.offline_queue import Phase

CACHE: dict[str, str | None] = {"X-WNS-Cache-Policy": "cache"}


async def open_channel(manager: tocsin.PushNotificationManager, world: World) -> tocsin.PushNotificationChannel:
    """Request the channel of the world's app."""
    result = await manager.create_channel(world.app.remote_id)
    assert result.channel is not None, result
    return result.channel


async def test_an_app_that_was_away_for_an_hour_gets_it_all_once(world: World, tmp_path: Path) -> None:
    """Stored by the service while the app's program is not there, handled in order when it is back, and counted."""
    seen = Gathered()

    def handler(args: tocsin.PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        seen.add((args.payload, args.attempt))

    for life in range(3):
        async with tocsin.embedded("contoso.mail", tmp_path / "app", world.service.url) as manager:
            channel = await open_channel(manager, world)
            with channel.push_received(handler):
                await seen.wait_for(life * 20)
        world.clock.time += 1800
        for number in range(20):
            answer = await world.post(f"{life}.{number}".encode(), CACHE, uri=channel.uri)
            assert answer.headers["X-WNS-Status"] == "received"
        world.clock.time += 1800
    assert seen.items == [(f"{life}.{number}".encode(), 1) for life in range(2) for number in range(20)]
    assert world.counts[Phase.DELIVERED] == 40


async def test_the_service_holds_back_what_the_machine_would_not_take(world: World, tmp_path: Path) -> None:
    """In battery saver a push is received and stays with the service, until the app is exempt."""
    seen = Gathered()

    def handler(args: tocsin.PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        seen.add(args.payload)

    async with tocsin.embedded("contoso.mail", tmp_path / "app", world.service.url) as manager:
        channel = await open_channel(manager, world)
        with channel.push_received(handler):
            await manager.conditions.set_host(energy_saver=True)
            answers = [await world.post(body, uri=channel.uri) for body in (b"1", b"2")]
            assert [answer.headers["X-WNS-Status"] for answer in answers] == ["received"] * 2
            assert seen.items == []
            await manager.conditions.set_app(exempt_from_energy_saver=True)
            await seen.wait_for(2)
    assert seen.items == [b"1", b"2"]
