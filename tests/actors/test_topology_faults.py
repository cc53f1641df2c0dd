"""The platform while its store cannot be written: it acknowledges nothing, says so, and goes on when it can."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.helpers import payload
from tests.persistence.faults import Fault, Faults
from tests.world import Gathered, World, handling, world
from tocsin.actors import lifecycle
from tocsin.persistence import writer
from tocsin.protocol.kernel.durability import RecoveryPolicy
from tocsin.protocol.messages import Suspended


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Let commits fail, and recoveries be tried at once."""
    monkeypatch.setattr(writer, "RecoveryPolicy", lambda: RecoveryPolicy(0.001, 0.002))
    return Faults(monkeypatch)


@pytest.fixture
async def opened(tmp_path: Path, faults: Faults) -> AsyncIterator[World]:
    """Run a platform whose commits may fail."""
    assert not faults.gone
    async with world(tmp_path) as opened:
        yield opened


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER, Fault.FULL])
async def test_a_payload_is_acknowledged_and_handled_once_the_fault_has_passed(
    opened: World, faults: Faults, fault: Fault
) -> None:
    """The service is told to wait, nothing is acknowledged, the status says why; then all goes on, each payload once."""
    seen = Gathered()
    channel = await opened.channel()
    with channel.push_received(handling(seen)):
        assert opened.manager.status().store_fault is None
        faults.coming.append(fault)
        faults.gone = True
        await opened.service.send(payload("A"), payload("B"))
        assert await opened.service.expect(Suspended) == Suspended(suspended=True)
        assert "platform.db cannot be used: " in str(opened.manager.status().store_fault)
        faults.gone = False
        await opened.service.expect_acknowledged("A", "B")
        assert await opened.service.expect(Suspended) == Suspended(suspended=False)
        await seen.wait_for(2)
        assert seen.items == [("A", 1), ("B", 1)]
        assert opened.manager.status().store_fault is None


async def test_a_service_that_comes_back_during_a_fault_is_told_too(opened: World, faults: Faults) -> None:
    """Each connection begins with how things are."""
    await opened.channel()
    faults.coming.append(Fault.FULL)
    faults.gone = True
    await opened.service.send(payload("A"))
    await opened.service.expect(Suspended)
    await opened.service.cut()
    await opened.service.accept()
    assert await opened.service.expect(Suspended) == Suspended(suspended=True)
    assert opened.manager.status().connected
    faults.gone = False
    await opened.service.expect_acknowledged("A")
    assert await opened.service.expect(Suspended) == Suspended(suspended=False)


async def test_leaving_during_a_fault_takes_no_longer_than_a_stop(
    tmp_path: Path, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What could not be stored was not acknowledged, and the service will send it again."""
    monkeypatch.setattr(lifecycle, "STOP_TIMEOUT", 0.1)
    with anyio.fail_after(10):
        async with world(tmp_path) as opened:
            await opened.channel()
            faults.coming.append(Fault.FULL)
            faults.gone = True
            await opened.service.send(payload("A"))
            await opened.service.expect(Suspended)


async def test_the_status_counts_what_waits_and_what_died(opened: World) -> None:
    """One mailbox per actor and that of the connection, and no frame without a subscriber."""
    await opened.channel()
    status = opened.manager.status()
    assert [mailbox.name for mailbox in status.mailboxes] == [*opened.platform.actors, "connection"]
    assert (status.connected, status.dead_frames, status.unanswered) == (True, {}, 0)
