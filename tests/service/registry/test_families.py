"""Package family names: the service finds the app by them."""

from __future__ import annotations

import pytest

from tests.service.world import Clock
from tocsin.protocol.errors import IllegalCall, InvalidArgument, NotFound
from tocsin.protocol.hresult import HResult
from tocsin.protocol.platform.channel_request import by_family
from tocsin.service.registry.apps import Apps, SecretVerdict
from tocsin.service.registry.channels import Channels, Denial, Grant
from tocsin.service.registry.service_store import ServiceStore

FAMILY = "Contoso.Mail_8wekyb3d8bbwe"


async def client_of(channels: Channels, family: str, app: str = "app") -> str:
    """Return the client id of the app whose channel is given for a family."""
    granted = await channels.grant("device", app, by_family(family), "")
    assert isinstance(granted, Grant), granted
    channel = channels.directory.known(granted.uri.partition("token=")[2])
    assert channel is not None
    return channel.client_id


async def denied(channels: Channels, family: str, app: str = "app") -> str:
    """Return why there is no channel for a family."""
    denial = await channels.grant("device", app, by_family(family), "")
    assert isinstance(denial, Denial)
    assert denial.hresult is HResult.WPN_E_INVALID_APP
    return denial.text


async def test_an_app_is_found_by_its_family(channels: Channels, registrations: Apps) -> None:
    """Whatever the device calls the app, and by no other family, nor by none."""
    app = await registrations.add("contoso", FAMILY)
    await registrations.add("without a family")
    assert await client_of(channels, FAMILY) == app.client_id
    assert await denied(channels, FAMILY + "x") == f"no app is registered with the package family name '{FAMILY}x'"
    assert registrations.client_of_family("", "without a family") is None


async def test_the_channel_that_is_known_is_given_again_by_family_too(channels: Channels, registrations: Apps) -> None:
    """A device that asks by the family, then by the remote id, means the same app."""
    app = await registrations.add("contoso", FAMILY)
    first = await channels.grant("device", "app", by_family(FAMILY), "")
    assert isinstance(first, Grant)
    for key in (by_family(FAMILY), app.remote_id):
        assert await channels.grant("device", "app", key, first.uri) == first


async def test_a_sentence_shows_only_the_beginning_of_a_long_family(channels: Channels) -> None:
    """A device may send what it likes."""
    denial = await channels.grant("device", "app", "family:" + "\x1b" * 10_000, "")
    assert isinstance(denial, Denial)
    assert denial.hresult is HResult.WPN_E_INVALID_APP
    assert denial.text.isprintable()
    assert len(denial.text) < 200


async def test_an_app_that_is_removed_is_not_found(channels: Channels, registrations: Apps) -> None:
    """And its family is free for another."""
    await registrations.add("contoso", FAMILY)
    await registrations.remove("contoso")
    assert "package family name" in await denied(channels, FAMILY)
    other = await registrations.add("other", FAMILY)
    assert await client_of(channels, FAMILY) == other.client_id


async def test_a_family_is_found_after_a_restart(store: ServiceStore, registrations: Apps, clock: Clock) -> None:
    """That of ``add``, and that which was set."""
    added = await registrations.add("one", "F_1")
    registered = await registrations.register("two")
    await registrations.set_family("two", "F_2")
    later = await Apps.load(store, clock)
    assert later.client_of_family("F_1", "") == added.client_id
    assert later.client_of_family("F_2", "") == registered.client_id
    assert later.verify(registered.client_id, registered.client_secret) is SecretVerdict.VALID


async def test_a_family_that_has_changed_is_found_by_the_new_name_only(channels: Channels, registrations: Apps) -> None:
    """The ids and the secret stay."""
    app = await registrations.register("contoso")
    for family in ("F_1", "F_2", "F_2"):
        await registrations.set_family("contoso", family)
    assert await client_of(channels, "F_2") == app.client_id
    assert "'F_1'" in await denied(channels, "F_1")
    assert registrations.client_of(app.remote_id) == app.client_id
    assert registrations.verify(app.client_id, app.client_secret) is SecretVerdict.VALID


async def test_of_several_apps_of_a_family_the_one_of_that_name_is_meant(
    channels: Channels, registrations: Apps
) -> None:
    """And none where no name is right: a guess would give a channel that the app's sender may not use."""
    apps = {name: await registrations.register(name) for name in ("mail", "calendar")}
    for name in apps:
        await registrations.set_family(name, FAMILY)
    for name, app in apps.items():
        assert await client_of(channels, FAMILY, name) == app.client_id
    assert FAMILY in await denied(channels, FAMILY, "people")
    await registrations.remove("mail")
    assert await client_of(channels, FAMILY, "people") == apps["calendar"].client_id
    with pytest.raises(IllegalCall, match="is that of the app 'calendar'"):
        await registrations.add("people", FAMILY)


async def test_a_family_is_set_for_an_app_that_is_there_and_has_a_name(registrations: Apps) -> None:
    """All else is refused."""
    with pytest.raises(NotFound, match="'nobody'"):
        await registrations.set_family("nobody", FAMILY)
    await registrations.register("contoso")
    with pytest.raises(InvalidArgument, match="a package family name"):
        await registrations.set_family("contoso", "\n")
