"""What can go wrong with the store and on the wire: by number, never by chance."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from enum import StrEnum
from functools import partial
from typing import Any

import anyio
from anyio.lowlevel import checkpoint
from anyio.streams.stapled import StapledObjectStream
from attrs import Factory, define

from tests.helpers import MemoryWire
from tests.simulation.record import Record
from tocsin.persistence.memory_store import MemoryStore
from tocsin.protocol.errors import StateUnavailable
from tocsin.transport.wire import WireBroken

TURNS = 6
"""Turns of the scheduler that a store call takes before it goes wrong, so that others can do what they should not."""


class StoreFault(StrEnum):
    """How a store call goes wrong."""

    FAIL_BEFORE = "fail_before"
    """It fails, and nothing of it was done."""
    FAIL_AFTER = "fail_after"
    """It fails, but all of it was done: the caller cannot know."""
    KILL_BEFORE = "kill_before"
    """The process dies with nothing of it done."""
    KILL_AFTER = "kill_after"
    """The process dies when it was done, before the caller hears of it."""
    SLOW = "slow"
    """It takes its time, half of it before anything is done."""


@define(eq=False)
class StoreFaults:
    """Counts the calls of all lives of the platform, and says which of them go wrong."""

    record: Record
    calls: int = 0
    planned: dict[int, tuple[StoreFault, float]] = Factory(dict)
    """By the number of the call, from 1: the fault, and the seconds of a slow call."""

    def take(self, method: str) -> tuple[StoreFault | None, float]:
        """Count a call, and say what becomes of it."""
        self.calls += 1
        fault, seconds = self.planned.pop(self.calls, (None, 0.0))
        self.record.say("store", self.calls, method, *([fault] if fault else []))
        if fault is not None:
            self.record.faults[f"store {fault}"] += 1
        return fault, seconds


class FragileStore:
    """The store as one life of the platform holds it; it keeps the promise of ``Store`` as far as the faults let it."""

    def __init__(self, store: MemoryStore, faults: StoreFaults, kill: Callable[[], None]) -> None:
        self._store = store
        self._faults = faults
        self._kill = kill
        self.alive = True

    def __getattr__(self, method: str) -> Callable[..., Awaitable[Any]]:
        """Return any method of a store."""
        return partial(self._call, method)

    async def _call(self, method: str, *arguments: Any, **keywords: Any) -> Any:
        if not self.alive:
            await anyio.sleep_forever()
        fault, seconds = self._faults.take(method)
        call = partial(getattr(self._store, method), *arguments, **keywords)
        if fault is None:
            return await call()
        return await self._go_wrong(fault, seconds, call)

    async def _go_wrong(self, fault: StoreFault, seconds: float, call: Callable[[], Awaitable[Any]]) -> Any:
        for _ in range(TURNS):
            await checkpoint()
        if fault is StoreFault.SLOW:
            self._faults.record.excuse(seconds)
            await anyio.sleep(seconds / 2)
        result = None if fault in {StoreFault.FAIL_BEFORE, StoreFault.KILL_BEFORE} else await call()
        if fault is StoreFault.SLOW:
            await anyio.sleep(seconds / 2)
        elif fault in {StoreFault.FAIL_BEFORE, StoreFault.FAIL_AFTER}:
            raise StateUnavailable("the store was made to fail")
        else:
            self._kill()
            await anyio.sleep_forever()
        return result


@define(eq=False)
class WireFaults:
    """Counts the chunks in both directions, and says with which of them the wire breaks."""

    record: Record
    chunks: dict[str, int] = Factory(lambda: {"up": 0, "down": 0})
    planned: dict[tuple[str, int], bool] = Factory(dict)
    """By direction and number of the chunk: whether it still gets through."""

    def take(self, direction: str) -> bool | None:
        """Count a chunk, and say whether it is the last, and gets through."""
        self.chunks[direction] += 1
        passes = self.planned.pop((direction, self.chunks[direction]), None)
        if passes is not None:
            self.record.faults[f"wire broken {'after' if passes else 'before'} a chunk {direction}"] += 1
        return passes


class FragileWire(MemoryWire):
    """One end of a wire in memory, which breaks when it is its turn."""

    def __init__(self, stream: StapledObjectStream[bytes], faults: WireFaults, direction: str) -> None:
        super().__init__(stream)
        self._faults = faults
        self._direction = direction

    async def send(self, chunk: bytes) -> None:
        """Send a chunk, unless the wire breaks before."""
        passes = self._faults.take(self._direction)
        if passes is not False:
            await super().send(chunk)
        if passes is not None:
            await self.aclose()
            raise WireBroken("the wire was made to break")


def wires(faults: WireFaults) -> tuple[FragileWire, FragileWire]:
    """Make a wire, and return the device's end and the service's."""
    up, down = (anyio.create_memory_object_stream[bytes](1024) for _ in range(2))
    device = StapledObjectStream(up[0], down[1])
    service = StapledObjectStream(down[0], up[1])
    return FragileWire(device, faults, "up"), FragileWire(service, faults, "down")
