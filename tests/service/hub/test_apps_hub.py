"""The app's own client against the service: what it registers is what is sent to."""

from __future__ import annotations

from pathlib import Path

import pytest

import tocsin
from tests.service.hub.hub_world import HubWorld, connected, open_hub
from tocsin.client.notification_hub import NotificationHub
from tocsin.protocol.hub.connection_string import write_connection_string
from tocsin.protocol.hub.rights import KEY_NAMES, Right

KEY = "the key of a device, as long as it must be"
TOAST = '<toast><visual><binding template="ToastText01"><text id="1">$(message)</text></binding></visual></toast>'
TEMPLATE = {"ServiceBusNotification-Format": "template", "X-WNS-Type": "", "Content-Type": "application/json"}


def app_of(hub: HubWorld, state: Path, right: Right = Right.LISTEN) -> NotificationHub:
    """Make the app's hub, with the connection string for that right."""
    string = write_connection_string(hub.world.service.url, KEY_NAMES[right], hub.keys.keys[right])
    app = NotificationHub("contoso", string, app="contoso.mail", state=state)
    app._now = lambda: hub.world.clock.time
    return app


async def listed(hub: HubWorld) -> int:
    """Count the registrations of the hub."""
    answer = await hub.ask("GET", "registrations")
    assert answer.status == 200, answer.text
    return answer.text.count("<RegistrationId>")


async def test_what_is_registered_is_sent_to(tmp_path: Path) -> None:
    """By its tag, and from a template; a restart makes no second registration, nor does lost storage."""
    async with open_hub(tmp_path) as hub, connected(hub, KEY) as (device, uri):
        made = await app_of(hub, tmp_path / "app").register_native(uri, ["news"])
        assert (made.channel_uri, made.etag, made.tags) == (uri, "1", ("news",))
        for state in ("app", "app", "lost"):
            again = await app_of(hub, tmp_path / state).register_native(uri, ["news", "sports"])
            assert again.registration_id == made.registration_id
        assert await listed(hub) == 1
        assert (await hub.send(b"\x00 raw", "sports")).status == 201
        assert (await device.acknowledge()).body == b"\x00 raw"
        app = app_of(hub, tmp_path / "app")
        await app.register_template_native(uri, TOAST, "greeting", tags=["news"])
        await app.unregister_native()
        answer = await hub.ask("POST", "messages", '{"message": "<hi>"}', right=Right.SEND, **TEMPLATE)
        assert answer.status == 201, answer.text
        assert (await device.acknowledge()).body == TOAST.replace("$(message)", "&lt;hi&gt;").encode()
        await app.unregister_template("greeting")
        assert await listed(hub) == 0


async def test_a_registration_that_the_hub_has_lost_is_made_anew(tmp_path: Path) -> None:
    """As after its channel has ended."""
    async with open_hub(tmp_path) as hub, connected(hub, KEY) as (_, uri):
        app = app_of(hub, tmp_path / "app")
        first = await app.register_native(uri)
        answer = await hub.ask(
            "DELETE", f"registrations/{first.registration_id}", right=Right.MANAGE, **{"If-Match": "*"}
        )
        assert answer.status == 200, answer.text
        await app.register_native(uri)
        assert await listed(hub) == 1


async def test_keys_that_are_not_right_have_their_errors(tmp_path: Path) -> None:
    """A key for sending is refused, and so is one that was replaced two days ago."""
    async with open_hub(tmp_path) as hub, connected(hub, KEY) as (_, uri):
        with pytest.raises(tocsin.SenderNotAllowed, match="403"):
            await app_of(hub, tmp_path / "app", Right.SEND).register_native(uri)
        app = app_of(hub, tmp_path / "app")
        await hub.world.service.hubs.rotate("contoso")
        hub.world.clock.time += 2 * 24 * 3600
        with pytest.raises(tocsin.SenderNotAllowed, match="401"):
            await app.register_native(uri)
