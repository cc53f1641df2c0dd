"""What operators read of a minute, and when."""

from __future__ import annotations

import logging
from typing import Any

import anyio
import pytest
import trio.testing

from tocsin.protocol.service.tally import INTERVAL, Asked, MinuteTally
from tocsin.service.operations import tally_log
from tocsin.service.operations.tally_log import TallyLog, telling

NAMES = {"1d": "contoso.mail"}


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.fixture
def tally() -> MinuteTally:
    """Give a tally of now."""
    return MinuteTally(0.0)


@pytest.fixture(autouse=True)
def at_info(caplog: pytest.LogCaptureFixture) -> None:
    """Log what is told."""
    caplog.set_level(logging.INFO, tally_log.__name__)


def fields(record: logging.LogRecord) -> dict[str, Any]:
    """Return what a program reads."""
    found: dict[str, Any] = record.__dict__["fields"]
    return found


LOG = TallyLog(NAMES.get, lambda: 7)


async def test_a_minute_is_told_at_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """Once, and nothing of the minutes before and after, in which nothing happened."""
    tally = MinuteTally(anyio.current_time())
    async with telling(tally, LOG):
        await anyio.sleep(3 * INTERVAL + 1)
        assert caplog.messages == []
        tally.device_came()
        await anyio.sleep(INTERVAL - 2)
        assert caplog.messages == []
        await anyio.sleep(10 * INTERVAL)
    assert caplog.messages == ["devices in 60 s: 1 came, 0 went, 7 are connected"]
    assert fields(caplog.records[0]) == {"event": "devices", "seconds": 60, "came": 1, "went": 0, "connected": 7}


async def test_the_rest_is_told_at_the_end(caplog: pytest.LogCaptureFixture) -> None:
    """Of the part of a minute that there was."""
    tally = MinuteTally(anyio.current_time())
    async with telling(tally, LOG):
        await anyio.sleep(INTERVAL + 12)
        tally.device_went()
    assert caplog.messages == ["devices in 12 s: 0 came, 1 went, 7 are connected"]


async def test_refusals_are_told_by_reason(tally: MinuteTally, caplog: pytest.LogCaptureFixture) -> None:
    """A line for each, with app and address; an app that is no longer registered has its id only."""
    for client_id, address in [("1d", "203.0.113.7"), ("1d", "203.0.113.7"), ("", "198.51.100.2"), ("gone", "")]:
        tally.refuse(Asked.NOTIFICATION, "token_expired", client_id, address)
    minute = tally.take(60.0)
    assert minute is not None
    LOG.tell(minute)
    named = "2 of 'contoso.mail' from 203.0.113.7, 1 from 198.51.100.2, 1 of gone, which is no longer registered, from an unknown address"
    assert caplog.messages == [f"notifications refused in 60 s, token_expired: 4 ({named})"]
    assert fields(caplog.records[0]) == {
        "event": "refusals",
        "seconds": 60,
        "asked": "notification",
        "reason": "token_expired",
        "count": 4,
        "named": [
            {"app": "contoso.mail", "client_id": "1d", "address": "203.0.113.7", "count": 2},
            {"app": None, "client_id": None, "address": "198.51.100.2", "count": 1},
            {"app": None, "client_id": "gone", "address": None, "count": 1},
        ],
        "others": 0,
    }


async def test_those_who_are_not_named_are_counted(tally: MinuteTally, caplog: pytest.LogCaptureFixture) -> None:
    """A line stays short, however many are refused."""
    for number in range(8):
        tally.refuse(Asked.CONNECTION, "too_many_of_address", "", f"10.0.0.{number}")
    minute = tally.take(60.0)
    assert minute is not None
    LOG.tell(minute)
    assert caplog.messages[0].startswith("connections refused in 60 s, too_many_of_address: 8 (1 from 10.0.0.0, ")
    assert caplog.messages[0].endswith(", 3 from others)")
    assert fields(caplog.records[0])["others"] == 3
