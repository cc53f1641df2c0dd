"""A store that cannot be written for now: who asks is answered in time, and what may be on disk all the same does no harm."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import anyio
import pytest

from tests.persistence.faults import Fault, Faults
from tests.service.away import CACHE, TOAST, back, drain, post, store
from tests.service.world import OTHER_KEY, World, dial, open_world
from tocsin.persistence import writer
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.hub.rights import Right
from tocsin.protocol.kernel.durability import RecoveryPolicy
from tocsin.protocol.messages import ChannelGranted, ChannelRefused, RequestChannel, RevokeChannels
from tocsin.service.control import perform
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.apps import SecretVerdict
from tocsin.transport.control_socket import ask, serving_control

SOON = 0.3
"""Seconds in which everything has to be answered here."""

SLACK = 2.0
"""Seconds that a busy machine may take longer."""


@pytest.fixture
def faults(monkeypatch: pytest.MonkeyPatch) -> Faults:
    """Let commits fail, and recoveries be tried at once."""
    monkeypatch.setattr(writer, "RecoveryPolicy", lambda: RecoveryPolicy(first=0.001, longest=0.002))
    return Faults(monkeypatch)


@pytest.fixture
async def world(tmp_path: Path, faults: Faults) -> AsyncIterator[World]:
    """Run a service that waits for its store for a moment only."""
    assert not faults.gone
    async with open_world(tmp_path, ServiceSettings(acknowledge_timeout=SOON)) as world:
        yield world


async def mended(world: World, faults: Faults) -> None:
    """Mend the store, and wait until the service has noticed."""
    faults.gone = False
    with anyio.fail_after(SLACK):
        while world.service.report().causes:
            await anyio.lowlevel.checkpoint()


def count(state: Path, table: str) -> int:
    """Count the rows of a table, as any other program would read them."""
    with closing(sqlite3.connect(f"{(state / 'service.db').as_uri()}?mode=ro", uri=True)) as database:
        return int(database.execute(f"SELECT count(*) FROM {table}").fetchone()[0])  # noqa: S608  # ours


async def test_a_locked_store_is_503_in_time(world: World, tmp_path: Path) -> None:
    """From the first request on, with a time to come back; the cause is shown, and without the lock all goes on."""
    with closing(sqlite3.connect(tmp_path / "service.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        for number in range(3):
            before = anyio.current_time()
            answer = await post(world, f"number {number}", TOAST)
            assert anyio.current_time() - before < SOON + SLACK
            assert (answer.status, answer.headers["Retry-After"]) == (503, "1")
            assert answer.reason == "The notification is for the service's store, which cannot be written just now"
        assert list(world.service.report().causes) == ["store"]
        other.execute("ROLLBACK")
    with anyio.fail_after(10 * SLACK):
        while world.service.report().causes:
            await anyio.lowlevel.checkpoint()
    await store(world, "later", CACHE)


@pytest.mark.usefixtures("faults")
async def test_a_store_that_was_moved_away_takes_nothing(world: World, tmp_path: Path) -> None:
    """Its cause is shown in words; moved back, it is used again, and has what was received before and after."""
    await store(world, "before", CACHE)
    (tmp_path / "service.db").rename(tmp_path / "away")
    for _ in range(2):
        assert (await post(world, "meanwhile", CACHE)).status == 503
    causes = world.service.report().causes
    assert causes["store"].startswith(f"{tmp_path / 'service.db'} was deleted or moved away while it was in use; put")
    (tmp_path / "away").rename(tmp_path / "service.db")
    with anyio.fail_after(SLACK):
        while world.service.report().causes:
            await anyio.lowlevel.checkpoint()
    await store(world, "after", CACHE)
    async with back(world) as device:
        assert await drain(device) == ["before", "after"]


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
async def test_what_was_refused_is_not_delivered_beside_its_repetition(
    world: World, faults: Faults, fault: Fault, tmp_path: Path
) -> None:
    """Its sender was told to come again: what may be on disk of the first attempt is erased with the second."""
    faults.coming.append(fault)
    faults.gone = True
    answer = await post(world, "the same", CACHE)
    assert answer.status == 503
    await mended(world, faults)
    await store(world, "the same", CACHE)
    assert count(tmp_path, "stored") == 1
    async with back(world) as device:
        assert await drain(device) == ["the same"]


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
async def test_a_channel_that_its_device_never_heard_of_is_forgotten(
    world: World, faults: Faults, fault: Fault, tmp_path: Path
) -> None:
    """The device is refused in time, asks again, and has one channel; so has the store."""
    async with dial(world.service) as device:
        await device.greet(OTHER_KEY)
        faults.coming.append(fault)
        faults.gone = True
        await device.send(RequestChannel(1, "app", world.app.remote_id, ""))
        with anyio.fail_after(SOON + SLACK):
            assert (await device.receive(ChannelRefused)).text == "the service cannot use its store"
        await mended(world, faults)
        await device.send(RequestChannel(2, "app", world.app.remote_id, ""))
        await device.receive(ChannelGranted)
    assert count(tmp_path, "channels") == 2  # that of the world, and this one


async def test_a_channel_that_may_be_revoked_is_looked_up(world: World, faults: Faults) -> None:
    """Memory does not keep alive what is revoked on disk."""
    async with dial(world.service) as device:
        await device.greet(OTHER_KEY)
        granted = await device.channel(world.app.remote_id)
        faults.coming.append(Fault.AFTER)
        faults.gone = True
        await device.send(RevokeChannels(1, "app"))
        await device.receive(ChannelRefused)
    answer = await world.post(uri=granted.uri)
    assert (answer.status, answer.reason) == (410, "Revoked channel URL")


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
async def test_a_registration_in_doubt_can_be_made_again(
    world: World, faults: Faults, fault: Fault, tmp_path: Path
) -> None:
    """Its ids and its secret were told to no user, so the new ones count; the command is told in a sentence."""
    state, registrations = tmp_path, world.service.registrations
    async with serving_control(state, lambda request: perform(registrations, request), "service"):
        faults.coming.append(fault)
        faults.gone = True
        with pytest.raises(Exception, match=r"cannot be used: disk I/O error; whether this was written is not known$"):
            await ask(state, {"verb": "add", "name": "fabrikam"})
        await mended(world, faults)
        done = await ask(state, {"verb": "add", "name": "fabrikam"})
    assert done is not None
    assert (count(state, "apps"), count(state, "secrets")) == (2, 2)
    assert registrations.client_of(done["remote_id"]) == done["client_id"]


@pytest.mark.parametrize("fault", [Fault.BEFORE, Fault.AFTER])
async def test_a_hub_in_doubt_can_be_made_again(world: World, faults: Faults, fault: Fault, tmp_path: Path) -> None:
    """Its keys were told to no user; until then there is no such hub."""
    hubs = world.service.hubs
    faults.coming.append(fault)
    faults.gone = True
    with pytest.raises(StateUnavailable) as refusal:
        await hubs.add("contoso")
    assert refusal.value.in_doubt
    await mended(world, faults)
    await hubs.reload()
    assert hubs.named("contoso") is None
    made = await hubs.add("contoso")
    assert (count(tmp_path, "hubs"), count(tmp_path, "hub_keys")) == (1, len(Right))
    assert hubs.keys_of(hubs.hubs()[0]) == {right: [key] for right, key in made.keys.items()}


async def test_a_secret_in_doubt_takes_no_other_away(world: World, faults: Faults) -> None:
    """The app is there as before, and the next secret is good beside the one that was."""
    registrations = world.service.registrations
    faults.coming.append(Fault.AFTER)
    faults.gone = True
    with pytest.raises(StateUnavailable):
        await registrations.rotate("contoso")
    await mended(world, faults)
    app = await registrations.rotate("contoso")
    assert app.client_id == world.app.client_id
    for each in (world.app, app):
        assert registrations.verify(each.client_id, each.client_secret) is SecretVerdict.VALID
    assert registrations.recall("contoso", app.client_secret) == app


async def test_a_refusal_at_once_has_written_nothing(world: World, faults: Faults) -> None:
    """The error says so to who registers an app in the program's own service."""
    faults.coming.append(Fault.BEFORE)
    faults.gone = True
    for in_doubt in (True, False):
        with pytest.raises(StateUnavailable) as refusal:
            await world.service.register("fabrikam")
        assert refusal.value.in_doubt == in_doubt
    await mended(world, faults)
    assert (await world.service.register("fabrikam")).name == "fabrikam"
