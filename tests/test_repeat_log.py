"""A log that says a thing once, and has to be swept only where it has said one."""

from __future__ import annotations

import logging

import anyio
import pytest

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


def test_a_flood_hides_no_fault(caplog: pytest.LogCaptureFixture) -> None:
    """What is more than a log remembers is counted by its level: a fault is said, however many lesser events there are."""
    caplog.set_level(logging.INFO)
    log = RepeatLog(lambda: 0.0)
    for number in range(2_000):
        log.log(logger, logging.INFO, number, "number %d", number)
    log.log(logger, logging.ERROR, "fault", "it failed: Traceback")
    log.close()
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR] == [
        "it failed: Traceback"
    ]
    assert (caplog.records[-1].levelname, caplog.records[-1].getMessage()) == (
        "INFO",
        "976 more times in 0 s: various events like those before",
    )
