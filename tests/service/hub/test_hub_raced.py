"""Two nodes whose clients change the same registration or installation in one moment: each is answered as if one had come after the other."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.persistence.postgres_server import PostgresServer
from tests.service.hub.hub_world import ENTRY, HubWorld, entry, open_hub
from tests.service.registry.raced import raced
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.hub_store import channel_of
from tocsin.service.registry.postgres_service_store import open_postgres_store

REGISTRATIONS = "SELECT FROM hub_registrations FOR UPDATE"
INSTALLATIONS = "SELECT FROM hub_installations FOR UPDATE"
FIRST: dict[str, Any] = {"If-Match": 'W/"1"'}


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    """Return the URL of an empty database."""
    return await postgres.emptied()


@pytest.fixture
async def nodes(tmp_path: Path, url: str) -> AsyncIterator[list[HubWorld]]:
    """Run two nodes with a hub."""
    settings = ServiceSettings.private(engine=url)
    async with AsyncExitStack() as stack:
        found = []
        for name in ("one", "other"):
            (tmp_path / name).mkdir()
            found.append(await stack.enter_async_context(open_hub(tmp_path / name, settings)))
        yield found


async def new_id(node: HubWorld) -> str:
    """Get an id for a registration."""
    return (await node.ask("POST", "registrationids")).headers["Location"].rpartition("/")[2]


def put(nodes: list[HubWorld], id_: str, tag: str, headers: dict[str, Any] | None = None) -> Any:
    """Return what puts a registration with a tag at the node of that tag."""
    headers = ENTRY | (headers or {})
    body = entry(nodes[0].world.uri, tag)
    return partial(nodes["ab".index(tag)].ask, "PUT", f"registrations/{id_}", body, **headers)


def installation(uri: str, **more: object) -> str:
    """Write an installation."""
    return json.dumps({"platform": "wns", "pushChannel": uri, **more})


async def tags_of(node: HubWorld, id_: str) -> str:
    """Return the tags of a registration."""
    return (await node.ask("GET", f"registrations/{id_}")).text.partition("<Tags>")[2].partition("<")[0]


async def test_of_two_changes_under_one_etag_one_is_made(nodes: list[HubWorld], url: str) -> None:
    """The other client is told which ETag it has now."""
    id_ = await new_id(nodes[0])
    await put(nodes, id_, "a")()
    made, refused = await raced(url, REGISTRATIONS, put(nodes, id_, "b", FIRST), put(nodes, id_, "a", FIRST))
    assert (made.status, made.headers["ETag"]) == (200, 'W/"2"')
    assert (refused.status, 'W/"2"' in refused.text) == (412, True)
    assert await tags_of(nodes[0], id_) == "b"


async def test_without_an_etag_both_are_made_one_after_the_other(nodes: list[HubWorld], url: str) -> None:
    """The last one to write wins, and each change has an ETag of its own."""
    id_ = await new_id(nodes[0])
    await put(nodes, id_, "a")()
    answers = await raced(url, REGISTRATIONS, put(nodes, id_, "a"), put(nodes, id_, "b"))
    assert [(each.status, each.headers["ETag"]) for each in answers] == [(200, 'W/"2"'), (200, 'W/"3"')]
    assert await tags_of(nodes[0], id_) == "b"


async def test_an_id_that_is_used_twice_in_one_moment_is_one_registration(nodes: list[HubWorld], url: str) -> None:
    """The second of its clients has changed what the first has made."""
    id_ = await new_id(nodes[0])
    # The row of a hub that is not there, but for the time that it holds the id.
    holding = f"""INSERT INTO hub_registrations (hub, id, etag, channel, uri, tags, variables, tile, installation)
        SELECT id, '{id_}', 1, '', '', '[]', '[]', '', '' FROM hubs"""  # noqa: S608 - an id of ours
    answers = await raced(url, holding, put(nodes, id_, "a"), put(nodes, id_, "b"))
    assert sorted(each.headers["ETag"] for each in answers) == ['W/"1"', 'W/"2"']
    last = "ab"[[each.headers["ETag"] for each in answers].index('W/"2"')]
    assert await tags_of(nodes[0], id_) == last


async def test_a_registration_is_removed_once(nodes: list[HubWorld], url: str) -> None:
    """And what is removed is not changed."""
    id_ = await new_id(nodes[0])
    await put(nodes, id_, "a")()
    removals = [partial(node.ask, "DELETE", f"registrations/{id_}", **FIRST) for node in nodes]
    assert [each.status for each in await raced(url, REGISTRATIONS, *removals)] == [200, 404]
    await put(nodes, id_, "a")()
    answers = await raced(url, REGISTRATIONS, removals[0], put(nodes, id_, "b", FIRST))
    assert [each.status for each in answers] == [200, 410]
    assert (await nodes[0].ask("GET", f"registrations/{id_}")).status == 404


async def test_of_two_installations_under_one_etag_one_is_kept(nodes: list[HubWorld], url: str) -> None:
    """With its parts; whichever way the other was to change it."""
    path, uri = "installations/i", nodes[0].world.uri
    etag = (await nodes[0].ask("PUT", path, installation(uri))).headers["ETag"]
    others = (
        ("PUT", installation(uri, tags=["lost"])),
        ("PATCH", '[{"op": "add", "path": "/tags", "value": "lost"}]'),
        ("DELETE", ""),
    )
    for number, (method, body) in enumerate(others):
        headers: dict[str, Any] = {"If-Match": etag}
        tag = f"t{number}"
        made, refused = await raced(
            url,
            INSTALLATIONS,
            partial(nodes[0].ask, "PUT", path, installation(uri, tags=[tag]), **headers),
            partial(nodes[1].ask, method, path, body, **headers),
        )
        assert (made.status, refused.status) == (200, 412)
        etag = made.headers["ETag"]
        assert json.loads((await nodes[1].ask("GET", path)).text)["tags"] == [tag]
        feed = (await nodes[1].ask("GET", f"tags/{tag}/registrations")).text
        assert feed.count("<entry") == 1


async def test_patches_of_one_moment_are_both_made(nodes: list[HubWorld], url: str) -> None:
    """Without an ETag each changes what the other has left."""
    path = "installations/i"
    await nodes[0].ask("PUT", path, installation(nodes[0].world.uri))
    patches = [
        partial(node.ask, "PATCH", path, json.dumps([{"op": "add", "path": "/tags", "value": tag}]))
        for node, tag in zip(nodes, "ab", strict=True)
    ]
    answers = await raced(url, INSTALLATIONS, *patches)
    assert [(each.status, each.headers["ETag"]) for each in answers] == [(200, 'W/"2"'), (200, 'W/"3"')]
    assert json.loads((await nodes[0].ask("GET", path)).text)["tags"] == ["a", "b"]


async def test_that_a_channel_has_ended_is_not_forgotten(nodes: list[HubWorld], url: str) -> None:
    """By a patch that was decided before it had."""
    path, uri = "installations/i", nodes[0].world.uri
    await nodes[0].ask("PUT", path, installation(uri))
    async with open_postgres_store(url) as store:
        _, answer = await raced(
            url,
            INSTALLATIONS,
            partial(store.hubs.forget_channels, [channel_of(uri) or b""]),
            partial(nodes[1].ask, "PATCH", path, '[{"op": "add", "path": "/tags", "value": "a"}]'),
        )
    assert answer.status == 200
    document = json.loads((await nodes[0].ask("GET", path)).text)
    assert (document["pushChannelExpired"], document["tags"]) == (True, ["a"])


async def test_an_installation_that_is_made_twice_in_one_moment_is_one(nodes: list[HubWorld], url: str) -> None:
    """With the parts of the last one only."""
    path, uri = "installations/i", nodes[0].world.uri
    holding = "INSERT INTO hub_installations SELECT id, 'i', '', 1, NULL FROM hubs"
    calls = [
        partial(node.ask, "PUT", path, installation(uri, tags=[tag])) for node, tag in zip(nodes, "ab", strict=True)
    ]
    answers = await raced(url, holding, *calls)
    etags = [each.headers["ETag"] for each in answers]
    assert sorted(etags) == ['W/"1"', 'W/"2"']
    last = "ab"[etags.index('W/"2"')]
    assert json.loads((await nodes[0].ask("GET", path)).text)["tags"] == [last]
    counts = [(await nodes[0].ask("GET", f"tags/{tag}/registrations")).text.count("<entry") for tag in "ab"]
    assert counts == [tag == last for tag in "ab"]
