"""The five actors together: order, acknowledgements, restarts, and an orderly end."""

from __future__ import annotations

from pathlib import Path
from typing import Any, get_args

import anyio
import pytest
from attrs import evolve

from tests.helpers import payload
from tests.world import Gathered, dead_rows, handling, open_rows, world
from tocsin.actors.activator_registry import ActivatorRegistry
from tocsin.actors.channel_requester import ChannelRequester
from tocsin.actors.host_owner import Change
from tocsin.actors.payload_router import PayloadRouter
from tocsin.actors.retry_scheduler import RetryScheduler
from tocsin.actors.routes import (
    FROM_APPS,
    FROM_CONNECTION,
    FROM_DOOR,
    FROM_HOST_OWNER,
    FROM_OPERATOR,
    FROM_SERVICE,
    HOST_OWNER,
    LAUNCHER,
    NO_ACTORS,
    PEERS_OF,
    SHELL,
)
from tocsin.actors.sessions import Stamp
from tocsin.actors.shell import Shell
from tocsin.actors.supervisor import Supervisor
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.persistence.sqlite_store import SqliteStore
from tocsin.protocol.errors import IllegalCall, PlatformUnavailable, ProtocolViolation, StateUnavailable
from tocsin.protocol.messages import (
    Acknowledge,
    AskUsage,
    ChangeAppSettings,
    ChangeHost,
    ClaimPayload,
    FieldChange,
    Hello,
    HostChanged,
    Message,
    PowerState,
    ReportUsage,
)
from tocsin.protocol.platform.conditions import HostState
from tocsin.protocol.platform.power import MAX_EXEMPT
from tocsin.transport.wire import WireBroken

Args = PushNotificationReceivedEventArgs
STAMP = Stamp("s", "mail")


def test_every_route_leads_to_an_actor_that_takes_the_message() -> None:
    """No message of the tables goes to an actor without a method for it; what is no actor takes what it says that it takes."""
    five = (PayloadRouter, Supervisor, ActivatorRegistry, ChannelRequester, RetryScheduler)
    actors = {a.name: a for a in (*five, Shell)}
    assert set(PEERS_OF) == set(actors)
    changes = {message for message, names in FROM_APPS.items() if HOST_OWNER in names}
    assert changes == set(get_args(Change))
    others = {message for message, names in FROM_APPS.items() if not NO_ACTORS.isdisjoint(names)} - changes
    assert others == {AskUsage, ReportUsage}
    claims = {message for message, names in FROM_APPS.items() if LAUNCHER in names}
    assert claims == {ClaimPayload}
    for table in (FROM_SERVICE, FROM_CONNECTION, FROM_APPS, FROM_DOOR, FROM_HOST_OWNER, FROM_OPERATOR):
        for message in table.keys() - changes - others - claims:
            for name in table[message]:
                methods = actors[name]._methods_for_apps if table is FROM_APPS else actors[name]._methods
                assert message in methods, (message, name)


async def test_an_app_cannot_speak_for_the_service(tmp_path: Path) -> None:
    """A message that is not an app's to send is refused at the door."""
    async with world(tmp_path) as w:
        with pytest.raises(ProtocolViolation, match="Payload must not come from there"):
            await w.platform.send(STAMP, payload("A"), b"")
        with pytest.raises(ProtocolViolation, match="Hello must not come from there"):
            w.platform.send_nowait(STAMP, Hello(1, "key"))
        with pytest.raises(ProtocolViolation, match="ChangeHost must not come from there"):
            w.platform.send_urgent(STAMP, ChangeHost(1, ()))
        with pytest.raises(ProtocolViolation, match="HostChanged must not come from there"):
            await w.platform.send(STAMP, HostChanged(HostState()), b"")


async def test_nothing_is_acknowledged_before_it_is_committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """While the commit is under way there is no acknowledgement; when it is through, there is one for all."""
    committing, go_on = anyio.Event(), anyio.Event()
    original = SqliteStore.commit

    async def slow(self: SqliteStore, *arguments: Any) -> None:
        committing.set()
        await go_on.wait()
        await original(self, *arguments)

    monkeypatch.setattr(SqliteStore, "commit", slow)
    async with world(tmp_path) as w:
        await w.channel()
        await w.service.send(payload("A"), payload("B"))
        await committing.wait()
        with anyio.move_on_after(0.05) as nothing_comes:
            await w.service.expect(Message)
        assert nothing_comes.cancelled_caught
        go_on.set()
        await w.service.expect_acknowledged("A", "B")


async def test_what_was_taken_in_before_the_end_is_acknowledged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that is under way when the platform stops has its acknowledgement; what comes after that has none."""
    committing = anyio.Event()
    original = SqliteStore.commit

    async def slow(self: SqliteStore, *arguments: Any) -> None:
        committing.set()
        await stopping.wait()
        await original(self, *arguments)

    monkeypatch.setattr(SqliteStore, "commit", slow)
    async with anyio.create_task_group() as tasks, world(tmp_path) as w:
        stopping = w.platform.actors["channel_requester"].stopped  # the first to end

        async def service() -> None:
            await stopping.wait()
            await w.service.send(payload("C"))
            await w.service.expect_acknowledged("A", "B")
            with pytest.raises(WireBroken):
                await w.service.expect(Acknowledge)

        await w.channel()
        await w.service.send(payload("A"), payload("B"))
        await committing.wait()
        tasks.start_soon(service)
    assert await open_rows(tmp_path) == [1, 2]


async def test_a_payload_that_is_sent_again_is_acknowledged_but_not_delivered_again(tmp_path: Path) -> None:
    """The service may repeat itself, on the same connection, on the next, and after a restart."""
    seen = Gathered()
    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handling(seen)):
            await w.service.send(payload("A"), payload("A"))
            assert (await w.service.expect(Acknowledge)).ids == ("A", "A")
            await w.service.cut()
            await w.service.accept()
            await w.service.send(payload("A"), payload("B"))
            await w.service.expect_acknowledged("A", "B")
            await seen.wait_for(2)
    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handling(seen)):
            await w.service.send(payload("B"), payload("C"))
            await w.service.expect_acknowledged("B", "C")
            await seen.wait_for(3)
    assert seen.items == [("A", 1), ("B", 1), ("C", 1)]


async def test_a_payload_for_a_channel_that_nobody_holds_is_a_dead_letter(tmp_path: Path) -> None:
    """It is acknowledged, since no later attempt would help, and kept with its reason."""
    async with world(tmp_path) as w:
        await w.channel()
        await w.service.send(payload("A", channel="gone"))
        await w.service.expect_acknowledged("A")
    assert await dead_rows(tmp_path) == [("A", "unknown_channel", "")]


async def test_an_expired_payload_is_a_dead_letter(tmp_path: Path) -> None:
    """A payload past its time is not handed out, whether it came too late or waited too long."""
    seen = Gathered()
    async with world(tmp_path) as w:
        channel = await w.channel()
        await w.service.send(payload("late", expires=1.0), payload("fine", expires=4e9))
        await w.service.expect_acknowledged("late", "fine")
        with channel.push_received(handling(seen)):
            await seen.wait_for(1)
    assert seen.items == [("fine", 1)]
    assert await dead_rows(tmp_path) == [("late", "expired", "")]


async def test_more_than_a_window_arrives_in_order(tmp_path: Path) -> None:
    """What does not fit into the window waits on disk and follows in order."""
    seen = Gathered()
    ids = [f"{number:04}" for number in range(400)]
    async with world(tmp_path) as w:
        channel = await w.channel()
        await w.service.send(*(payload(id_) for id_ in ids[:200]))
        await w.service.expect_acknowledged(*ids[:200])
        with channel.push_received(handling(seen)):
            await w.service.send(*(payload(id_) for id_ in ids[200:]))
            await seen.wait_for(400)
    assert seen.items == [(id_, 1) for id_ in ids]


async def test_what_was_handed_out_but_not_finished_comes_again_with_its_attempt_raised(tmp_path: Path) -> None:
    """A handler that is cut off by the end of its app gets the payload again at the next start."""
    begun = anyio.Event()

    async def endless(_: Args) -> None:
        begun.set()
        await anyio.sleep_forever()

    seen = Gathered()
    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(endless):
            await w.service.send(payload("A"), payload("B"))
            await begun.wait()
    assert await open_rows(tmp_path) == [1, 2]
    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handling(seen)):
            await seen.wait_for(2)
    assert seen.items == [("A", 2), ("B", 2)]


async def test_an_error_of_the_app_comes_out_as_it_is(tmp_path: Path) -> None:
    """What the body of the block raises is not wrapped."""
    with pytest.raises(KeyError, match="mine"):
        async with world(tmp_path):
            raise KeyError("mine")


async def test_a_store_that_fails_ends_the_platform_in_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is acknowledged, and the reason is the store's sentence."""

    async def full(_: SqliteStore, *__: Any) -> None:
        raise StateUnavailable("platform.db cannot be used: disk full")

    async def suffer() -> None:
        async with world(tmp_path) as w:
            await w.channel()
            await w.service.send(*(payload(str(number)) for number in range(10)))
            await w.service.expect(Acknowledge)

    monkeypatch.setattr(SqliteStore, "commit", full)
    with pytest.raises(PlatformUnavailable, match="disk full"):
        await suffer()


async def test_statistics_cover_every_mailbox(tmp_path: Path) -> None:
    """Each actor and the connection can be looked at while they run."""
    seen = Gathered()
    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handling(seen)):
            await w.service.send(payload("A"))
            await seen.wait_for(1)
        statistics = {each.name: each for each in w.platform.statistics()}
    assert set(statistics) == {*PEERS_OF, "connection"} - {SHELL}  # this platform has none
    assert statistics["payload_router"].handled >= 1
    assert all(each.dead == 0 for each in statistics.values())


async def test_the_service_is_told_of_the_power_state(tmp_path: Path) -> None:
    """When it changes, and not else, as it is by then; and each connection begins with how things are, unless all is well."""
    saving = PowerState(screen_on_or_plugged=True, battery_saver=True, exempt=())
    async with world(tmp_path) as w:
        await w.channel()
        exempt = evolve(saving, exempt=(w.manager.app,))
        await w.manager.conditions.set_host(energy_saver=True)
        await w.manager.conditions.set_host(user_present=False)
        assert await w.service.expect(PowerState) == saving
        await w.manager.conditions.set_app(exempt_from_energy_saver=True)
        assert await w.service.expect(PowerState) == exempt
        await w.service.cut()
        await w.service.accept()
        assert await w.service.expect(PowerState) == exempt
        await w.manager.conditions.set_app(exempt_from_energy_saver=False)
        await w.manager.conditions.set_host(energy_saver=False)
        while (state := await w.service.expect(PowerState)) != evolve(saving, battery_saver=False):
            assert state == saving


async def test_an_exemption_too_many_is_refused_to_the_app(tmp_path: Path) -> None:
    """It hears so, and nothing has changed: neither what it sees, nor what is told to the service or to an actor that begins anew."""
    async with world(tmp_path) as w:
        await w.channel()
        exempt = FieldChange("exempt_from_energy_saver", value=True)
        for number in range(MAX_EXEMPT):
            await w.platform.send(Stamp("s", f"app {number}"), ChangeAppSettings(1, (exempt,)), b"")
        conditions = w.manager.conditions
        for earlier in ({}, {"background": False}):
            await conditions.set_app(**earlier)
            before = w.platform.host_owner.record
            with pytest.raises(IllegalCall, match="256 apps are exempt"):
                await conditions.set_app(exempt_from_energy_saver=True)
            assert w.platform.host_owner.record == before
        await w.service.cut()
        await w.service.accept()
        assert len((await w.service.expect(PowerState)).exempt) == MAX_EXEMPT
