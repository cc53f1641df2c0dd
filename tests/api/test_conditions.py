"""The machine's state and the user's settings, as an app or a test sets them."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest
from attrs import evolve

from tests.actors.test_restarts import Fault
from tests.helpers import payload
from tests.protocol.frames import arrivals
from tests.world import Gathered, dead_rows, world
from tocsin.actors.payload_router import PayloadRouter
from tocsin.actors.supervisor import Supervisor
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.conditions import Conditions
from tocsin.api.embedded import local_session
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.conditions import AppSettings, HostState

Args = PushNotificationReceivedEventArgs


async def test_energy_saver_holds_back_and_lets_go(tmp_path: Path) -> None:
    """Energy saver keeps everything from an app, and the lowest priority even from one that is exempt."""
    seen = Gathered()

    def handler(args: Args) -> None:
        args.handled = True
        seen.add(args.id)

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.manager.conditions.set_host(energy_saver=True)
            await w.service.send(payload("A"), payload("B", priority=1))
            await w.service.expect_acknowledged("A", "B")
            await anyio.wait_all_tasks_blocked()
            assert seen.items == []
            await w.manager.conditions.set_app(exempt_from_energy_saver=True)
            await seen.wait_for(2)
            await w.service.send(payload("C", priority=4), payload("D", priority=3))
            await seen.wait_for(3)
            await w.manager.conditions.set_host(energy_saver=False)
            await seen.wait_for(4)
    assert seen.items == ["A", "B", "D", "C"]


@pytest.mark.parametrize(
    ("host", "app", "reason"),
    [
        ({"cloud_notifications": False}, {}, "cloud_disabled"),
        ({}, {"notifications": False}, "notifications_disabled"),
        ({"cloud_notifications": False}, {"notifications": False}, "cloud_disabled"),
    ],
)
async def test_gates_drop_with_their_reason(
    tmp_path: Path, host: dict[str, bool], app: dict[str, bool], reason: str
) -> None:
    """Policy comes before the user's setting; what they refuse is listed."""
    async with world(tmp_path) as w:
        await w.channel()
        await w.manager.conditions.set_host(**host)
        await w.manager.conditions.set_app(**app)
        batch = arrivals(payload("A"))  # it may have come before the service was told that it is unwanted
        await w.platform.deliver([(batch, encode(batch))])
    assert await dead_rows(tmp_path) == [("A", reason, "")]


async def test_two_sessions_that_change_different_fields_never_undo_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Both see the platform's state, which a router and a supervisor that begin anew are told again; an app may leave."""
    faults = [Fault(monkeypatch, actor, "flush") for actor in (PayloadRouter, Supervisor)]
    async with world(tmp_path) as w:
        mail = w.manager.conditions
        async with local_session(w.platform, "contoso.chat") as session:
            chat = Conditions(session)
            await mail.set_host(energy_saver=True)
            await chat.set_host(quiet_hours=True)
            await mail.set_app(background=False)
            await chat.set_app(exempt_from_energy_saver=True)
            await mail.set_host(user_present=False)
            host = HostState(energy_saver=True, quiet_hours=True, user_present=False)
            of_each = {"contoso.mail": AppSettings(background=False)}
            of_each["contoso.chat"] = AppSettings(exempt_from_energy_saver=True)
            assert (mail.host, chat.host) == (host, host)
            assert (mail.settings, chat.settings) == tuple(of_each.values())
        await w.channel()
        for id_, fault, online in zip("AB", faults, (False, True), strict=True):
            fault.arm()
            await mail.set_host(internet_available=online)
            host = evolve(host, internet_available=online)
            await anyio.wait_all_tasks_blocked()
            assert fault.left == 0
            await w.service.send(payload(id_))  # a router that acknowledges it has heard what was before
            await w.service.expect_acknowledged(id_)
            await anyio.wait_all_tasks_blocked()
            router, supervisor = (w.platform.actors[name]._actor for name in ("payload_router", "supervisor"))
            assert isinstance(router, PayloadRouter)
            assert isinstance(supervisor, Supervisor)
            assert router._windows.gates.host == supervisor._steps.host == mail.host == host
            assert router._windows.gates.settings == of_each
            assert {app: supervisor._apps[app].settings for app in of_each} == of_each
        assert [w.platform.actors[name].restarts for name in ("payload_router", "supervisor")] == [1, 1]


async def test_what_cannot_be_set_is_refused(tmp_path: Path) -> None:
    """A field that does not exist is named, and nothing changes."""
    async with world(tmp_path) as w:
        before = w.manager.conditions.host
        with pytest.raises(InvalidArgument, match="moon_phase"):
            await w.manager.conditions.set_host(moon_phase=True)
        with pytest.raises(InvalidArgument, match="colour"):
            await w.manager.conditions.set_app(colour=True)
        assert w.manager.conditions.host == before
