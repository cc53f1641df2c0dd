"""A hub whose store cannot be written for now: what was accepted is sent, what was refused is not, and nothing is sent twice."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from tests.persistence.faults import Fault, Faults
from tests.service.hub.hub_world import HubWorld, connected, open_hub
from tests.service.hub.test_sending import KEYS, details, id_of
from tests.service.world import dial
from tocsin.persistence import writer
from tocsin.protocol.kernel.durability import RecoveryPolicy
from tocsin.protocol.messages import Acknowledge, Payload
from tocsin.service.hub import hub_sender, message_work
from tocsin.service.operations.settings import ServiceSettings

SETTINGS = ServiceSettings(acknowledge_timeout=0.3)


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Let commits fail, and recoveries be tried at once."""
    monkeypatch.setattr(writer, "RecoveryPolicy", lambda: RecoveryPolicy(first=0.001, longest=0.002))
    monkeypatch.setattr(message_work, "_FIRST_WAIT", 0.01)
    monkeypatch.setattr(message_work, "_LAST_WAIT", 0.02)
    return Faults(monkeypatch)


@pytest.fixture
async def hub(tmp_path: Path, faults: Faults) -> AsyncIterator[HubWorld]:
    """Run a service with a hub that waits for its store for a moment only."""
    assert not faults.gone
    async with open_hub(tmp_path, SETTINGS) as hub:
        yield hub


async def mended(hub: HubWorld, faults: Faults) -> None:
    """Mend the store, and wait until the service has noticed."""
    faults.gone = False
    with anyio.fail_after(5):
        while hub.world.service.report().causes:
            await anyio.lowlevel.checkpoint()


def phases(state: Path) -> list[str]:
    """Return the phases of all messages on disk, the oldest first."""
    with closing(sqlite3.connect(f"{(state / 'service.db').as_uri()}?mode=ro", uri=True)) as database:
        return [phase for (phase,) in database.execute("SELECT phase FROM hub_messages ORDER BY number")]


@pytest.mark.parametrize(("fault", "on_disk"), [(Fault.AFTER, ["CANCELLED"]), (Fault.BEFORE, [])])
async def test_what_was_refused_is_not_sent(tmp_path: Path, faults: Faults, fault: Fault, on_disk: list[str]) -> None:
    """Though it may be on disk; not after a restart either. Sent again by its sender, it comes once."""
    async with open_hub(tmp_path, SETTINGS) as hub, connected(hub, KEYS[0]) as (device, uri):
        await hub.register(uri)
        faults.coming.append(fault)
        faults.gone = True
        assert (await hub.send(b"refused")).status == 503
        await mended(hub, faults)
        with anyio.fail_after(5):
            while phases(tmp_path) != on_disk:
                await anyio.lowlevel.checkpoint()
    async with open_hub(tmp_path, SETTINGS) as hub, dial(hub.world.service) as device:
        await device.greet(KEYS[0])
        id_ = id_of(await hub.send(b"again"))
        assert (await device.acknowledge()).body == b"again"
        await details(hub, id_, "Completed")
        assert phases(tmp_path) == [*on_disk, "COMPLETED"]
        assert device.waiting() == 0


async def test_what_was_refused_and_is_read_before_it_is_cancelled_is_not_sent(
    hub: HubWorld, faults: Faults, tmp_path: Path
) -> None:
    """The message behind it is."""
    async with connected(hub, KEYS[0]) as (device, uri):
        await hub.register(uri)
        faults.coming.append(Fault.AFTER)
        faults.gone = True
        assert (await hub.send(b"refused")).status == 503
        await mended(hub, faults)
        id_ = id_of(await hub.send(b"again"))
        assert (await device.acknowledge()).body == b"again"
        await details(hub, id_, "Completed")
        with anyio.fail_after(5):
            while phases(tmp_path) != ["CANCELLED", "COMPLETED"]:
                await anyio.lowlevel.checkpoint()
        assert device.waiting() == 0


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
async def test_what_became_of_targets_is_written_when_that_is_possible(
    hub: HubWorld, faults: Faults, fault: Fault
) -> None:
    """Until then the message is open; it is not sent once more, and each target is counted once."""
    async with connected(hub, KEYS[0]) as (device, uri):
        await hub.register(uri)
        id_ = id_of(await hub.send(b"x"))
        payload = await device.receive(Payload)
        faults.coming.append(fault)
        faults.gone = True
        await device.send(Acknowledge((payload.id,)))
        with anyio.fail_after(5):
            while not hub.world.service.report().causes:
                await anyio.lowlevel.checkpoint()
        await mended(hub, faults)
        assert "<Name>Success</Name><Count>1</Count>" in await details(hub, id_, "Completed")
        assert device.waiting() == 0


async def test_messages_that_were_refused_do_not_wait(
    hub: HubWorld, faults: Faults, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many were refused for the store, the next is accepted when it can be written."""
    monkeypatch.setattr(hub_sender, "MAX_WAITING", 2)
    faults.coming.append(Fault.BEFORE)
    faults.gone = True
    for _ in range(5):
        assert (await hub.send(b"x")).status == 503
    await mended(hub, faults)
    await details(hub, id_of(await hub.send(b"x")), "NoTargetFound")
