"""A log that says a thing once, and has to be swept only where it has said one."""

from __future__ import annotations

import logging

import anyio

from tocsin.repeat_log import INTERVAL, RepeatLog

logger = logging.getLogger("tests.repeat_log")


async def asks(log: RepeatLog) -> bool:
    """Tell whether it asks to be swept."""
    with anyio.move_on_after(0) as waiting:
        await log.to_sweep.wait()
    return not waiting.cancelled_caught


async def test_it_asks_to_be_swept_as_long_as_it_remembers_something() -> None:
    """So nothing is woken by a log that says nothing."""
    now = 0.0
    log = RepeatLog(lambda: now)
    assert not await asks(log)
    for _ in range(2):
        log.log(logger, logging.INFO, "thing", "it happened")
    assert await asks(log)
    now += INTERVAL
    log.sweep()  # it came again, so it is said, and remembered for another interval
    assert await asks(log)
    now += INTERVAL
    log.sweep()
    assert not await asks(log)
