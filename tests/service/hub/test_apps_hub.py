"""The app's own client against the service: what it registers is what is sent to."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from attrs import evolve

import tocsin
from tests.service.hub.hub_world import ENTRY, HubWorld, connected, entry, open_hub
from tocsin.client.notification_hub import NotificationHub
from tocsin.protocol.hub.connection_string import write_connection_string
from tocsin.protocol.hub.rights import KEY_NAMES, Right

KEY = "the key of a device, as long as it must be"
TOAST = '<toast><visual><binding template="ToastText01"><text id="1">$(message)</text></binding></visual></toast>'
TEMPLATE = {"ServiceBusNotification-Format": "template", "X-WNS-Type": "", "Content-Type": "application/json"}


def app_of(
    hub: HubWorld, state: Path, right: Right = Right.LISTEN, *, name: str = "contoso.mail", key: str = ""
) -> NotificationHub:
    """Make the hub of an app, with the connection string for that right, or with another key in it."""
    string = write_connection_string(hub.world.service.url, KEY_NAMES[right], key or hub.keys.keys[right])
    app = NotificationHub("contoso", string, app=name, state=state)
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


async def test_another_channel_takes_the_place_of_the_one_before(tmp_path: Path) -> None:
    """The registration is the same, and nothing is sent to the channel that it had."""
    async with open_hub(tmp_path) as hub, connected(hub, KEY) as (_, old), connected(hub, KEY[::-1]) as (device, uri):
        first = await app_of(hub, tmp_path / "app").register_native(old, ["news"])
        second = await app_of(hub, tmp_path / "app").register_native(uri, ["news"])
        assert (second.registration_id, second.channel_uri) == (first.registration_id, uri)
        assert await listed(hub) == 1
        assert (await hub.send(b"hi", "news")).status == 201
        assert (await device.acknowledge()).body == b"hi"


async def test_a_registration_that_is_gone_is_made_under_another_id(tmp_path: Path) -> None:
    """As after its channel has ended: an id is good for a day, or as long as it has a registration."""
    async with open_hub(tmp_path) as hub, connected(hub, KEY) as (_, uri):
        app = app_of(hub, tmp_path / "app")
        first = await app.register_native(uri)
        gone = f"registrations/{first.registration_id}"
        answer = await hub.ask("DELETE", gone, right=Right.LISTEN, **{"If-Match": "*"})
        assert answer.status == 200, answer.text
        hub.world.clock.time += 25 * 3600
        assert (await hub.ask("PUT", gone, entry(uri), right=Right.LISTEN, **ENTRY)).status == 410
        second = await app.register_native(uri)
        assert second.registration_id != first.registration_id
        assert await app_of(hub, tmp_path / "app").register_native(uri) == evolve(second, etag="2")
        assert await listed(hub) == 1


async def test_two_apps_of_one_user_have_a_registration_each(tmp_path: Path) -> None:
    """In the same folder and under the same tag; one removes its own only."""
    async with (
        open_hub(tmp_path) as hub,
        connected(hub, KEY) as (mail, mail_uri),
        connected(hub, KEY[::-1]) as (chat, chat_uri),
    ):
        apps = [app_of(hub, tmp_path / "apps", name=name) for name in ("contoso.mail", "contoso.chat")]
        for app, uri in zip(apps, (mail_uri, chat_uri), strict=True):
            await app.register_native(uri, ["news"])
        await hub.send(b"to both", "news")
        assert [(await device.acknowledge()).body for device in (mail, chat)] == [b"to both"] * 2
        await apps[0].unregister_native()
        await hub.send(b"to one", "news")
        assert (await chat.acknowledge()).body == b"to one"
        assert await listed(hub) == 1


async def test_what_is_lost_is_found_among_many_long_templates(tmp_path: Path) -> None:
    """The list of a channel's registrations is longer than any answer to a push, and has more than one page."""
    long = TOAST + f"<!--{'x' * 8_000}-->"
    async with open_hub(tmp_path) as hub, connected(hub, KEY) as (_, uri):
        app = app_of(hub, tmp_path / "app")
        for number in range(24):
            last = await app.register_template_native(uri, long, f"t{number:02}")
        again = await app_of(hub, tmp_path / "lost").register_template_native(uri, long, "t23")
        assert again.registration_id == last.registration_id
        made = await app_of(hub, tmp_path / "lost").register_native(uri)
        assert await listed(hub) == 25
        assert (await app_of(hub, tmp_path / "again").register_native(uri)).registration_id == made.registration_id


async def test_what_belongs_to_an_installation_is_not_taken(tmp_path: Path) -> None:
    """A server may have made one for the same channel; its parts are changed with it only."""
    installation = {"installationId": "i", "platform": "wns", "tags": ["news"]}
    async with open_hub(tmp_path) as hub, connected(hub, KEY) as (_, uri):
        body = json.dumps(installation | {"pushChannel": uri})
        assert (await hub.ask("PUT", "installations/i", body)).status == 200
        made = await app_of(hub, tmp_path / "app").register_native(uri)
        again = await app_of(hub, tmp_path / "lost").register_native(uri)
        assert again.registration_id == made.registration_id


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


async def test_the_key_is_in_no_error_and_in_no_log(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A wrong one is refused by the hub, and the sentence says what to do."""
    caplog.set_level(logging.DEBUG)
    async with open_hub(tmp_path) as hub, connected(hub, KEY) as (_, uri):
        wrong = "a wrong key, which is secret all the same"
        app = app_of(hub, tmp_path / "app", key=wrong)
        with pytest.raises(tocsin.SenderNotAllowed, match="take its present connection string") as refused:
            await app.register_native(uri)
        shown = [str(refused.value), repr(refused.value), repr(refused.value.result), repr(app), caplog.text]
        assert not [text for text in shown if wrong in text or uri in text]


async def test_a_channel_of_another_service_is_refused_in_words(tmp_path: Path) -> None:
    """The sentence is the hub's."""
    async with open_hub(tmp_path) as hub:
        with pytest.raises(
            tocsin.InvalidArgument, match="the hub has answered 400: ChannelUri is the URI of a channel"
        ):
            await app_of(hub, tmp_path / "app").register_native("https://wns.example/w/?id=x")
