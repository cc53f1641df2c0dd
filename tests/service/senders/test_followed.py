"""A service that is followed tells what it has answered, and answers as it does else."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from tests.service.senders.test_wns_route import deliver
from tests.service.world import World, dial
from tocsin.followers import Follower
from tocsin.protocol.delivery.payload_events import PayloadEvent, Stage, Wanted
from tocsin.protocol.messages import Payload

TOAST: dict[str, str | None] = {"X-WNS-Type": "wns/toast", "Content-Type": "text/xml", "X-WNS-Cache-Policy": "no-cache"}


async def one(follower: Follower) -> PayloadEvent:
    """Return the one event that has come."""
    with anyio.fail_after(1):
        (event,), lost = await follower.batch()
    assert lost == 0
    return event


async def test_what_a_device_has_taken_was_received(world: World) -> None:
    """With its channel, app, type, size and id; the post that would have gone by the express lane is told too."""
    with world.service.followers.follow(Wanted()) as follower:
        answer, payload = await deliver(world, body=b"four")
        event = await one(follower)
    assert (event.stage, event.id, event.channel) == (Stage.RECEIVED, answer.headers["X-WNS-Msg-ID"], payload.channel)
    assert (event.app, event.type, event.size, event.reason) == ("app", "raw", 4, "")


@pytest.mark.parametrize(
    ("request_", "stage", "reason", "detail"),
    [
        ({"headers": TOAST}, Stage.DROPPED, "Device is offline and X-WNS-Cache-Policy is no-cache", ""),
        ({"headers": {"X-WNS-Type": "wns/voice"}}, Stage.REFUSED, "X-WNS-Type", "HTTP 400"),
        ({"headers": {"Authorization": None}}, Stage.REFUSED, "Authorization", "HTTP 401"),
    ],
)
async def test_every_other_answer_has_its_reason(
    standing: World, request_: dict[str, Any], stage: Stage, reason: str, detail: str
) -> None:
    """As the sender reads it; a refusal has its status."""
    with standing.service.followers.follow(Wanted()) as follower:
        await standing.post(**request_)
        event = await one(follower)
    assert (event.stage, event.detail) == (stage, detail)
    assert reason in event.reason


async def test_a_post_under_way_when_following_begins_is_told(world: World) -> None:
    """It went by the express lane, and its device leaves without an acknowledgement."""
    await deliver(world)  # from now on the lane knows channel and token
    async with anyio.create_task_group() as group, dial(world.service) as device:
        await device.greet()
        group.start_soon(world.post)
        payload = await device.receive(Payload)
        with world.service.followers.follow(Wanted()) as follower:
            await device.socket.close()
            event = await one(follower)
    assert (event.id, event.channel, event.size) == (payload.id, payload.channel, len(payload.body))
    assert event.stage is Stage.DROPPED  # a raw notification is not kept, unless its sender has asked for that
