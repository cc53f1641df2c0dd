"""Channels."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.service.registry.conftest import Place
from tests.service.world import Clock
from tocsin.protocol.hresult import HResult
from tocsin.protocol.values import CHANNEL_LIFETIME, MAX_APP_NAME
from tocsin.protocol.webpush.sender import web_push_sender
from tocsin.service.registry import channel_directory as module
from tocsin.service.registry.apps import AppRegistration, Apps
from tocsin.service.registry.channel_directory import ChannelFault
from tocsin.service.registry.channels import MAX_LIVE, Channels, Denial, Grant
from tocsin.service.registry.service_store import ChannelRow, ServiceStore
from tocsin.service.url_paths import token_of

DAY = 24 * 3600


@pytest.fixture
async def app(registrations: Apps) -> AppRegistration:
    """Register an app."""
    return await registrations.register("contoso")


async def grant(channels: Channels, app: AppRegistration, known_uri: str = "", device: str = "device") -> Grant:
    """Ask for a channel that is given."""
    granted = await channels.grant(device, "app", app.remote_id, known_uri)
    assert isinstance(granted, Grant)
    return granted


def token(granted: Grant) -> str:
    """Take the token out of a channel's URI."""
    return granted.uri.partition("token=")[2]


async def test_a_channel_is_an_unguessable_uri(channels: Channels, app: AppRegistration, clock: Clock) -> None:
    """The URI has a token of 256 bits, the name is short and not secret, the life is 30 days."""
    granted = await grant(channels, app)
    assert granted.uri.startswith("http://host:1/w/?token=")
    assert len(token(granted)) >= 43
    assert len(granted.name) == 16
    assert granted.expires == clock.time + CHANNEL_LIFETIME


async def test_the_token_is_not_stored(channels: Channels, app: AppRegistration, place: Place) -> None:
    """Neither the files nor a printed grant show the token."""
    granted = await grant(channels, app)
    assert granted.name.encode() in await place.contents()
    assert token(granted).encode() not in await place.contents()
    assert token(granted) not in repr(granted)


async def test_a_channel_is_found_by_its_token(channels: Channels, app: AppRegistration) -> None:
    """What is found says whose the channel is."""
    granted = await grant(channels, app)
    found = await channels.directory.find(token(granted))
    assert isinstance(found, ChannelRow)
    assert (found.name, found.client_id, found.app, found.device) == (granted.name, app.client_id, "app", "device")
    assert await channels.directory.find("other") is ChannelFault.UNKNOWN


async def test_channels_outlive_the_process(
    channels: Channels, app: AppRegistration, store: ServiceStore, registrations: Apps, clock: Clock
) -> None:
    """The next process finds the channel, and gives it out again."""
    granted = await grant(channels, app)
    later = Channels(store, registrations, "http://host:1", clock)
    assert isinstance(await later.directory.find(token(granted)), ChannelRow)
    assert await grant(later, app, granted.uri) == granted


async def test_a_known_channel_is_given_again(channels: Channels, app: AppRegistration, clock: Clock) -> None:
    """With more than a day to live, the same URI with the same end is given; with less, a new one."""
    granted = await grant(channels, app)
    clock.time += CHANNEL_LIFETIME - DAY - 1
    assert await grant(channels, app, granted.uri) == granted
    clock.time += 1
    renewed = await grant(channels, app, granted.uri)
    assert renewed.uri != granted.uri
    assert renewed.expires == clock.time + CHANNEL_LIFETIME


async def test_an_unknown_revoked_or_foreign_uri_is_not_given_again(
    channels: Channels, app: AppRegistration, store: ServiceStore, registrations: Apps, clock: Clock
) -> None:
    """Another device's, another base's, another app's, a revoked and an invented URI all lead to a new channel."""
    moved = Channels(store, registrations, "http://host:2", clock)
    other = await registrations.register("other")
    foreign = await grant(channels, app, device="other")
    mine = await grant(channels, app)
    revoked = await grant(channels, app, device="third")
    await channels.revoke("third", "app")
    assert (await grant(channels, app, foreign.uri)).uri != foreign.uri
    assert (await grant(moved, app, mine.uri)).uri.startswith("http://host:2/")
    assert (await grant(channels, other, mine.uri)).uri != mine.uri
    assert (await grant(channels, app, revoked.uri, device="third")).uri != revoked.uri
    assert (await grant(channels, app, "http://host:1/w/?token=%zz&token=")).uri != mine.uri


@pytest.mark.parametrize(
    ("remote_id", "hresult"),
    [
        ("", HResult.E_INVALIDARG),
        ("contoso", HResult.E_INVALIDARG),
        ("00000000-0000-0000-0000-000000000000", HResult.E_INVALIDARG),
        ("08eef3c0-4ecf-4128-b34e-9d6aa061b324", HResult.WPN_E_INVALID_APP),
    ],
)
async def test_a_remote_id_must_be_registered(channels: Channels, remote_id: str, hresult: HResult) -> None:
    """What is no GUID is a wrong argument, a GUID of no app is an invalid app."""
    denial = await channels.grant("device", "app", remote_id, "")
    assert isinstance(denial, Denial)
    assert denial.hresult == hresult
    assert denial.text


@pytest.mark.parametrize("name", ["", "a" * (MAX_APP_NAME + 1)])
async def test_an_app_has_a_name(channels: Channels, app: AppRegistration, name: str) -> None:
    """An app on a device has a name, and not an endless one."""
    denial = await channels.grant("device", name, app.remote_id, "")
    assert isinstance(denial, Denial)
    assert denial.hresult == HResult.E_INVALIDARG


async def test_the_channels_of_an_app_are_limited(channels: Channels, app: AppRegistration) -> None:
    """The channel beyond the limit is denied until the others are closed."""
    for _ in range(MAX_LIVE):
        await grant(channels, app)
    denial = await channels.grant("device", "app", app.remote_id, "")
    assert isinstance(denial, Denial)
    assert denial.hresult == HResult.E_ACCESSDENIED
    assert len(await channels.revoke("device", "app")) == MAX_LIVE
    await grant(channels, app)


async def test_revoking_ends_all_channels_of_the_app_on_the_device(channels: Channels, app: AppRegistration) -> None:
    """Their names are returned, once; other devices keep theirs."""
    granted = [await grant(channels, app) for _ in range(2)]
    other = await grant(channels, app, device="other")
    assert set(await channels.revoke("device", "app")) == {each.name for each in granted}
    assert [await channels.directory.find(token(each)) for each in granted] == [ChannelFault.REVOKED] * 2
    assert isinstance(await channels.directory.find(token(other)), ChannelRow)
    assert await channels.revoke("device", "app") == ()


async def test_a_push_subscription_that_was_ended_is_kept_no_longer_than_a_channel(
    channels: Channels, clock: Clock
) -> None:
    """It would have lived for a year, for which a device that ends what it asks for would fill the store."""
    granted = await channels.grant("device", "app", web_push_sender(None), "")
    assert isinstance(granted, Grant)
    await channels.revoke("device", "app")
    clock.time += CHANNEL_LIFETIME - 1
    await channels.prune()
    ended = granted.uri.rpartition("/")[2]
    assert (channels.count, await channels.directory.find(ended)) == (1, ChannelFault.REVOKED)
    clock.time += 2
    await channels.prune()
    channels.directory.forget()
    assert (channels.count, await channels.directory.find(ended)) == (0, ChannelFault.UNKNOWN)


async def test_an_expired_channel_is_remembered_for_a_while(
    channels: Channels, app: AppRegistration, clock: Clock
) -> None:
    """Its token is expired at its end, and unknown when it has been pruned."""
    granted = await grant(channels, app)
    clock.time = granted.expires
    assert await channels.directory.find(token(granted)) is ChannelFault.EXPIRED
    channels.directory.forget()
    await channels.prune()
    assert await channels.directory.find(token(granted)) is ChannelFault.EXPIRED
    channels.directory.forget()
    clock.time += CHANNEL_LIFETIME + 1
    await channels.prune()
    assert await channels.directory.find(token(granted)) is ChannelFault.UNKNOWN


async def test_the_cache_is_bounded(channels: Channels, app: AppRegistration, monkeypatch: pytest.MonkeyPatch) -> None:
    """More channels than the cache holds are found all the same."""
    monkeypatch.setattr(module, "_CACHE", 2)
    granted = [await grant(channels, app) for _ in range(4)]
    found = [await channels.directory.find(token(each)) for each in granted * 2]
    assert all(isinstance(each, ChannelRow) for each in found)
    assert len(channels.directory._found) == 2


@pytest.mark.parametrize(
    ("query", "found"),
    [
        (b"token=aB-_9", "aB-_9"),
        (b"token=%61B%2D%5F9", "aB-_9"),
        (b"a=1&token=aB-_9&b=2", "aB-_9"),
        (quote("token=aB-_9", safe="=").encode(), "aB-_9"),
        (b"", None),
        (b"tok=1", None),
        (b"token=a&token=b", None),
        (b"a&" * 100, None),
        (b"\xff\xfe", None),
    ],
)
def test_the_token_is_taken_out_of_a_query(query: bytes, found: str | None) -> None:
    """Percent-encoding and other fields are tolerated, two tokens are none."""
    assert token_of(query) == found


async def test_what_stands_for_a_channel_does_so_for_a_while(channels: Channels, registrations: Apps) -> None:
    """A token that is lent leads to the channel, also to one that has ended, until it is given back."""
    app = await registrations.register("contoso")
    granted = await channels.grant("device", "contoso", app.remote_id, "")
    assert isinstance(granted, Grant)
    (channel,) = await channels.directory.live(10)
    assert channel.name == granted.name
    with channels.directory.lend(channel) as token:
        assert token not in granted.uri
        assert await channels.directory.find(token) == channel
        await channels.revoke("device", "contoso")
        assert await channels.directory.find(token) is ChannelFault.REVOKED
    assert await channels.directory.find(token) is ChannelFault.UNKNOWN
    assert await channels.directory.live(10) == []
