"""What the command may ask about notification hubs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.service.world import Clock
from tocsin.protocol.errors import IllegalCall, InvalidArgument, NotFound, PushError
from tocsin.protocol.hub.connection_string import read_connection_string
from tocsin.protocol.hub.rights import KEY_NAMES, Right
from tocsin.service.control import ask_or_perform
from tocsin.service.hub_control import perform_on_hubs
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.apps import SECRET_OVERLAP, Apps
from tocsin.service.registry.hubs import Hubs
from tocsin.service.registry.sqlite_service_store import SqliteServiceStore
from tocsin.service.server import open_service

URL = "https://127.0.0.1:8443"
ADD = {"verb": "hub-add", "name": "contoso"}


@pytest.fixture
async def hubs(store: SqliteServiceStore, registrations: Apps, clock: Clock) -> Hubs:
    """No hubs yet."""
    return await Hubs.load(store.hubs, registrations, clock)


async def test_a_hub_that_is_made_has_a_connection_string_for_each_right(hubs: Hubs) -> None:
    """Each names the service and its key, which is good for that right."""
    added = await perform_on_hubs(hubs, URL, ADD)
    assert (added["name"], added["app"], added["endpoint"]) == ("contoso", None, URL)
    assert list(added["connection_strings"]) == ["listen", "send", "manage"]
    hub = hubs.named("contoso")
    assert hub is not None
    for right, (key,) in hubs.keys_of(hub).items():
        read = read_connection_string(added["connection_strings"][right])
        assert (read.url, read.key_name, read.key) == (f"{URL}/", KEY_NAMES[right], key)


@pytest.mark.parametrize(
    ("endpoint", "named"),
    [
        ("", "Endpoint=sb://127.0.0.1:8443/;"),
        ("https://push.example", "Endpoint=sb://push.example/;"),
        ("https://push.example:444/", "Endpoint=sb://push.example:444/;"),
        ("sb://push.example/", "Endpoint=sb://push.example/;"),
        ("SB://[::1]:1/", "Endpoint=sb://[::1]:1/;"),
        ("http://127.0.0.1:80", "Endpoint=http://127.0.0.1:80/;"),
    ],
)
async def test_the_connection_strings_name_where_clients_reach_the_service(
    hubs: Hubs, endpoint: str, named: str
) -> None:
    """Where nothing is said, where it runs."""
    added = await perform_on_hubs(hubs, URL, ADD | {"endpoint": endpoint})
    assert all(text.startswith(named) for text in added["connection_strings"].values())


@pytest.mark.parametrize(
    "request_",
    [
        ADD | {"endpoint": "push.example"},
        ADD | {"endpoint": "ftp://push.example"},
        ADD | {"endpoint": "https://user:secret@push.example"},
        ADD | {"endpoint": "https://push.example/?a=b"},
        ADD | {"endpoint": "https://push.example/;SharedAccessKey=x"},
        ADD | {"endpoint": "sb://"},
        ADD | {"endpoint": 1},
        ADD | {"name": ["contoso"]},
        ADD | {"name": ""},
        ADD | {"name": "w"},
        ADD | {"app": "absent"},
        {"verb": "hub-rotate", "name": "contoso", "right": "all"},
        {"verb": "hub-rotate", "name": "contoso"},
        {"verb": "hub-remove", "name": "contoso"},
    ],
    ids=str,
)
async def test_what_cannot_be_done_changes_nothing(hubs: Hubs, request_: dict[str, Any]) -> None:
    """No hub is made or changed, and no secret is shown."""
    with pytest.raises(PushError) as refused:
        await perform_on_hubs(hubs, URL, request_)
    assert "secret" not in str(refused.value)
    assert hubs.hubs() == []


async def test_where_the_service_is_not_known_an_endpoint_is_asked_for(hubs: Hubs) -> None:
    """Before anything is made."""
    with pytest.raises(InvalidArgument, match="no service has run on this state folder"):
        await perform_on_hubs(hubs, None, ADD)
    assert hubs.hubs() == []


async def test_a_hub_is_of_one_app_or_of_every(hubs: Hubs, registrations: Apps) -> None:
    """The list says which, also of an app that is there no more, and how many keys are valid."""
    await registrations.add("contoso.mail")
    await perform_on_hubs(hubs, URL, ADD | {"app": "contoso.mail"})
    await perform_on_hubs(hubs, URL, ADD | {"name": "all"})
    await perform_on_hubs(hubs, URL, {"verb": "hub-rotate", "name": "ALL", "right": "send"})
    listed = (await perform_on_hubs(hubs, URL, {"verb": "hub-list"}))["hubs"]
    assert [(each["name"], each["app"], each["every_app"]) for each in listed] == [
        ("all", None, True),
        ("contoso", "contoso.mail", False),
    ]
    assert listed[0]["keys"] == {"listen": 1, "send": 2, "manage": 1}
    assert (listed[0]["registrations"], listed[0]["installations"], listed[0]["waiting"]) == (0, 0, 0)
    await registrations.remove("contoso.mail")
    listed = (await perform_on_hubs(hubs, URL, {"verb": "hub-list"}))["hubs"]
    assert (listed[1]["app"], listed[1]["every_app"]) == (None, False)
    assert "Key=" not in str(listed)


async def test_a_rotation_gives_other_keys_of_the_rights_that_are_named(hubs: Hubs, clock: Clock) -> None:
    """Those before are good for a day."""
    first = (await perform_on_hubs(hubs, URL, ADD))["connection_strings"]
    second = await perform_on_hubs(hubs, URL, {"verb": "hub-rotate", "name": "contoso", "right": "listen"})
    assert list(second["connection_strings"]) == ["listen"]
    third = await perform_on_hubs(hubs, URL, {"verb": "hub-rotate", "name": "contoso"})
    assert list(third["connection_strings"]) == list(Right)
    assert not set(first.values()) & set(third["connection_strings"].values())
    (hub,) = hubs.hubs()
    assert sum(map(len, hubs.keys_of(hub).values())) == 6
    clock.time += SECRET_OVERLAP
    assert sum(map(len, hubs.keys_of(hub).values())) == 3


async def test_hubs_are_made_while_no_service_runs_and_where_it_ran_last(tmp_path: Path) -> None:
    """The store remembers the URL of the last run; before the first, an endpoint has to be named, and makes the store."""
    fresh = tmp_path / "fresh"
    with pytest.raises(NotFound, match="--state"):
        await ask_or_perform(fresh, ADD)
    assert not await anyio.Path(fresh).exists()
    added = await ask_or_perform(fresh, ADD | {"endpoint": "https://push.example"})
    assert added["endpoint"] == "https://push.example"
    with pytest.raises(InvalidArgument, match="no service has run"):
        await ask_or_perform(fresh, ADD | {"name": "other"})
    async with open_service(fresh, ServiceSettings(dev_tls=True)) as service:
        assert [hub.name for hub in service.hubs.hubs()] == ["contoso"]
        url = service.url
    assert (await ask_or_perform(fresh, ADD | {"name": "other"}))["endpoint"] == url
    assert (await ask_or_perform(fresh, {"verb": "hub-rotate", "name": "other"}))["endpoint"] == url
    assert await ask_or_perform(fresh, {"verb": "hub-remove", "name": "other"}) == {"removed": "other"}
    assert await ask_or_perform(fresh, {"verb": "hub-remove", "name": "contoso"}) == {"removed": "contoso"}
    assert await ask_or_perform(fresh, {"verb": "hub-list"}) == {"hubs": []}


async def test_a_hub_is_made_once(hubs: Hubs) -> None:
    """In whatever case: the one that is there keeps its keys."""
    await perform_on_hubs(hubs, URL, ADD)
    (hub,) = hubs.hubs()
    keys = hubs.keys_of(hub)
    with pytest.raises(IllegalCall, match="there is a hub 'CONTOSO' already"):
        await perform_on_hubs(hubs, URL, ADD | {"name": "CONTOSO"})
    assert hubs.keys_of(hub) == keys


async def test_a_rotation_names_the_endpoint_that_the_hub_was_added_with(hubs: Hubs) -> None:
    """Unless it is given another; a hub without one is at the service's own URL."""
    await perform_on_hubs(hubs, URL, ADD | {"endpoint": "sb://push.example"})
    again = {"verb": "hub-rotate", "name": "contoso"}
    assert (await perform_on_hubs(hubs, URL, again))["endpoint"] == "https://push.example"
    assert (await perform_on_hubs(hubs, URL, again | {"endpoint": "https://other"}))["endpoint"] == "https://other"
    listed = (await perform_on_hubs(hubs, URL, {"verb": "hub-list"}))["hubs"]
    assert [hub["endpoint"] for hub in listed] == ["https://push.example"]


async def test_an_empty_app_is_none(hubs: Hubs) -> None:
    """Such as a variable of a shell that is not set: it would be a hub of every app."""
    with pytest.raises(InvalidArgument, match="leave it out"):
        await perform_on_hubs(hubs, URL, ADD | {"app": ""})
    assert hubs.hubs() == []
