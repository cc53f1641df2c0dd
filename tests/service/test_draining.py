"""A service that is told to stop goes on until load balancers have seen it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
import pytest
from aiohttp import ClientSession
from websockets.frames import CloseCode

from tests.service.world import OTHER_KEY, Device, World, dial, open_world
from tocsin.service.operations.settings import ServiceSettings

DELAY = 12_345 / 8
"""Seconds that are told from all others."""

GOING_AWAY = CloseCode.GOING_AWAY, "the service is stopping"


class Held:
    """Stands for the seconds in which the service goes on: they begin, and end when the test says so."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.over = anyio.Event(), anyio.Event()
        self._sleep = anyio.sleep
        monkeypatch.setattr(anyio, "sleep", self.sleep)

    async def sleep(self, seconds: float) -> None:
        """Wait until the test says so, or as ever."""
        if seconds == DELAY:
            self.begun.set()
            await self.over.wait()
        else:
            await self._sleep(seconds)


@asynccontextmanager
async def asked_to_stop(folder: Path, held: Held) -> AsyncIterator[tuple[World, Device]]:
    """Have a service that has been told to stop and goes on, and a device that was there before; at the end of the block it stops."""
    async with AsyncExitStack() as others, anyio.create_task_group() as group:
        ready, stopping = asyncio.Future[tuple[World, Device]](), anyio.Event()

        async def serve() -> None:
            async with open_world(folder, ServiceSettings(drain_delay=DELAY)) as world:
                device = await others.enter_async_context(dial(world.service))
                await device.greet()
                ready.set_result((world, device))
                await stopping.wait()

        group.start_soon(serve)
        world, device = await ready
        world.http = await others.enter_async_context(ClientSession())
        async with world.http.get(f"{world.service.url}/readyz") as answer:
            assert (answer.status, await answer.json()) == (200, {"status": "ok", "causes": {}})
            assert "Connection" not in answer.headers
        stopping.set()
        await held.begun.wait()
        yield world, device
        held.over.set()
        assert await device.closed() == GOING_AWAY


async def test_it_says_so_and_serves_what_comes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On new connections too, each of which ends behind its answer; devices are closed at the end, those that came meanwhile as well."""
    held = Held(monkeypatch)
    async with asked_to_stop(tmp_path, held) as (world, device):
        async with world.http.get(f"{world.service.url}/readyz") as answer:
            causes = {"stopping": "the service is stopping"}
            assert (answer.status, await answer.json()) == (503, {"status": "unavailable", "causes": causes})
            assert answer.headers["Connection"] == "close"
        async with anyio.create_task_group() as group:
            group.start_soon(device.acknowledge)
            posted = await world.post()
        assert (posted.status, posted.headers["X-WNS-Status"]) == (200, "received")
        assert posted.headers["Connection"] == "close"
        async with dial(world.service) as late:
            await late.greet(OTHER_KEY)
            held.over.set()
            assert await late.closed() == GOING_AWAY


async def test_without_a_delay_it_stops_at_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Which is the default: a program that has a service of its own waits for nothing."""
    held = Held(monkeypatch)
    async with open_world(tmp_path):
        assert ServiceSettings().drain_delay == 0
    assert not held.begun.is_set()
