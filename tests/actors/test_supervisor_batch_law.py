"""The supervisor obeys its table also where it ends many payloads in one go."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
import trio.testing

from tests.actors.supervising import delivery, running
from tests.helpers import waiting_messages
from tests.protocol.tables import erase
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.payload_life import TABLE, Effect


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


async def reported() -> list[m.Message]:
    """Let an app handle two payloads; return what the router hears."""
    async with running() as harness:
        harness.tell(delivery(1), delivery(2))
        await anyio.sleep(0.1)
        harness.tell_from("s", "mail", m.Handled((1, 2), (1, 1)))
        await anyio.sleep(0.1)
        return waiting_messages(harness.router)


async def test_what_is_handled_is_reported_because_the_table_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Both in one message; with no effect in the table that settles them, the router hears nothing."""
    assert await reported() == [m.Handled((1, 2), (1, 1))]
    erase(monkeypatch, TABLE, Effect.SETTLE)
    assert await reported() == []
