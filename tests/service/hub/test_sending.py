"""Messages of a hub on their way to devices."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.service.hub.hub_world import RAW, WINDOWS, HubWorld, connected, entry, open_hub
from tests.service.world import Answer, dial
from tocsin.protocol.hub.rights import Right
from tocsin.protocol.messages import Acknowledge, ChannelsRevoked, Payload, RevokeChannels
from tocsin.protocol.toast_label import ToastLabel
from tocsin.protocol.values import NotificationType
from tocsin.service.operations.settings import ServiceSettings

KEYS = [f"the key of device number {number}, as long as it must be" for number in range(3)]
TOAST = '<toast launch="x"><visual><binding template="ToastGeneric"><text>Hi</text></binding></visual></toast>'


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubWorld]:
    """Run a service with a hub."""
    async with open_hub(tmp_path) as hub:
        yield hub


def id_of(answer: Answer) -> str:
    """Return the id of an accepted message."""
    assert answer.status == 201, answer.text
    return answer.headers["Location"].rsplit("/", 1)[1]


async def details(hub: HubWorld, id_: str, state: str) -> str:
    """Wait until a message has come to a state; return what is told of it."""
    while True:
        answer = await hub.ask("GET", f"messages/{id_}")
        assert answer.status == 200, answer.text
        if f"<State>{state}</State>" in answer.text:
            return answer.text


async def test_a_message_reaches_those_with_the_tag(hub: HubWorld) -> None:
    """Byte by byte, each device once; its state tells how many."""
    async with connected(hub, KEYS[0]) as (one, uri_one), connected(hub, KEYS[1]) as (two, uri_two):
        for uri, tags in ((uri_one, ["a"]), (uri_two, ["a", "b"])):
            assert (await hub.register(uri, *tags)).status == 200
        id_ = id_of(await hub.send(b"\x00\xff raw", "a"))
        assert [(await device.acknowledge()).body for device in (one, two)] == [b"\x00\xff raw"] * 2
        assert re.search("<Name>Success</Name>.*<Count>2</Count>", await details(hub, id_, "Completed"), re.DOTALL)
        other = id_of(await hub.send(b"second", "a && !b"))
        payload = await one.acknowledge()
        assert (payload.body, payload.type) == (b"second", NotificationType.RAW)
        await details(hub, other, "Completed")
        assert two.waiting() == 0


async def test_headers_of_wns_go_through(hub: HubWorld) -> None:
    """Type, tag, group and TTL are those of the message; without a type it is that of the root element."""
    async with connected(hub, KEYS[0]) as (device, uri):
        await hub.register(uri)
        headers = WINDOWS | {"X-WNS-Tag": "t", "X-WNS-Group": "g", "X-WNS-TTL": "60", "X-WNS-PRIORITY": "4"}
        id_of(await hub.ask("POST", "messages/?api-version=2015-04", TOAST, right=Right.SEND, **headers))
        payload = await device.acknowledge()
        assert (payload.type, payload.body, payload.priority) == (NotificationType.TOAST, TOAST.encode(), 4)
        assert payload.expires == hub.world.clock.time + 60
        label = ToastLabel.read(payload.label)
        assert (label.tag, label.group) == ("t", "g")


async def test_a_device_that_is_away_gets_it_later(hub: HubWorld) -> None:
    """What may be stored is; that is a success. What may not is dropped, for the reason that WNS has."""
    async with connected(hub, KEYS[0]) as (_, uri):
        await hub.register(uri)
    kept = id_of(await hub.send(b"kept", **{"X-WNS-Cache-Policy": "cache"}))
    assert "<Name>Success</Name>" in await details(hub, kept, "Completed")
    lost = await details(hub, id_of(await hub.send(b"lost")), "Completed")
    assert "<Name>Dropped</Name>" in lost
    assert "Device is offline and X-WNS-Cache-Policy is no-cache" in lost
    async with dial(hub.world.service) as device:
        await device.greet(KEYS[0])
        assert (await device.acknowledge()).body == b"kept"


async def test_a_closed_channel_takes_its_registration_away(hub: HubWorld) -> None:
    """At once where the device revokes it, at the next message where it is of no app any more."""
    async with connected(hub, KEYS[0]) as (_, uri):
        await hub.register(uri, "a")
    await hub.world.service.registrations.remove("contoso")
    assert f"<ChannelUri>{uri}" in (await hub.ask("GET", "registrations")).text
    told = await details(hub, id_of(await hub.send(b"x")), "Completed")
    assert "<Name>BadChannel</Name>" in told
    assert "<ChannelUri>" not in (await hub.ask("GET", "registrations")).text
    await details(hub, id_of(await hub.send(b"x")), "NoTargetFound")


async def test_channels_are_named_directly_and_in_batches(hub: HubWorld) -> None:
    """Without a registration; each device gets it once, however often it is named."""
    async with connected(hub, KEYS[0]) as (one, uri_one), connected(hub, KEYS[1]) as (two, uri_two):
        headers = RAW | {"ServiceBusNotification-DeviceHandle": uri_one}
        answer = await hub.ask("POST", "messages?direct&api-version=2016-07", b"direct", right=Right.SEND, **headers)
        id_of(answer)
        assert (await one.acknowledge()).body == b"direct"
        parts = (
            b"--b0\r\nContent-Disposition: inline; name=notification\r\nContent-Type: application/octet-stream\r\n\r\nba\x00tch"
            b"\r\n--b0\r\nContent-Disposition: inline; name=devices\r\nContent-Type: application/json\r\n\r\n"
            + f'["{uri_one}", "{uri_two}", "{uri_one}"]'.encode()
            + b"\r\n--b0--\r\n"
        )
        headers = RAW | {"Content-Type": 'multipart/mixed; boundary = "b0"'}
        id_ = id_of(await hub.ask("POST", "messages/$batch?direct", parts, right=Right.SEND, **headers))
        assert [(await device.acknowledge()).body for device in (one, two)] == [b"ba\x00tch"] * 2
        assert re.search("<Count>2</Count>", await details(hub, id_, "Completed"))


async def test_templates_make_what_each_device_gets(hub: HubWorld) -> None:
    """From the properties of the message; registrations without a template are none of its targets."""
    more = (
        f"<BodyTemplate><![CDATA[{TOAST.replace('Hi', '$(greeting)')}]]></BodyTemplate><WnsHeaders><WnsHeader>"
        "<Header>X-WNS-Type</Header><Value>wns/toast</Value></WnsHeader></WnsHeaders><TemplateName>t</TemplateName>"
    )
    async with connected(hub, KEYS[0]) as (one, uri_one), connected(hub, KEYS[1]) as (two, uri_two):
        await hub.register(uri_two)
        body = entry(uri_one, kind="WindowsTemplateRegistrationDescription", more=more)
        assert (await hub.ask("POST", "registrations", body, right=Right.LISTEN)).status == 200
        headers = {"ServiceBusNotification-Format": "template", "Content-Type": "application/json"}
        id_ = id_of(await hub.ask("POST", "messages", '{"greeting": "Hi & bye"}', right=Right.SEND, **headers))
        payload = await one.acknowledge()
        assert (payload.type, payload.body) == (NotificationType.TOAST, TOAST.replace("Hi", "Hi &amp; bye").encode())
        assert "<Count>1</Count>" in await details(hub, id_, "Completed")
        assert two.waiting() == 0


async def test_templates_without_a_name_are_told_apart(hub: HubWorld) -> None:
    """An app that registers two for its channel gets what each of them makes."""
    async with connected(hub, KEYS[0]) as (device, uri):
        for body in ("<one>$(greeting)</one>", "<two>$(greeting)</two>"):
            more = (
                f"<BodyTemplate><![CDATA[{body}]]></BodyTemplate><WnsHeaders><WnsHeader><Header>X-WNS-Type</Header>"
                "<Value>wns/raw</Value></WnsHeader></WnsHeaders>"
            )
            made = entry(uri, kind="WindowsTemplateRegistrationDescription", more=more)
            assert (await hub.ask("POST", "registrations", made, right=Right.LISTEN)).status == 200
        headers = {"ServiceBusNotification-Format": "template", "Content-Type": "application/json"}
        id_of(await hub.ask("POST", "messages", '{"greeting": "Hi"}', right=Right.SEND, **headers))
        assert {(await device.acknowledge()).body for _ in range(2)} == {b"<one>Hi</one>", b"<two>Hi</two>"}


async def test_a_test_tells_the_outcome_in_its_answer(hub: HubWorld) -> None:
    """For each target, in the body of the 201."""
    async with connected(hub, KEYS[0]) as (_, uri):
        await hub.register(uri)
    answer = await hub.ask("POST", "messages?test=true", b"x", right=Right.SEND, **RAW)
    assert answer.status == 201
    assert "<Success>0</Success>" in answer.text
    assert "Device is offline" in answer.text


async def test_what_was_under_way_goes_on_after_a_restart(tmp_path: Path) -> None:
    """A device that has acknowledged nothing gets it once more, under the same id."""
    async with open_hub(tmp_path) as hub, connected(hub, KEYS[0]) as (device, uri):
        await hub.register(uri)
        id_ = id_of(await hub.send(b"x"))
        first = await device.receive(Payload)
    async with open_hub(tmp_path) as hub, dial(hub.world.service) as device:
        await device.greet(KEYS[0])
        async with anyio.create_task_group() as group:
            group.start_soon(pass_time, hub)  # it may have been tried before the device was there
            again = await device.acknowledge()
            assert (again.id, again.body) == (first.id, b"x")
            assert "<Name>Success</Name>" in await details(hub, id_, "Completed")
            group.cancel_scope.cancel()


async def pass_time(hub: HubWorld) -> None:
    """Let the service's clock go on with each request."""
    while True:
        hub.world.clock.time += 0.1
        await hub.ask("GET", "registrations")


async def test_a_target_that_cannot_take_it_is_tried_again(tmp_path: Path) -> None:
    """After a second, and under the same id."""
    settings = ServiceSettings.private(acknowledge_timeout=0.2)
    async with open_hub(tmp_path, settings) as hub, connected(hub, KEYS[0]) as (device, uri):
        await hub.register(uri)
        id_ = id_of(await hub.send(b"x"))
        first = await device.receive(Payload)
        async with anyio.create_task_group() as group:
            group.start_soon(pass_time, hub)
            again = await device.receive(Payload)
            assert again.id == first.id
            await device.send(Acknowledge((again.id,)))
            assert "<Name>Success</Name>" in await details(hub, id_, "Completed")
            group.cancel_scope.cancel()


SOON = {"ServiceBusNotification-ScheduleTime": "2027-01-15T08:00:05"}  # five seconds after the clock of these tests


async def test_a_scheduled_message_is_sent_when_it_is_due(tmp_path: Path) -> None:
    """Also where the service was started anew meanwhile."""
    async with open_hub(tmp_path) as hub:
        async with connected(hub, KEYS[0]) as (_, uri):
            await hub.register(uri)
        id_ = id_of(await hub.ask("POST", "schedulednotifications", b"x", right=Right.SEND, **(RAW | SOON)))
        await details(hub, id_, "Scheduled")
    async with open_hub(tmp_path, later=10) as hub, dial(hub.world.service) as device:
        await device.greet(KEYS[0])
        async with anyio.create_task_group() as group:
            group.start_soon(pass_time, hub)  # it may have been tried before the device was there
            assert (await device.acknowledge()).body == b"x"
            await details(hub, id_, "Completed")
            group.cancel_scope.cancel()


async def test_a_scheduled_message_can_be_cancelled(hub: HubWorld) -> None:
    """Cancelled, it is not sent; its state says so, and it cannot be cancelled twice."""
    id_ = id_of(await hub.ask("POST", "schedulednotifications", b"x", right=Right.SEND, **(RAW | SOON)))
    assert (await hub.ask("DELETE", f"schedulednotifications/{id_}", right=Right.SEND)).status == 200
    await details(hub, id_, "Cancelled")
    again = await hub.ask("DELETE", f"schedulednotifications/{id_}", right=Right.SEND)
    assert (again.status, "Cancelled" in again.text) == (404, True)


async def test_a_message_for_next_year_is_refused(hub: HubWorld) -> None:
    """It says how far from now one may be scheduled."""
    at = {"ServiceBusNotification-ScheduleTime": "2028-01-15T08:00:05"}
    refused = await hub.ask("POST", "schedulednotifications", b"x", right=Right.SEND, **(RAW | at))
    assert (refused.status, "7 days" in refused.text) == (400, True)


async def test_a_channel_that_has_ended_is_not_registered(hub: HubWorld) -> None:
    """The refusal says what to do; one that the service does not know may be, and is found out by the next message."""
    async with connected(hub, KEYS[0]) as (device, uri):
        await device.send(RevokeChannels(2, "app"))
        await device.receive(ChannelsRevoked)
    refused = await hub.register(uri)
    assert (refused.status, "request another" in refused.text) == (400, True)
    installed = json.dumps({"installationId": "i", "platform": "wns", "pushChannel": uri})
    refused = await hub.ask("PUT", "installations/i", installed)
    assert (refused.status, "request another" in refused.text) == (400, True)
    assert (await hub.register("https://h/w/?token=unknown")).status == 200


async def test_an_installation_is_changed_by_the_first_request_after_a_restart(tmp_path: Path) -> None:
    """It has as many parts as before, so nothing has been counted yet."""
    path = "installations/i"
    async with open_hub(tmp_path) as hub, connected(hub, KEYS[0]) as (_, uri):
        installed = json.dumps({"installationId": "i", "platform": "wns", "pushChannel": uri})
        assert (await hub.ask("PUT", path, installed)).status == 200
    async with open_hub(tmp_path) as hub:
        assert (await hub.ask("PATCH", path, '[{"op": "add", "path": "/tags", "value": "a"}]')).status == 200
        assert (await hub.ask("PUT", path, installed)).status == 200
