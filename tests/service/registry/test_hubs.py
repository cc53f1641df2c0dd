"""Hubs and their keys."""

from __future__ import annotations

import pytest

from tests.service.world import Clock
from tocsin.protocol.errors import IllegalCall, InvalidArgument, NotFound
from tocsin.protocol.hub.hub_name import MAX_HUB_NAME
from tocsin.protocol.hub.rights import Right
from tocsin.service.registry.apps import SECRET_OVERLAP, Apps
from tocsin.service.registry.hubs import Hubs
from tocsin.service.registry.sqlite_service_store import SqliteServiceStore


@pytest.fixture
async def hubs(store: SqliteServiceStore, registrations: Apps, clock: Clock) -> Hubs:
    """No hubs yet."""
    return await Hubs.load(store.hubs, registrations, clock)


async def test_a_hub_has_a_key_for_each_right(hubs: Hubs) -> None:
    """They differ, and no printed form shows them."""
    made = await hubs.add("contoso")
    assert set(made.keys) == set(Right)
    assert len(set(made.keys.values())) == 3
    assert not any(key in repr(made) for key in made.keys.values())
    hub = hubs.named("ConTOSO")
    assert hub is not None
    assert hubs.keys_of(hub) == {right: [key] for right, key in made.keys.items()}


async def test_hubs_outlive_the_process(
    hubs: Hubs, store: SqliteServiceStore, registrations: Apps, clock: Clock
) -> None:
    """What was made is known to the next process; what was removed is not."""
    made = await hubs.add("contoso")
    await hubs.add("other")
    await hubs.remove("OTHER")
    later = await Hubs.load(store.hubs, registrations, clock)
    assert [hub.name for hub in later.hubs()] == ["contoso"]
    assert later.keys_of(later.hubs()[0]) == {right: [key] for right, key in made.keys.items()}


async def test_a_key_outlives_its_rotation_by_a_day(hubs: Hubs, clock: Clock) -> None:
    """Both are good for that time; the keys that were not rotated stay as they are."""
    first = await hubs.add("contoso")
    second = await hubs.rotate("contoso", [Right.SEND])
    hub = hubs.hubs()[0]
    assert set(second.keys) == {Right.SEND}
    assert hubs.keys_of(hub)[Right.SEND] == [first.keys[Right.SEND], second.keys[Right.SEND]]
    clock.time += SECRET_OVERLAP
    assert hubs.keys_of(hub) == {right: [key] for right, key in (first.keys | second.keys).items()}


async def test_rotating_again_and_again_keeps_two_keys_of_a_right(hubs: Hubs) -> None:
    """The newest, and the one before it."""
    await hubs.add("contoso")
    keys = [(await hubs.rotate("contoso", [Right.SEND])).keys[Right.SEND] for _ in range(5)]
    assert hubs.keys_of(hubs.hubs()[0])[Right.SEND] == keys[-2:]


async def test_a_hub_sends_for_its_app_or_for_all(hubs: Hubs, registrations: Apps) -> None:
    """Without an app it is every registered app's."""
    one, two = await registrations.register("one"), await registrations.register("two")
    assert (await hubs.add("of.one", "one")).app == "one"
    assert (await hubs.add("of.all")).app is None
    of_all, of_one = hubs.hubs()
    assert [hubs.may_send(of_one, app.client_id) for app in (one, two)] == [True, False]
    assert [hubs.may_send(of_all, app.client_id) for app in (one, two)] == [True, True]
    await registrations.remove("one")
    assert hubs.app_of(of_one) is None
    assert not hubs.may_send(of_one, one.client_id)


@pytest.mark.parametrize(
    "name", ["", "a b", "-a", "a-", "ä", "a/b", "a" * (MAX_HUB_NAME + 1), "W", "device", "metrics"]
)
async def test_names_that_no_hub_can_have(hubs: Hubs, name: str) -> None:
    """Such as those of the service's own paths, in whatever case."""
    with pytest.raises(InvalidArgument):
        await hubs.add(name)
    assert hubs.hubs() == []


async def test_what_is_not_there_or_there_already_is_said(hubs: Hubs) -> None:
    """A second hub of a name, a hub that is not there, an app that is not registered."""
    await hubs.add("contoso")
    with pytest.raises(IllegalCall, match="rotate"):
        await hubs.add("CONTOSO")
    with pytest.raises(NotFound, match="hub list"):
        await hubs.rotate("other")
    with pytest.raises(NotFound, match="hub list"):
        await hubs.remove("other")
    with pytest.raises(NotFound, match="app add"):
        await hubs.add("another", "unknown")


async def test_a_new_hub_is_never_taken_for_an_earlier_one(hubs: Hubs) -> None:
    """Its number is another, also where it has the name of one that was removed."""
    await hubs.add("contoso")
    first = hubs.hubs()[0]
    await hubs.remove("contoso")
    await hubs.add("contoso")
    assert hubs.hubs()[0].id > first.id
