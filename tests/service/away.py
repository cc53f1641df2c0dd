"""What the tests of the offline store share: posts that are stored, and a device that comes back for them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from tests.service.world import Answer, Device, World, dial
from tocsin.protocol.messages import Acknowledge, ChannelsRevoked, Payload, PowerState, RevokeChannels

CACHE = {"X-WNS-Cache-Policy": "cache"}
XML = {"Content-Type": "text/xml"}
TOAST, TILE, BADGE = ({"X-WNS-Type": f"wns/{kind}", **XML} for kind in ("toast", "tile", "badge"))
OFFLINE_NO_CACHE = "Device is offline and X-WNS-Cache-Policy is no-cache"
ON_BATTERY = PowerState(screen_on_or_plugged=False, battery_saver=False, exempt=())
IN_SAVER = PowerState(screen_on_or_plugged=True, battery_saver=True, exempt=())
AT_EASE = PowerState(screen_on_or_plugged=True, battery_saver=False, exempt=())


async def store(world: World, body: str, *headers: dict[str, str], **request: Any) -> None:
    """Post something that is received although the device cannot take it now."""
    answer = await post(world, body, *headers, **request)
    assert (answer.status, answer.headers["X-WNS-Status"]) == (200, "received"), answer
    assert "X-WNS-Error-Description" not in answer.headers


async def post(world: World, body: str, *headers: dict[str, str], **request: Any) -> Answer:
    """Post a body with headers."""
    return await world.post(body.encode(), {name: value for each in headers for name, value in each.items()}, **request)


async def drain(device: Device) -> list[str]:
    """Take and acknowledge what comes, until the service has nothing more for the device."""
    got: list[Payload] = []
    await heard(device)
    while device.waiting():
        fresh = [await device.receive(Payload) for _ in range(device.waiting())]
        await device.send(Acknowledge(tuple(payload.id for payload in fresh)))
        await heard(device)
        got += fresh
    return [payload.body.decode() for payload in got]


async def heard(device: Device) -> None:
    """Wait until the service has dealt with all that the device has sent, and sent what it had to.

    The answer to the second question comes after what the first could overtake in the store, that to the third after
    what the second could overtake on the way out. That is so of a store that answers in the order of the questions, as SQLite's
    does: PostgreSQL's has several connections for reading, and does not promise it.
    """
    for _ in range(3):
        await device.send(RevokeChannels(99, "nobody"))
        await device.skip_to(ChannelsRevoked)


@asynccontextmanager
async def back(world: World) -> AsyncIterator[Device]:
    """Let the device come back."""
    async with dial(world.service) as device:
        await device.greet()
        yield device
