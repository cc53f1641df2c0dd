"""Store faults: the service is told, and a stop does not wait for what cannot be stored."""

from __future__ import annotations

import logging

import anyio
import anyio.lowlevel
import pytest

from tocsin.actors.store_faults import StoreFaults
from tocsin.mailbox import Mailbox
from tocsin.protocol.messages import Message, Suspended
from tocsin.protocol.messages.codec import decode_own

WARNED = [("tocsin.actors.store_faults", logging.WARNING)]


async def said(connection: Mailbox) -> list[Message]:
    """Return what waits for the service."""
    return [decode_own(frame) for frame in await connection.batch()]


async def test_the_service_is_told_of_each_change() -> None:
    """It waits while nothing can be stored."""
    connection = Mailbox("connection")
    faults = StoreFaults(connection)
    for fault in ("disk full", None):
        faults.note(fault)
        assert faults.fault == fault
        assert await said(connection) == [Suspended(suspended=fault is not None)]


async def test_a_new_connection_is_told_of_a_fault_only() -> None:
    """While all is well there is nothing to say."""
    connection = Mailbox("connection")
    faults = StoreFaults(connection)
    faults.greet()
    assert connection.statistics().depth == 0
    faults.note("disk full")
    await said(connection)
    faults.greet()
    assert await said(connection) == [Suspended(suspended=True)]


@pytest.mark.parametrize("earlier", [True, False], ids=["before the stop", "during the stop"])
async def test_a_fault_ends_a_stop(caplog: pytest.LogCaptureFixture, earlier: bool) -> None:
    """It is said once that something was left, however often the fault is told of."""
    faults = StoreFaults(Mailbox("connection"))
    if earlier:
        faults.note("disk full")
    with anyio.fail_after(5), faults.bounding_stop():
        faults.note("disk full")
        faults.note("disk full")
        await anyio.sleep_forever()
    assert [(each.name, each.levelno) for each in caplog.records] == WARNED
    assert "disk full" in caplog.text


async def test_a_stop_without_a_fault_runs_to_its_end(caplog: pytest.LogCaptureFixture) -> None:
    """A fault that has passed cuts nothing off, and none outside a stop does."""
    faults = StoreFaults(Mailbox("connection"))
    faults.note("disk full")
    faults.note(None)
    ended = False
    with faults.bounding_stop():
        await anyio.lowlevel.checkpoint()
        ended = True
    assert ended
    assert not caplog.records
