"""Channels of packaged apps: the manifest's family name is enough."""

from __future__ import annotations

from pathlib import Path

import pytest

import tocsin
from tests.helpers import payload
from tests.service.world import open_world
from tests.world import REMOTE_ID, Gathered, World, handling, world
from tocsin.api.held_channels import ChannelRevoked
from tocsin.api.identity import Identity
from tocsin.api.manager import PushNotificationManager
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import ChannelRefused, ChannelsRevoked, RequestChannel
from tocsin.protocol.platform.retry_schedule import RetryPolicy
from tocsin.protocol.values import RENEW_BEFORE

FAMILY = "Contoso.Mail_8wekyb3d8bbwe"


def manifest(folder: Path, family: str = FAMILY) -> Path:
    """Write one."""
    path = folder / "tocsin.toml"
    path.write_text(f'family_name = "{family}"\n', encoding="utf-8")
    return path


def packaged(w: World) -> PushNotificationManager:
    """Return the manager of an app with a manifest."""
    return PushNotificationManager(
        w.manager._session, "contoso.mail", None, Identity(packaged=True, family_name=FAMILY)
    )


async def test_an_embedded_service_knows_the_family_of_its_app(tmp_path: Path) -> None:
    """The channel is that of the app's registration: its sender may use it, also after a restart."""
    for state in ("first", "again"):
        seen = Gathered()
        async with tocsin.embedded("contoso.mail", tmp_path / "state", manifest=manifest(tmp_path)) as manager:
            result = await manager.create_channel()
            assert result.channel is not None, result
            assert manager.registration is not None
            with result.channel.push_received(handling(seen)):
                async with tocsin.WnsClient(
                    manager.registration.client_id,
                    manager.registration.client_secret,
                    token_url=manager.registration.token_url,
                ) as client:
                    await client.send(result.channel.uri, state.encode())
                await seen.wait_for(1)
            again = (await manager.create_channel()).channel
            assert again is not None
            assert again.uri == result.channel.uri


async def test_apps_of_one_manifest_have_each_their_own_registration(tmp_path: Path) -> None:
    """One after the other in the same folder, as after a change of the app's name."""
    ids = []
    for app in ("mail", "calendar", "mail"):
        async with tocsin.embedded(app, tmp_path / "state", manifest=manifest(tmp_path)) as manager:
            assert (await manager.create_channel()).channel is not None
            assert manager.registration is not None
            ids.append(manager.registration.client_id)
    assert ids[0] == ids[2] != ids[1]


async def test_an_unknown_family_is_refused_at_once(tmp_path: Path) -> None:
    """As a failed result that is not retried; when it has become known, the next request is granted."""
    async with (
        open_world(tmp_path) as there,
        tocsin.embedded(
            "contoso.mail", tmp_path / "app", there.service.url, manifest=manifest(tmp_path), retries=RetryPolicy(0.01)
        ) as manager,
    ):
        operation = manager.create_channel()
        result = await operation
        assert result.extended_error == HResult.WPN_E_INVALID_APP
        assert result.detail == f"no app is registered with the package family name '{FAMILY}'"
        assert [status.retry_count async for status in operation] == [0]
        await there.service.registrations.add("mail", FAMILY)
        assert (await manager.create_channel()).channel is not None


@pytest.mark.parametrize("family", ["\\n", "a" * 129])
async def test_a_family_name_that_no_service_takes_is_refused_with_the_manifest(tmp_path: Path, family: str) -> None:
    """Not when a channel is asked for."""
    with pytest.raises(tocsin.InvalidArgument, match=r"family name|characters"):
        async with tocsin.embedded("mail", tmp_path / "state", manifest=manifest(tmp_path, family)):
            pass


async def test_an_app_without_a_manifest_needs_a_remote_id(tmp_path: Path) -> None:
    """And hears what that is."""
    async with world(tmp_path) as w:
        with pytest.raises(tocsin.InvalidArgument, match="the GUID of its registration") as refused:
            w.manager.create_channel()
        assert refused.value.hresult == HResult.E_INVALIDARG


async def test_a_packaged_app_may_ask_with_a_remote_id(tmp_path: Path) -> None:
    """It has one channel for each, and both are asked for by what they were asked for first."""
    async with world(tmp_path) as w:
        manager = packaged(w)
        by_id, by_family = manager.create_channel(REMOTE_ID), manager.create_channel()
        assert (await w.service.grant("c1")).remote_id == REMOTE_ID
        assert (await w.service.grant("c2")).remote_id == f"family:{FAMILY}"
        one, two = (await by_id).channel, (await by_family).channel
        assert one is not None
        assert two is not None
        again = manager.create_channel()
        request = await w.service.grant("c2")
        assert (request.remote_id, request.known_uri) == (f"family:{FAMILY}", two.uri)
        same = (await again).channel
        assert same is not None
        assert same.uri == two.uri


async def test_a_revoked_channel_is_asked_for_by_the_family_again(tmp_path: Path) -> None:
    """The service finds the app's registration, which may be another by then."""
    told = Gathered()
    async with world(tmp_path) as w:
        manager = packaged(w)
        manager.add_channel_revoked(told.add)
        operation = manager.create_channel()
        await w.service.grant("old")
        await operation
        await w.service.send(ChannelsRevoked(0, ("old",)))
        assert (await w.service.grant("new")).remote_id == f"family:{FAMILY}"
        await told.wait_for(1)
        (revoked,) = told.items
        assert isinstance(revoked, ChannelRevoked)
        assert (await revoked.operation).channel is not None


async def test_a_renewal_asks_by_the_family_also_after_a_restart(tmp_path: Path) -> None:
    """The device keeps what it was asked with; the app gets the new channel, and payloads of it."""
    async with world(tmp_path) as w:
        operation = packaged(w).create_channel()
        await w.service.grant("old", expires=w.service.now() + RENEW_BEFORE + 0.2)
        first = (await operation).channel
        assert first is not None
    renewed, seen = Gathered(), Gathered()
    async with world(tmp_path) as w:
        packaged(w).add_channel_renewed(renewed.add)
        request = await w.service.grant("new")
        assert (request.remote_id, request.known_uri) == (f"family:{FAMILY}", first.uri)
        await renewed.wait_for(1)
        (channel,) = renewed.items
        assert isinstance(channel, tocsin.PushNotificationChannel)
        with channel.push_received(handling(seen)):
            await w.service.send(payload("A", channel="new"))
            await seen.wait_for(1)


async def test_a_retry_asks_by_the_family_also_after_a_restart(tmp_path: Path) -> None:
    """What waits for its next attempt is kept as it was asked."""
    retries = RetryPolicy(first=0.2)
    async with world(tmp_path, retries=retries) as w:
        operation = packaged(w).create_channel()
        request = await w.service.expect(RequestChannel)
        await w.service.send(ChannelRefused(request.request, HResult.WNP_E_BIND_USER_BUSY, "later", None))
        async for status in operation:
            if status.retry_count:
                break
    async with world(tmp_path, retries=retries) as w:
        assert (await w.service.grant("c1")).remote_id == f"family:{FAMILY}"
