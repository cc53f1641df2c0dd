"""A sensor that runs, and what it tells."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import anyio
from attrs import Factory, define

from tocsin.host.promises import Sensor
from tocsin.protocol.platform.host_facts import HostFacts

PATIENCE = 5.0
"""Seconds after which what a sensor should tell is given up."""


@define
class Told:
    """What a sensor has told so far."""

    sensor: Sensor
    facts: list[HostFacts] = Factory(list)
    _came: anyio.Event = Factory(anyio.Event)

    def take(self, facts: HostFacts) -> None:
        """Take what it tells."""
        self.facts.append(facts)
        self._came.set()

    async def until(self, wanted: Callable[[HostFacts], bool | None], seconds: float = PATIENCE) -> HostFacts:
        """Wait until the last that it has told is as wanted."""
        with anyio.fail_after(seconds):
            while not self.facts or not wanted(self.facts[-1]):
                self._came = anyio.Event()
                await self._came.wait()
        return self.facts[-1]

    async def until_told(self, number: int) -> HostFacts:
        """Wait until it has told so often."""
        return await self.until(lambda _: len(self.facts) >= number)


@asynccontextmanager
async def telling(sensor: Sensor) -> AsyncIterator[Told]:
    """Run a sensor until the block is left."""
    told = Told(sensor)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(sensor.run, told.take)
        yield told
        tasks.cancel_scope.cancel()
