"""``tocsin.embedded``: the whole platform in one process, with real HTTP, a real WebSocket and a real store."""

from __future__ import annotations

import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import anyio
import pytest
import trio

import tocsin
from tests.processes import sender
from tests.world import Gathered
from tocsin.host import HostFacts
from tocsin.protocol.platform.conditions import HostState
from tocsin.testing import PlayedHost, PlayedSensor


def credentials(manager: tocsin.PushNotificationManager, channel: tocsin.PushNotificationChannel) -> dict[str, Any]:
    """Return what a sender needs."""
    registration = manager.registration
    assert registration is not None
    return {
        "uri": channel.uri,
        "token_url": registration.token_url,
        "client_id": registration.client_id,
        "client_secret": registration.client_secret,
    }


async def open_channel(manager: tocsin.PushNotificationManager) -> tocsin.PushNotificationChannel:
    """Request the app's channel from the service in this process."""
    assert manager.registration is not None
    result = await manager.create_channel(manager.registration.remote_id)
    assert result.channel is not None, result
    return result.channel


async def test_a_push_over_http_reaches_a_handler(tmp_path: Path) -> None:
    """The main job: post, acknowledged, handled."""
    seen = Gathered()

    def handler(args: tocsin.PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        seen.add(args.payload)

    async with tocsin.embedded("contoso.mail", tmp_path) as manager:
        channel = await open_channel(manager)
        with channel.push_received(handler):
            async with sender(credentials(manager, channel)) as server:
                status, headers = await server.push(b"ding")
            assert (status, headers["x-wns-status"]) == (200, "received")
            await seen.wait_for(1)
    assert seen.items == [b"ding"]


async def test_a_closed_channel_answers_410(tmp_path: Path) -> None:
    """After close the sender learns that the channel is gone, and the app may have another."""
    async with tocsin.embedded("contoso.mail", tmp_path) as manager:
        channel = await open_channel(manager)
        async with sender(credentials(manager, channel)) as server:
            await channel.close()
            assert (await server.push(b"ding"))[0] == 410
            with pytest.raises(tocsin.ChannelClosed):
                await channel.close()
            again = await open_channel(manager)
            assert again.uri != channel.uri
            assert (await server.push(b"ding", again.uri))[0] == 200


async def test_an_app_that_the_service_does_not_know_gets_a_failed_result(tmp_path: Path) -> None:
    """An unknown remote id is a critical failure, with the code that Windows has for it."""
    async with tocsin.embedded("contoso.mail", tmp_path) as manager:
        result = await manager.create_channel("f80e541e-3606-48fb-935e-118a3c5f41f4")
        assert result.status is tocsin.PushNotificationChannelStatus.COMPLETED_FAILURE
        assert result.extended_error == tocsin.HResult.WPN_E_INVALID_APP


async def test_two_apps_two_platforms_one_service(tmp_path: Path) -> None:
    """An app may use the service of another process: its payloads reach it, and not the other."""
    seen = Gathered()
    async with tocsin.embedded("contoso.mail", tmp_path / "a") as first:
        channel = await open_channel(first)
        assert first.registration is not None
        service = channel.uri.split("/w/")[0]
        async with tocsin.embedded("contoso.chat", tmp_path / "b", service) as second:
            assert second.registration is None
            result = await second.create_channel(first.registration.remote_id)
            assert result.channel is not None
            assert result.channel.uri != channel.uri
            with result.channel.push_received(lambda args: seen.add(args.payload)):
                async with sender(credentials(first, result.channel)) as server:
                    assert (await server.push(b"for chat"))[1]["x-wns-status"] == "received"
                await seen.wait_for(1)


async def test_a_device_that_is_away_gets_nothing_and_the_sender_is_told(tmp_path: Path) -> None:
    """A raw payload for a device that is not connected is dropped, and the answer says why."""
    async with tocsin.embedded("contoso.mail", tmp_path / "a") as first:
        channel = await open_channel(first)
        assert first.registration is not None
        service = channel.uri.split("/w/")[0]
        async with tocsin.embedded("contoso.chat", tmp_path / "b", service) as second:
            result = await second.create_channel(first.registration.remote_id)
            assert result.channel is not None
        async with sender(credentials(first, result.channel)) as server:
            status, headers = await server.push(b"x", X_WNS_RequestForStatus="true")
        assert (status, headers["x-wns-status"]) == (200, "dropped")
        assert headers["x-wns-deviceconnectionstatus"] == "disconnected"
        assert headers["x-wns-error-description"] == "Device is offline and X-WNS-Cache-Policy is no-cache"


@pytest.mark.parametrize("app", ["", "  ", "x" * 129, "line\nbreak"])
async def test_a_name_that_is_none_is_refused(tmp_path: Path, app: str) -> None:
    """An app has a printable name, and nothing is made before that is clear."""
    with pytest.raises(tocsin.InvalidArgument, match="app's name"):
        await tocsin.embedded(app, tmp_path / "state").__aenter__()
    assert not (tmp_path / "state").exists()


@pytest.mark.parametrize("service", ["", "push.example", "ftp://push.example", "http://"])
async def test_a_service_that_is_no_url_is_refused(tmp_path: Path, service: str) -> None:
    """The sentence shows what would be right."""
    with pytest.raises(tocsin.InvalidArgument, match=r"https://push\.example"):
        await tocsin.embedded("contoso.mail", tmp_path, service).__aenter__()


@pytest.mark.parametrize("port", [-1, 65536])
async def test_a_port_that_is_none_is_refused(tmp_path: Path, port: int) -> None:
    """Ports go from 0 to 65535."""
    with pytest.raises(tocsin.InvalidArgument, match="port"):
        await tocsin.embedded("contoso.mail", tmp_path, port=port).__aenter__()


class Saving:
    """A sensor that knows that power is saved."""

    name, is_polled, standing = "saving", False, "a test"

    async def run(self, tell: Callable[[HostFacts], None]) -> None:
        """Tell it."""
        tell(HostFacts(power_saver=True))
        await anyio.sleep_forever()

    def ask(self) -> None:
        """Know nothing more."""


async def test_sensors_of_the_callers_own_tell_how_the_machine_stands(tmp_path: Path) -> None:
    """From the start; without any it is as apps say."""
    async with tocsin.embedded("contoso.mail", tmp_path, sensors=[Saving()]) as manager:
        await anyio.wait_all_tasks_blocked()  # it was told before, and reads it now
        assert manager.conditions.host == HostState(energy_saver=True, background_work_cost_high=True)
        with pytest.raises(tocsin.IllegalCall, match=r"sensors=\(\)"):
            await manager.conditions.set_host(energy_saver=False)
    async with tocsin.embedded("contoso.mail", tmp_path, sensors=()) as manager:
        assert manager.conditions.host == HostState()
        await manager.conditions.set_host(energy_saver=True)


@pytest.mark.parametrize("sensors", [Saving(), [Saving], [None], [Saving(), Saving()], "none", 0])
async def test_sensors_that_are_none_are_refused(tmp_path: Path, sensors: Any) -> None:
    """Those that keep no promise, or could not be told apart."""
    with pytest.raises(tocsin.InvalidArgument, match="sensor"):
        await tocsin.embedded("contoso.mail", tmp_path / "state", sensors=sensors).__aenter__()
    assert not (tmp_path / "state").exists()


async def test_a_state_folder_serves_one_at_a_time(tmp_path: Path) -> None:
    """The second to come is turned away; when the first has left, it may enter."""
    async with tocsin.embedded("contoso.mail", tmp_path):
        with pytest.raises(tocsin.StateUnavailable, match="in use by process"):
            await tocsin.embedded("contoso.mail", tmp_path).__aenter__()
    async with tocsin.embedded("contoso.mail", tmp_path):
        pass


async def test_without_the_web_server_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The plain install runs no service of its own, and says which extra does."""
    monkeypatch.setattr(tocsin, "service", import_module("tocsin.service"))  # what is imported anew takes its place
    for name in [name for name in sys.modules if name.startswith(("tocsin.service", "httptools"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "httptools", None)
    with pytest.raises(tocsin.NotSupported, match=r"httptools: pip install 'tocsin\[service\]'"):
        await tocsin.embedded("contoso.mail", tmp_path).__aenter__()


def test_on_trio_it_says_what_is_wrong(tmp_path: Path) -> None:
    """The store needs asyncio, and the sentence says so before anything is made."""

    async def enter() -> None:
        await tocsin.embedded("contoso.mail", tmp_path / "state").__aenter__()

    with pytest.raises(tocsin.NotSupported, match="asyncio"):
        trio.run(enter)
    assert not (tmp_path / "state").exists()


async def test_handlers_may_finish_when_the_app_leaves(tmp_path: Path) -> None:
    """Leaving the block waits a moment for the handler that runs, so that its work is not done twice."""
    begun, seen = anyio.Event(), Gathered()

    async def handler(args: tocsin.PushNotificationReceivedEventArgs) -> None:
        begun.set()
        for _ in range(20):
            await anyio.lowlevel.checkpoint()
        args.handled = True
        seen.add(args.id)

    async with tocsin.embedded("contoso.mail", tmp_path) as manager:
        channel = await open_channel(manager)
        async with sender(credentials(manager, channel)) as server:
            channel.add_push_received(handler)
            await server.push(b"ding")
            await begun.wait()
    assert len(seen.items) == 1


@pytest.mark.parametrize("policy", ["policy.toml", type(PlayedHost().policy_source), PlayedSensor(), 0])
async def test_a_policy_that_is_none_is_refused(tmp_path: Path, policy: Any) -> None:
    """Before anything is opened; the path of a policy file is none."""
    with pytest.raises(tocsin.InvalidArgument, match=r"a policy keeps the promise tocsin\.host\.PolicySource"):
        await tocsin.embedded("contoso.mail", tmp_path / "state", policy=policy).__aenter__()
    assert not (tmp_path / "state").exists()
