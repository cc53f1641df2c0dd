"""What a device's connection takes of the service, and gives back."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest

from tests.service.world import KEY, World, dial
from tocsin.service.devices.platform_connection import PlatformConnection
from tocsin.service.web.bounded_websocket import BoundedWebSocket


def _sockets() -> list[BoundedWebSocket]:
    """Return all that there are."""
    return [each for each in gc.get_objects() if type(each) is BoundedWebSocket]


def _connections() -> int:
    """Count all that there are."""
    return sum(type(each) is PlatformConnection for each in gc.get_objects())


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("greets", [True, False])
async def test_a_device_that_leaves_is_let_go_of_at_once(world: World, greets: bool) -> None:
    """A process that serves looks for garbage rarely: nothing of a connection is in a cycle when it has ended."""
    sockets, connections = len(_sockets()), _connections()
    async with dial(world.service) as device:
        if greets:
            await device.greet(KEY)
            await device.channel(world.app.remote_id)
        transport = weakref.ref(_sockets()[-1].transport)
        assert (len(_sockets()), _connections()) == (sockets + 1, connections + 1)
    async with asyncio.timeout(10):
        while transport() is not None:  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0)
    assert (len(_sockets()), _connections()) == (sockets, connections)
