"""Tag and group of a notification reach its handler, whichever way it goes."""

from __future__ import annotations

import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import pytest

import tocsin
from tests.actors.shelling import PlayedDesktop, toast_xml
from tests.processes import sender
from tests.world import Gathered
from tocsin.actors.lifecycle import open_platform
from tocsin.api.embedded import local_session
from tocsin.api.own_service import device_url_of
from tocsin.protocol.toasts.popup import Handle, Popup
from tocsin.transport.websocket_wire import dial_websocket

XML = {"X_WNS_Type": "wns/toast", "Content_Type": "text/xml"}
TOAST = {**XML, "X_WNS_Tag": "mail7", "X_WNS_Group": "inbox"}

KILLED = """
import os, signal, sys, anyio, tocsin
async def main(state, service, remote_id):
    async with tocsin.embedded("contoso.chat", state, service) as manager:
        result = await manager.create_channel(remote_id)
        with result.channel.push_received(lambda args: os.kill(os.getpid(), signal.SIGKILL)):
            print(result.channel.uri, flush=True)
            await anyio.sleep_forever()
anyio.run(main, *sys.argv[1:])
"""


def credentials(manager: tocsin.PushNotificationManager, uri: str) -> dict[str, Any]:
    """Return what a sender needs."""
    registration = manager.registration
    assert registration is not None
    return {
        "uri": uri,
        "token_url": registration.token_url,
        "client_id": registration.client_id,
        "client_secret": registration.client_secret,
    }


class Watched(PlayedDesktop):
    """A desktop that says what has happened on it."""

    def __init__(self) -> None:
        super().__init__()
        self.happened = Gathered()

    async def show(self, popup: Popup, replaces: Handle | None = None) -> Handle:
        """Show a popup."""
        handle = await super().show(popup, replaces)
        self.happened.add((popup.title, handle.number))
        return handle

    async def close(self, handle: Handle) -> None:
        """Take a popup down."""
        await super().close(handle)
        self.happened.add(handle.number)


@asynccontextmanager
async def listening(manager: tocsin.PushNotificationManager, remote_id: str) -> AsyncIterator[tuple[str, Gathered]]:
    """Handle the payloads of an app's channel, and note what each handler call could read of its label."""
    seen = Gathered()

    def handler(args: tocsin.PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        seen.add((args.type, args.tag, args.group, args.attempt))

    result = await manager.create_channel(remote_id)
    assert result.channel is not None
    with result.channel.push_received(handler):
        yield result.channel.uri, seen


async def post(manager: tocsin.PushNotificationManager, uri: str, headers: dict[str, str]) -> None:
    """Post a toast that is accepted, with the credentials of the service's own app."""
    async with sender(credentials(manager, uri)) as server:
        assert (await server.push(b"<toast/>", **headers))[1]["x-wns-status"] == "received"


async def test_a_handler_is_told_tag_and_group(tmp_path: Path) -> None:
    """And that there are none, where the sender has given none."""
    async with tocsin.embedded("contoso.mail", tmp_path) as manager:
        assert manager.registration is not None
        async with listening(manager, manager.registration.remote_id) as (uri, seen):
            await post(manager, uri, TOAST)
            await post(manager, uri, XML)
            await seen.wait_for(2)
    assert seen.items == [("toast", "mail7", "inbox", 1), ("toast", "", "", 1)]


async def test_they_are_stored_for_a_device_that_is_away(tmp_path: Path) -> None:
    """The device gets them when it comes."""
    async with tocsin.embedded("contoso.mail", tmp_path / "service") as own:
        assert own.registration is not None
        service = own.registration.token_url.rsplit("/", 1)[0]
        remote_id = own.registration.remote_id
        async with (
            tocsin.embedded("contoso.chat", tmp_path / "device", service) as device,
            listening(device, remote_id) as (uri, seen),
        ):
            pass
        await post(own, uri, TOAST)
        async with (
            tocsin.embedded("contoso.chat", tmp_path / "device", service) as device,
            listening(device, remote_id) as (_, seen),
        ):
            await seen.wait_for(1)
    assert seen.items == [("toast", "mail7", "inbox", 1)]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGKILL")
async def test_they_outlive_a_process_that_is_killed(tmp_path: Path) -> None:
    """The payload that a killed process has left comes to the next one with all that it had."""
    async with tocsin.embedded("contoso.mail", tmp_path / "service") as own:
        assert own.registration is not None
        service = own.registration.token_url.rsplit("/", 1)[0]
        remote_id = own.registration.remote_id
        words = [sys.executable, "-c", KILLED, str(tmp_path / "device"), service, remote_id]
        async with await anyio.open_process(words, stderr=None) as victim:
            assert victim.stdout is not None
            uri = (await victim.stdout.receive()).decode().strip()
            await post(own, uri, TOAST)
            assert await victim.wait() == -signal.SIGKILL
        async with (
            tocsin.embedded("contoso.chat", tmp_path / "device", service) as device,
            listening(device, remote_id) as (_, seen),
        ):
            await seen.wait_for(1)
    assert seen.items == [("toast", "mail7", "inbox", 2)]


async def test_a_sender_replaces_and_deletes_what_a_desktop_shows(tmp_path: Path) -> None:
    """A toast of the same tag takes the place of the first, and a DELETE takes it down; one without a popup is not shown."""
    desktop = Watched()
    async with tocsin.embedded("contoso.mail", tmp_path / "service") as own, AsyncExitStack() as stack:
        assert own.registration is not None
        service = own.registration.token_url.rsplit("/", 1)[0]
        dial = partial(dial_websocket, device_url_of(service))
        (tmp_path / "device").mkdir(mode=0o700)
        platform = await stack.enter_async_context(open_platform(tmp_path / "device", dial, desktop=desktop))
        session = await stack.enter_async_context(local_session(platform, "contoso.chat"))
        result = await tocsin.PushNotificationManager(session, "contoso.chat", None).create_channel(
            own.registration.remote_id
        )
        assert result.channel is not None
        server = await stack.enter_async_context(sender(credentials(own, result.channel.uri)))
        for number, (text, label) in enumerate(
            (
                ("first", {"X_WNS_Tag": "mail7"}),
                ("quiet", {"X_WNS_Tag": "mail8", "X_WNS_SuppressPopup": "true"}),
                ("second", {"X_WNS_Tag": "mail7"}),
                ("other", {}),
            )
        ):
            assert (await server.push(toast_xml(text), **XML, **label))[1]["x-wns-status"] == "received"
            await desktop.happened.wait_for(max(1, number))
        assert (await server.delete("type:wns/toast;tag=mail7")) == 200
        await desktop.happened.wait_for(4)
    first, second, other = 1, 1, 2
    assert desktop.happened.items == [("first", first), ("second", second), ("other", other), second]
