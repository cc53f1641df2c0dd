"""Payloads through the actors with the store in memory: from the connection's frame to the handler, and done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from time import perf_counter

import anyio
from msgpack import Packer, unpackb

from bench import actor_libraries
from bench.durable import WINDOW
from bench.framework import Contestant, Options, Report, Sample, measure, run_on
from bench.load import BODY, ServiceEnd, attached, frame
from tocsin.actors.actor_runner import Kernel
from tocsin.actors.topology import Platform
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.persistence.memory_store import MemoryStore
from tocsin.persistence.store import Changes
from tocsin.protocol.platform.retry_schedule import RetryPolicy
from tocsin.transport.frame_traffic import ArrivalHandlers
from tocsin.transport.service_connection import ServiceConnection

_QUEUE = 1024


def run(options: Options) -> Report:
    """Measure the actors beside a bare queue and other actor libraries."""
    report = Report(
        "inprocess", f"{BODY}-byte payloads through all actors to an async handler, with the store in memory"
    )
    payloads = options.sized(200_000, 50)
    contestants = [
        Contestant(f"floor: one asyncio.Queue and one msgpack round, {loop}", partial(_floor, loop, payloads), "floor")
        for loop in options.loops
    ]
    for loop in options.loops:
        for channels in (1, 32):
            name = f"tocsin, {channels} channel{'s' * (channels > 1)}, {loop}"
            contestants.append(Contestant(name, partial(_tocsin, loop, payloads, channels)))
    contestants += actor_libraries.contestants(payloads, report.skipped)
    return measure(report, contestants, options.rounds)


def _tocsin(loop: str, payloads: int, channels: int) -> Sample:
    return run_on(loop, partial(through_actors, payloads, channels))


async def through_actors(payloads: int, channels: int) -> Sample:
    """Send payloads through a platform whose store is in memory, until each has ended as handled."""
    end = ServiceEnd(WINDOW, record=False)
    store = CountingStore(payloads)
    async with platform_in_memory(store, end) as platform, attached(platform, channels, _handler) as names:
        frames = [frame(number, names[number % channels]) for number in range(payloads)]
        start = perf_counter()
        end.load(frames)
        await store.all_done.wait()
        return {"payloads/s": payloads / (perf_counter() - start)}


async def _handler(args: PushNotificationReceivedEventArgs) -> None:
    """Do as little as the floor's handler does."""
    args.handled = True


class CountingStore(MemoryStore):
    """Knows when so many payloads have ended as handled."""

    def __init__(self, expected: int) -> None:
        super().__init__()
        self._left = expected
        self.all_done = asyncio.Event()

    async def commit(self, changes: Changes) -> None:
        """Commit, and count."""
        await super().commit(changes)
        self._left -= len(changes.handled)
        if self._left <= 0:
            self.all_done.set()


@asynccontextmanager
async def platform_in_memory(store: MemoryStore, end: ServiceEnd) -> AsyncIterator[Platform]:
    """Run a platform on that store, as ``open_platform`` does on SQLite."""
    kernel = Kernel()
    platform = Platform(store, kernel, RetryPolicy())
    handlers = ArrivalHandlers(platform.deliver, platform.report)
    connection = ServiceConnection(end.dial, "a device key", platform.connection, handlers, kernel.clock.fraction)
    try:
        async with anyio.create_task_group() as tasks:
            await platform.start(tasks)
            tasks.start_soon(connection.run)
            yield platform
            tasks.cancel_scope.cancel()
    finally:
        platform.abandon()


def _floor(loop: str, payloads: int) -> Sample:
    return run_on(loop, partial(_queue, payloads))


async def _queue(payloads: int) -> Sample:
    """Do the least that could be called a hand-over: encode, one queue, decode, await the handler."""
    queue = asyncio.Queue[bytes](_QUEUE)
    packer = Packer(autoreset=True)
    bodies = [(f"{number:016X}", "c1", "raw", bytes(BODY), None, 3) for number in range(payloads)]
    handled = 0

    async def handler(_: tuple[object, ...]) -> None:
        nonlocal handled
        handled += 1

    async def consume() -> None:
        while handled < payloads:
            await handler(unpackb(await queue.get(), use_list=False))

    start = perf_counter()
    consumer = asyncio.create_task(consume())
    for body in bodies:
        frame: bytes = packer.pack(body)
        await queue.put(frame)
    await consumer
    return {"payloads/s": payloads / (perf_counter() - start)}
