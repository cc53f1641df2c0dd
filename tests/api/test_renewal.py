"""Channels that end: renewed in time, and forgotten when their time is over, by the service's clock."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.helpers import payload
from tests.world import REMOTE_ID, Gathered, World, dead_rows, world
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.held_channels import ChannelRevoked
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import ChannelsRevoked, RequestChannel
from tocsin.protocol.platform.channel_request import LEAST_LIFE, LONGEST_LIFE
from tocsin.protocol.values import RENEW_BEFORE


async def granted(w: World, name: str, lives: float) -> PushNotificationChannel:
    """Request a channel that lives so many seconds."""
    operation = w.manager.create_channel(REMOTE_ID)
    await w.service.grant(name, expires=w.service.now() + lives)
    channel = (await operation).channel
    assert channel is not None
    return channel


async def later(w: World, seconds: float) -> None:
    """Let the device come back when so much time has gone by at the service."""
    w.service.now = lambda: time.time() + seconds
    await w.service.cut()
    await w.service.accept()


async def test_a_channel_is_renewed_before_it_ends(tmp_path: Path) -> None:
    """A day before its end the service is asked again, the app gets the new channel, and the old one still delivers."""
    renewed, seen = Gathered(), Gathered()
    async with world(tmp_path) as w:
        w.manager.add_channel_renewed(renewed.add)
        first = await granted(w, "old", RENEW_BEFORE + 0.2)
        request = await w.service.grant("new")
        assert (request.app, request.remote_id) == ("contoso.mail", REMOTE_ID)
        assert request.known_uri == first.uri
        await renewed.wait_for(1)
        (second,) = renewed.items
        assert isinstance(second, PushNotificationChannel)
        assert second.uri.endswith("new")
        with first.push_received(lambda args: seen.add(args.id)), second.push_received(lambda args: seen.add(args.id)):
            await w.service.send(payload("A", channel="old"), payload("B", channel="new"))
            await seen.wait_for(2)


async def test_a_renewal_that_is_due_at_the_start_is_made_at_the_start(tmp_path: Path) -> None:
    """Time that has passed while no process ran is made up for, when the service has said how much it was."""
    async with world(tmp_path) as w:
        await granted(w, "old", RENEW_BEFORE + 1)
    renewed = Gathered()
    async with world(tmp_path, connect=False) as w:
        w.service.now = lambda: time.time() + 2
        w.manager.add_channel_renewed(renewed.add)
        await w.service.accept()
        await w.service.grant("new")
        await renewed.wait_for(1)


async def test_a_renewal_is_made_when_the_service_says_that_it_is_time(tmp_path: Path) -> None:
    """A device whose clock stood still meanwhile hears of it with the next welcome."""
    async with world(tmp_path) as w:
        first = await granted(w, "old", 2 * RENEW_BEFORE)
        await later(w, 1.5 * RENEW_BEFORE)
        assert (await w.service.grant("new")).known_uri == first.uri


async def test_a_channel_that_has_ended_is_forgotten(tmp_path: Path) -> None:
    """The app is told as of a revocation, and later payloads of the channel are dead letters."""
    told = Gathered()
    async with world(tmp_path) as w:
        w.manager.add_channel_revoked(told.add)
        await granted(w, "old", 100.0)
        await later(w, 200.0)
        await told.wait_for(1)
        (revoked,) = told.items
        assert isinstance(revoked, ChannelRevoked)
        await w.service.grant("new", expires=w.service.now() + 1e6)
        assert (await revoked.operation).channel is not None
        await w.service.send(payload("A", channel="old"))
        await w.service.expect_acknowledged("A")
    assert await dead_rows(tmp_path) == [("A", "unknown_channel", "")]


@pytest.mark.parametrize("lives", [-31 * 86_400.0, 0.0, LEAST_LIFE - 1, LONGEST_LIFE * 2])
async def test_a_channel_that_cannot_live_is_refused_in_words(tmp_path: Path, lives: float) -> None:
    """The request ends, once, and is not made again: the service would grant the same."""
    async with world(tmp_path) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        at = 3e9
        w.service.now = lambda: at
        await w.service.grant("c1", expires=at + lives)
        result = await operation
        assert result.channel is None
        assert result.extended_error == HResult.E_UNEXPECTED
        again = w.manager.create_channel(REMOTE_ID)
        assert (await w.service.expect(RequestChannel)).known_uri == ""
        again.cancel()


async def test_a_renewal_that_was_lost_is_made_again(tmp_path: Path) -> None:
    """The channel before it is the newest again, and its time has come; no app of this start knows of either."""
    renewed = Gathered()
    async with world(tmp_path) as w:
        w.manager.add_channel_renewed(renewed.add)
        first = await granted(w, "old", RENEW_BEFORE + 0.2)
        await w.service.grant("new")
        await renewed.wait_for(1)
    async with world(tmp_path) as w:
        await later(w, 1.0)
        await w.service.send(ChannelsRevoked(0, ("new",)))
        assert (await w.service.grant("newer")).known_uri == first.uri
