"""Installations over their lives: changed, expired, at the limit of what a hub may have."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path

import anyio
import pytest

from tests.service.hub.hub_world import HubWorld, connected, entry, open_hub
from tests.service.hub.rows import TEMPLATE_OF, last_piece
from tests.service.world import Answer
from tocsin.protocol.hub.rights import Right
from tocsin.protocol.messages import RevokeChannels
from tocsin.service.operations.settings import ServiceSettings

KEY = "the key of a device of an installation, long enough"
TEMPLATE = {"body": "<toast>$(x)</toast>", "headers": {"X-WNS-Type": "wns/toast"}}


@pytest.fixture
async def hub(tmp_path: Path) -> AsyncIterator[HubWorld]:
    """Run a service with a hub."""
    async with open_hub(tmp_path) as hub:
        yield hub


async def put(
    hub: HubWorld, uri: str = "", name: str = "i", headers: dict[str, str] | None = None, **more: object
) -> Answer:
    """Put an installation."""
    document = {"platform": "wns", "pushChannel": uri or hub.world.uri, **more}
    return await hub.ask("PUT", f"installations/{name}", json.dumps(document), right=Right.LISTEN, **(headers or {}))


async def got(hub: HubWorld, name: str = "i") -> dict[str, object]:
    """Get an installation."""
    answer = await hub.ask("GET", f"installations/{name}")
    assert answer.status == 200, answer.text
    document: dict[str, object] = json.loads(answer.text)
    return document


async def test_its_etag_goes_on_and_if_match_is_heeded(hub: HubWorld) -> None:
    """Without it, or with a star, the last one to write wins."""
    assert (await put(hub)).headers["ETag"] == 'W/"1"'
    assert (await put(hub, headers={"If-Match": 'W/"1"'})).headers["ETag"] == 'W/"2"'
    patch = '[{"op":"add","path":"/tags","value":"a"}]'
    for method, body in (
        ("PUT", json.dumps({"platform": "wns", "pushChannel": hub.world.uri})),
        ("PATCH", patch),
        ("DELETE", ""),
    ):
        refused = await hub.ask(method, "installations/i", body, right=Right.LISTEN, **{"If-Match": '"1"'})
        assert (refused.status, 'W/"2"' in refused.text) == (412, True)
    assert "tags" not in await got(hub)
    assert (await hub.ask("PATCH", "installations/i", patch)).headers["ETag"] == 'W/"3"'
    assert (await hub.ask("DELETE", "installations/i", right=Right.LISTEN, **{"If-Match": "*"})).status == 204
    assert (await hub.ask("GET", "installations/i")).status == 404


async def test_changes_at_once_are_all_done(hub: HubWorld) -> None:
    """None is lost, and each has an ETag of its own."""
    await put(hub)
    answers: list[Answer] = []

    async def add(number: int) -> None:
        answers.append(
            await hub.ask(
                "PATCH", "installations/i", json.dumps([{"op": "add", "path": "/tags", "value": f"t{number}"}])
            )
        )

    async with anyio.create_task_group() as group:
        for number in range(20):
            group.start_soon(add, number)
    assert {answer.headers["ETag"] for answer in answers} == {f'W/"{number}"' for number in range(2, 22)}
    tags = (await got(hub))["tags"]
    assert isinstance(tags, list)
    assert sorted(tags) == sorted(f"t{number}" for number in range(20))


async def test_what_has_expired_is_not_there(hub: HubWorld) -> None:
    """Not found, not sent to, and put anew it begins anew; what is past cannot be named."""
    async with connected(hub, KEY) as (device, uri):
        assert (await put(hub, uri, expirationTime="2027-01-15T08:01:00Z", tags=["a"])).status == 200
        hub.world.clock.time += 60
        assert (await hub.ask("GET", "installations/i")).status == 404
        assert (await hub.ask("PATCH", "installations/i", '[{"op":"remove","path":"/tags"}]')).status == 404
        sent = await hub.send(b"x", "a")
        state = ""
        while "NoTargetFound" not in state:
            state = (await hub.ask("GET", f"messages/{last_piece(sent.headers['Location'])}")).text
        assert device.waiting() == 0
        refused = await put(hub, uri, expirationTime="2027-01-15T08:01:00Z")
        assert (refused.status, "past" in refused.text) == (400, True)
        assert (await put(hub, uri)).headers["ETag"] == 'W/"1"'


async def test_the_end_of_its_channel_is_told(hub: HubWorld) -> None:
    """It has no parts then, until the app puts another channel."""
    async with connected(hub, KEY) as (device, uri):
        await put(hub, uri, tags=["a"])
        await device.send(RevokeChannels(1, "app"))
        while not (await got(hub))["pushChannelExpired"]:
            pass
        assert "<entry" not in (await hub.ask("GET", "registrations")).text
        assert (await hub.ask("PATCH", "installations/i", '[{"op":"add","path":"/tags","value":"b"}]')).status == 200
        assert (await got(hub))["pushChannelExpired"] is True
        assert "<entry" not in (await hub.ask("GET", "registrations")).text
        change = json.dumps([{"op": "replace", "path": "/pushChannel", "value": hub.world.uri}])
        assert (await hub.ask("PATCH", "installations/i", change)).status == 200
        assert (await got(hub))["pushChannelExpired"] is False
        assert "<entry" in (await hub.ask("GET", "registrations")).text


async def test_a_hub_has_room_for_so_many(tmp_path: Path) -> None:
    """Registrations, and the parts of installations; what is there can be changed at the limit, and room comes again."""
    async with open_hub(tmp_path, ServiceSettings(max_hub_registrations=3)) as hub:
        first = last_piece((await hub.register(hub.world.uri)).headers["Content-Location"])
        assert (await put(hub, templates={"t": TEMPLATE})).status == 200
        for refused in (
            await hub.register(hub.world.uri),
            await put(hub, name="j"),
            await put(hub, templates={"t": TEMPLATE, "u": TEMPLATE}),
        ):
            assert (refused.status, "3 of the 3 registrations" in refused.text) == (403, True), refused.text
        assert (await hub.ask("GET", "installations/j")).status == 404
        assert (await got(hub))["templates"] == {"t": TEMPLATE}
        assert (await put(hub, templates={"u": TEMPLATE})).status == 200
        assert (await hub.ask("PUT", f"registrations/{first}", entry(hub.world.uri, "a"))).status == 200
        assert (await hub.ask("DELETE", f"registrations/{first}")).status == 200
        assert (await put(hub, name="j")).status == 200
        assert (await hub.ask("DELETE", "installations/i")).status == 204
        assert (await hub.ask("POST", "registrations", TEMPLATE_OF.replace("<uri>", hub.world.uri))).status == 200


async def test_one_id_is_made_once_however_many_ask(hub: HubWorld) -> None:
    """Each change has an ETag of its own, and of those that name one only one is done."""
    id_ = last_piece((await hub.ask("POST", "registrationids")).headers["Location"])
    answers: list[Answer] = []

    async def put_one(headers: dict[str, str]) -> None:
        answers.append(
            await hub.ask("PUT", f"registrations/{id_}", entry(hub.world.uri), right=Right.LISTEN, **headers)
        )

    for headers in ({}, {"If-Match": '"10"'}):
        async with anyio.create_task_group() as group:
            for _ in range(10):
                group.start_soon(put_one, headers)
    assert sorted(answer.headers["ETag"] for answer in answers[:10]) == sorted(
        f'W/"{number}"' for number in range(1, 11)
    )
    assert sorted(answer.status for answer in answers[10:]) == [200] + [412] * 9
    listed = (await hub.ask("GET", "registrations")).text
    assert re.findall("<ETag>(.*?)</ETag>", listed) == ["11"]


async def test_an_update_of_what_is_gone_makes_nothing(hub: HubWorld) -> None:
    """With If-Match there has to be one: 410, so that the client gets a new id; without it, a fresh id will do again."""
    id_ = last_piece((await hub.register(hub.world.uri)).headers["Content-Location"])
    await hub.ask("DELETE", f"registrations/{id_}")
    for if_match in ("*", '"1"'):
        gone = await hub.ask(
            "PUT", f"registrations/{id_}", entry(hub.world.uri), right=Right.LISTEN, **{"If-Match": if_match}
        )
        assert (gone.status, "registrationids" in gone.text) == (410, True)
    assert (await hub.ask("PUT", f"registrations/{id_}", entry(hub.world.uri))).status == 200


async def test_an_id_that_was_given_out_waits_for_a_day(hub: HubWorld) -> None:
    """Then it is gone; one that has its registration is good for good."""
    first, second = [last_piece((await hub.ask("POST", "registrationids")).headers["Location"]) for _ in range(2)]
    assert (await hub.ask("PUT", f"registrations/{first}", entry(hub.world.uri))).status == 200
    hub.world.clock.time += 24 * 3600
    assert (await hub.ask("PUT", f"registrations/{second}", entry(hub.world.uri))).status == 410
    assert (await hub.ask("PUT", f"registrations/{first}", entry(hub.world.uri))).status == 200


async def test_a_part_is_changed_with_its_installation_only(hub: HubWorld) -> None:
    """It can be read and listed, as any registration; 409 says where it is changed."""
    await put(hub)
    listed = (await hub.ask("GET", "registrations")).text
    (id_,) = re.findall("<RegistrationId>(.*?)</RegistrationId>", listed)
    assert (await hub.ask("GET", f"registrations/{id_}")).status == 200
    for method in ("PUT", "DELETE"):
        refused = await hub.ask(method, f"registrations/{id_}", entry(hub.world.uri) if method == "PUT" else "")
        assert (refused.status, "installations/{id}" in refused.text) == (409, True)
