"""From a Python publisher in this process, through a server, to a receiver in another: how it is measured."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from time import perf_counter

from attrs import frozen

from bench import set_ups
from bench.framework import Sample, in_ms, tail
from bench.http_load import CONNECTIONS, at_rate, run_paced, stamped
from bench.meter import Meter
from bench.processes import Process

Publish = Callable[[bytes], Awaitable[object]]
Publisher = Callable[[], AbstractAsyncContextManager[Publish]]
"""Connects, and yields what publishes a body and returns once it is acknowledged."""


@frozen
class Way:
    """From a publisher to a receiver."""

    publisher: Publisher
    receiver: Process
    server: int
    """The process id of the server between them."""


Running = Callable[[], AbstractContextManager[Way]]


def exchange(running: Running, payloads: int, in_flight: int = CONNECTIONS) -> Sample:
    """Publish so many payloads, so many at a time, and measure both ends."""
    with running() as at:
        return asyncio.run(
            _measured(at, lambda publish, share: _publish_all(publish, int(payloads * share), in_flight))
        )


def paced(running: Running, rate: float, seconds: float) -> Sample:
    """Publish that often, and measure both ends from when each was due."""
    with running() as at:
        return run_paced(_measured(at, lambda publish, share: _publish_paced(publish, rate, seconds * share)))


async def _measured(at: Way, send: Callable[[Publish, float], Awaitable[list[float]]]) -> Sample:
    """Measure both ends once all connections are made.

    :param send: sends that share of all, and returns the seconds to each answer.
    """
    async with at.publisher() as publish:
        warm = await send(publish, 0.2)
        set_ups.received(at.receiver, len(warm))  # none of them is counted with the others
        set_ups.begin(at.receiver)
        meter, begin = Meter(at.server), perf_counter()
        answers = await send(publish, 1)
        seconds = perf_counter() - begin
        found = set_ups.received(at.receiver, len(answers))  # nothing else is to run on this loop meanwhile
        costs = meter.found(len(answers), found)
    return {
        "payloads/s": found["count"] / (found["last"] - begin),
        "answers/s": len(answers) / seconds,
        **in_ms("answer", tail(answers), 1000),
        **in_ms("delivery", found),
        **costs,
        "missed": len(answers) - found["count"],
    }


async def _publish_all(publish: Publish, payloads: int, in_flight: int) -> list[float]:
    left = payloads
    waits: list[float] = []

    async def publish_in_turn() -> None:
        nonlocal left
        while left > 0:
            left -= 1
            begin = perf_counter()
            await publish(stamped(begin))
            waits.append(perf_counter() - begin)

    async with asyncio.TaskGroup() as tasks:
        for _ in range(in_flight):
            tasks.create_task(publish_in_turn())
    return waits


async def _publish_paced(publish: Publish, rate: float, seconds: float) -> list[float]:
    return await at_rate(lambda _, due: publish(stamped(due)), rate, seconds)
