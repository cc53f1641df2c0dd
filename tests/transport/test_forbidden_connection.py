"""A connection that group policy forbids, in virtual time: left at once, and not tried until it is allowed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, cast

import anyio
import pytest
import trio.testing

from tests.transport.short_wires import ENDLESS, HOUR, MOMENTS, ShortWire, forbidden_life, said
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.platform.service_connection import Phase
from tocsin.transport.frame_traffic import ArrivalHandlers
from tocsin.transport.service_connection import ServiceConnection
from tocsin.transport.wire import Wire


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, Any]]:
    """Run on trio with a clock that jumps to the next deadline."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


@pytest.mark.parametrize(("moment", "name"), MOMENTS)
async def test_what_is_forbidden_ends_at_once_and_is_not_tried_until_it_is_allowed(
    moment: float, name: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Whatever it is at; then it is tried at once, and the log says both."""
    seen, reports = cast(tuple[list[Any], list[Any]], await forbidden_life(moment, name))
    phase, open_, attempts = seen[:3]
    assert (phase, open_) == (Phase.FORBIDDEN, 0)
    assert len(attempts) == {"before it runs": 0, "connecting": 1, "waiting": 1}.get(name, 2)
    now, down = next(each for each in reports if each[1].TAG == m.ConnectionDown.TAG and each[1].cause != "refused")
    assert now == max(0.0, moment)
    assert down == m.ConnectionDown(
        ConnectionCause.CLOUD_DISABLED,
        "group policy forbids notifications from the network, and with them a connection to the push service",
        0.0,
    )
    up, open_, later = seen[3:6]
    assert (up, open_) == (Phase.UP, 1)
    assert later[len(attempts)] == max(0.0, moment) + HOUR / 2
    assert seen[6:] == [Phase.CLOSED, False]
    assert "group policy allows a connection to the push service again" in said(caplog)


async def test_a_service_that_does_not_read_is_left_all_the_same() -> None:
    """After five seconds: what was to be told is told at the next connection."""

    class Deaf(ShortWire):
        async def send(self, chunk: bytes) -> None:
            assert chunk
            if self.welcomed:
                await anyio.sleep(ENDLESS)

    @asynccontextmanager
    async def dial() -> AsyncIterator[Wire]:
        yield Deaf()

    async def ignore(_: object) -> None:
        pass

    outbox = Mailbox("outbox")
    connection = ServiceConnection(dial, "key", outbox, ArrivalHandlers(ignore, ignore), partial(float, 0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.run)
        await anyio.sleep(1)
        for word in "AB":
            outbox.send_urgent(m.Acknowledge((word,)))
            await anyio.wait_all_tasks_blocked()
        connection.allow(False)  # noqa: FBT003
        for seconds, phase in ((4.9, Phase.LEAVING), (0.2, Phase.FORBIDDEN)):
            await anyio.sleep(seconds)
            assert connection.phase is phase
        tasks.cancel_scope.cancel()


async def test_a_change_of_mind_is_the_last_word() -> None:
    """Allowed before it was left, it is left all the same, and comes back; forbidden again before it came back, it does not."""
    attempts, outbox = list[float](), Mailbox("outbox")

    @asynccontextmanager
    async def dial() -> AsyncIterator[Wire]:
        attempts.append(anyio.current_time())
        yield ShortWire()

    async def ignore(_: object) -> None:
        pass

    connection = ServiceConnection(dial, "key", outbox, ArrivalHandlers(ignore, ignore), partial(float, 0))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.run)
        await anyio.sleep(1)
        outbox.send_urgent(m.Acknowledge(("A",)))
        for allowed in (False, True):
            connection.allow(allowed)
        await anyio.sleep(1)
        assert (connection.phase, len(attempts)) == (Phase.UP, 2)
        outbox.send_urgent(m.Acknowledge(("A",)))
        for allowed in (False, True, False):
            connection.allow(allowed)
        await anyio.sleep(1)
        assert (connection.phase, len(attempts)) == (Phase.FORBIDDEN, 2)
        for allowed in (True, False):
            connection.allow(allowed)
        await anyio.sleep(HOUR)
        assert (connection.phase, len(attempts)) == (Phase.FORBIDDEN, 2)
        tasks.cancel_scope.cancel()
