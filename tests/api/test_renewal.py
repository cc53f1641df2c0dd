"""Channels that end: renewed in time, and forgotten when their time is over."""

from __future__ import annotations

import time
from pathlib import Path

from tests.helpers import payload
from tests.world import REMOTE_ID, Gathered, dead_rows, world
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.manager import ChannelRevoked
from tocsin.protocol.channel_request import RENEW_BEFORE


async def test_a_channel_is_renewed_before_it_ends(tmp_path: Path) -> None:
    """A day before its end the service is asked again, the app gets the new channel, and the old one still delivers."""
    renewed, seen = Gathered(), Gathered()
    async with world(tmp_path) as w:
        w.manager.add_channel_renewed(renewed.add)
        operation = w.manager.create_channel(REMOTE_ID)
        await w.service.grant("old", expires=time.time() + RENEW_BEFORE + 0.2)
        first = (await operation).channel
        assert first is not None
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
    """Time that has passed while no process ran is made up for."""
    async with world(tmp_path) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        await w.service.grant("old", expires=time.time() + RENEW_BEFORE + 1)
        await operation
    renewed = Gathered()
    async with world(tmp_path) as w:
        w.manager.add_channel_renewed(renewed.add)
        await w.service.grant("new")
        await renewed.wait_for(1)


async def test_a_channel_that_has_ended_is_forgotten(tmp_path: Path) -> None:
    """The app is told as of a revocation, and what comes for the channel has nobody to take it."""
    told = Gathered()
    async with world(tmp_path) as w:
        w.manager.add_channel_revoked(told.add)
        operation = w.manager.create_channel(REMOTE_ID)
        await w.service.grant("old", expires=time.time() + 0.2)
        await operation
        await told.wait_for(1)
        (revoked,) = told.items
        assert isinstance(revoked, ChannelRevoked)
        await w.service.grant("new")
        assert (await revoked.operation).channel is not None
        await w.service.send(payload("A", channel="old"))
        await w.service.expect_acknowledged("A")
    assert await dead_rows(tmp_path) == [("A", "unknown_channel", "")]
