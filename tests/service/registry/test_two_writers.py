"""Two nodes that change apps or hubs in the same moment: each answer is true, and nothing that was told is taken back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import NamedTuple

import pytest

from tests.persistence.postgres_server import PostgresServer
from tests.service.registry.raced import raced
from tests.service.world import Clock
from tocsin.protocol.errors import IllegalCall, NotFound, StateUnavailable
from tocsin.protocol.hub.rights import Right
from tocsin.service.registry import decided
from tocsin.service.registry.apps import AppRegistration, Apps, SecretVerdict
from tocsin.service.registry.hubs import HubKeys, Hubs
from tocsin.service.registry.postgres_service_store import PostgresServiceStore, open_postgres_store

APPS = "LOCK TABLE apps IN ROW EXCLUSIVE MODE"
HUBS = "LOCK TABLE hubs IN ROW EXCLUSIVE MODE"


class Node(NamedTuple):
    """What a node keeps in memory, and where."""

    store: PostgresServiceStore
    apps: Apps
    hubs: Hubs


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    """Return the URL of an empty database."""
    return await postgres.emptied()


@pytest.fixture
async def nodes(url: str, clock: Clock) -> AsyncIterator[list[Node]]:
    """Open two nodes; no time goes by."""
    async with AsyncExitStack() as stack:
        found = []
        for _ in range(2):
            store = await stack.enter_async_context(open_postgres_store(url))
            apps = await Apps.load(store, clock)
            found.append(Node(store, apps, await Hubs.load(store.hubs, apps, clock)))
        yield found


def by_kind(results: list[object], kind: type) -> list[object]:
    """Return those that are of a kind."""
    return [result for result in results if isinstance(result, kind)]


async def test_secrets_that_two_nodes_give_in_one_moment_are_both_good(nodes: list[Node], url: str) -> None:
    """And so is the one before them, for its day."""
    first = await nodes[0].apps.add("contoso")
    given = await raced(url, APPS, *(lambda node=node: node.apps.rotate("contoso") for node in nodes))
    for node in nodes:
        await node.apps.reload()
        for app in (first, *given):
            assert node.apps.verify(app.client_id, app.client_secret) is SecretVerdict.VALID
    assert len(await nodes[0].store.secrets()) == 3


async def test_of_two_apps_of_one_name_there_is_one(nodes: list[Node], url: str) -> None:
    """The other caller is told that there is one."""
    results = await raced(url, APPS, *(lambda node=node: node.apps.add("contoso") for node in nodes))
    (made,) = by_kind(results, AppRegistration)
    (refused,) = by_kind(results, IllegalCall)
    assert str(refused) == "an app is registered as 'contoso' already; 'rotate' gives it another secret"
    assert [app.client_id for app in await nodes[0].store.apps()] == [made.client_id]  # type: ignore[attr-defined]


async def test_an_app_that_two_nodes_register_has_both_secrets(nodes: list[Node], url: str) -> None:
    """Who registers does not ask whether it is there."""
    one, other = await raced(url, APPS, *(lambda node=node: node.apps.register("contoso") for node in nodes))
    assert (one.client_id, one.remote_id) == (other.client_id, other.remote_id)
    await nodes[0].apps.reload()
    for app in (one, other):
        assert nodes[0].apps.verify(app.client_id, app.client_secret) is SecretVerdict.VALID


async def test_a_package_family_is_of_one_of_two_new_apps(nodes: list[Node], url: str) -> None:
    """As where one comes after the other."""
    calls = [lambda node=node, name=name: node.apps.add(name, "F_1") for node, name in zip(nodes, "ab", strict=True)]
    results = await raced(url, APPS, *calls)
    (made,) = by_kind(results, AppRegistration)
    (refused,) = by_kind(results, IllegalCall)
    assert str(refused) == f"the package family 'F_1' is that of the app '{made.name}'"  # type: ignore[attr-defined]


@pytest.mark.parametrize("change", ["rotate", "set_family"])
async def test_an_app_that_is_removed_does_not_come_back(nodes: list[Node], url: str, change: str) -> None:
    """By what another node changes of it: that is done before, or finds it gone."""
    await nodes[0].apps.add("contoso")
    more = ["F_1"] if change == "set_family" else []
    results = await raced(
        url, APPS, lambda: nodes[0].apps.remove("contoso"), lambda: getattr(nodes[1].apps, change)("contoso", *more)
    )
    assert results[0] is None
    assert not isinstance(results[1], Exception) or isinstance(results[1], NotFound)
    assert (await nodes[0].store.apps(), await nodes[0].store.secrets()) == ([], [])


async def test_a_family_that_is_set_takes_no_secret_away(nodes: list[Node], url: str) -> None:
    """Though it writes the app with all of its secrets."""
    await nodes[0].apps.add("contoso")
    given, _ = await raced(
        url, APPS, lambda: nodes[0].apps.rotate("contoso"), lambda: nodes[1].apps.set_family("contoso", "F_1")
    )
    await nodes[1].apps.reload()
    assert nodes[1].apps.verify(given.client_id, given.client_secret) is SecretVerdict.VALID
    assert [app.family for app in await nodes[0].store.apps()] == ["F_1"]


async def test_an_app_is_removed_once(nodes: list[Node], url: str) -> None:
    """The other caller is told that there is none."""
    await nodes[0].apps.add("contoso")
    results = await raced(url, APPS, *(lambda node=node: node.apps.remove("contoso") for node in nodes))
    assert len(by_kind(results, NotFound)) == results.count(None) == 1


async def test_of_two_hubs_of_one_name_there_is_one(nodes: list[Node], url: str) -> None:
    """In whatever case it is written; the keys that were told are good."""
    calls = [lambda node=node, name=name: node.hubs.add(name) for node, name in zip(nodes, ["hub", "HUB"], strict=True)]
    results = await raced(url, HUBS, *calls)
    (made,) = by_kind(results, HubKeys)
    assert "'rotate' gives it other keys" in str(*by_kind(results, IllegalCall))
    (hub,) = await nodes[0].store.hubs.hubs()
    assert hub.name == made.name  # type: ignore[attr-defined]
    assert {key.right: key.key for key in await nodes[0].store.hubs.keys()} == made.keys  # type: ignore[attr-defined]


async def test_two_hubs_of_one_millisecond_have_two_numbers(nodes: list[Node], url: str) -> None:
    """Each is there, with its keys."""
    calls = [lambda node=node, name=name: node.hubs.add(name) for node, name in zip(nodes, "ab", strict=True)]
    made = await raced(url, HUBS, *calls)
    hubs = await nodes[0].store.hubs.hubs()
    assert [hub.name for hub in hubs] == ["a", "b"]
    assert len({hub.id for hub in hubs}) == 2
    await nodes[0].hubs.reload()
    for hub, each in zip(nodes[0].hubs.hubs(), made, strict=True):
        assert nodes[0].hubs.keys_of(hub) == {right: [key] for right, key in each.keys.items()}


async def test_keys_that_two_nodes_give_in_one_moment_are_both_good(nodes: list[Node], url: str) -> None:
    """Of one right; a key of another stays."""
    first = await nodes[0].hubs.add("hub")
    given = await raced(url, HUBS, *(lambda node=node: node.hubs.rotate("hub", [Right.SEND]) for node in nodes))
    await nodes[1].hubs.reload()
    keys = nodes[1].hubs.keys_of(nodes[1].hubs.hubs()[0])
    assert set(keys[Right.SEND]) == {each.keys[Right.SEND] for each in given}
    assert keys[Right.LISTEN] == [first.keys[Right.LISTEN]]


async def test_a_hub_that_is_removed_does_not_come_back(nodes: list[Node], url: str) -> None:
    """By keys that another node gives it."""
    await nodes[0].hubs.add("hub")
    results = await raced(url, HUBS, lambda: nodes[0].hubs.remove("hub"), lambda: nodes[1].hubs.rotate("hub"))
    assert results[0] is None
    assert isinstance(results[1], HubKeys | NotFound)
    assert (await nodes[0].store.hubs.hubs(), await nodes[0].store.hubs.keys()) == ([], [])


async def test_a_hub_may_be_for_an_app_of_another_node(nodes: list[Node]) -> None:
    """Though that was registered a moment ago."""
    await nodes[0].apps.add("contoso")
    assert (await nodes[1].hubs.add("hub", "contoso")).app == "contoso"


async def test_the_last_secret_is_the_newest_whatever_the_clocks_say(nodes: list[Node], url: str) -> None:
    """Also where that of the node that gave it is behind."""
    await nodes[0].apps.add("contoso")
    async with open_postgres_store(url) as store:
        behind = Clock()
        behind.time -= 60
        last = await (await Apps.load(store, behind)).rotate("contoso")
    await nodes[0].apps.reload()
    assert nodes[0].apps.recall("contoso", last.client_secret) == last


async def test_who_loses_again_and_again_is_told_so(nodes: list[Node], monkeypatch: pytest.MonkeyPatch) -> None:
    """And nothing is in doubt."""
    await nodes[0].apps.add("contoso")
    original = Apps._read

    async def read(apps: Apps) -> None:
        await original(apps)
        if apps is nodes[0].apps:
            await nodes[1].apps.rotate("contoso")

    monkeypatch.setattr(Apps, "_read", read)
    with pytest.raises(StateUnavailable, match="others change the same just now") as refused:
        await nodes[0].apps.rotate("contoso")
    assert not refused.value.in_doubt
    assert len([row for row in await nodes[0].store.secrets() if row.expires is None]) == 1
    assert decided.TRIES == 16
