"""The machine's state and the user's settings, as an app or a test sets them."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.helpers import payload
from tests.world import Gathered, dead_rows, world
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.protocol.errors import InvalidArgument

Args = PushNotificationReceivedEventArgs


async def test_energy_saver_holds_back_and_lets_go(tmp_path: Path) -> None:
    """Energy saver keeps everything from an app, and the lowest priority even from one that is exempt."""
    seen = Gathered()

    def handler(args: Args) -> None:
        args.handled = True
        seen.add(args.id)

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.manager.conditions.set_host(energy_saver=True)
            await w.service.send(payload("A"), payload("B", priority=1))
            await w.service.expect_acknowledged("A", "B")
            await anyio.wait_all_tasks_blocked()
            assert seen.items == []
            await w.manager.conditions.set_app(exempt_from_energy_saver=True)
            await seen.wait_for(2)
            await w.service.send(payload("C", priority=4), payload("D", priority=3))
            await seen.wait_for(3)
            await w.manager.conditions.set_host(energy_saver=False)
            await seen.wait_for(4)
    assert seen.items == ["A", "B", "D", "C"]


@pytest.mark.parametrize(
    ("host", "app", "reason"),
    [
        ({"cloud_notifications": False}, {}, "cloud_disabled"),
        ({}, {"notifications": False}, "notifications_disabled"),
        ({"cloud_notifications": False}, {"notifications": False}, "cloud_disabled"),
    ],
)
async def test_gates_drop_with_their_reason(
    tmp_path: Path, host: dict[str, bool], app: dict[str, bool], reason: str
) -> None:
    """Policy comes before the user's setting; what they refuse is acknowledged and listed."""
    async with world(tmp_path) as w:
        await w.channel()
        await w.manager.conditions.set_host(**host)
        await w.manager.conditions.set_app(**app)
        await w.service.send(payload("A"))
        await w.service.expect_acknowledged("A")
    assert await dead_rows(tmp_path) == [("A", reason, "")]


async def test_what_cannot_be_set_is_refused(tmp_path: Path) -> None:
    """A field that does not exist is named, and nothing changes."""
    async with world(tmp_path) as w:
        before = w.manager.conditions.host
        with pytest.raises(InvalidArgument, match="moon_phase"):
            await w.manager.conditions.set_host(moon_phase=True)
        with pytest.raises(InvalidArgument, match="colour"):
            await w.manager.conditions.set_app(colour=True)
        assert w.manager.conditions.host == before
