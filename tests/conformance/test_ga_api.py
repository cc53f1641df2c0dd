"""C: the cases of the released Windows App SDK (1.1 and later), 24 to 39, as far as this API has their notions.

Its ``Register`` is registering the activators with the work that they start, and its ``Unregister`` ends them. Channel
requests go to a real service over HTTP.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import tocsin
from tests.conformance.apps import NULL, PACKAGED, Kind, both_kinds, running
from tests.conformance.cases import case
from tests.helpers import payload
from tests.world import Gathered
from tocsin import HResult
from tocsin import PushNotificationChannelStatus as Status

LIFE = timedelta(days=30)


@asynccontextmanager
async def embedded(state: Path, kind: Kind) -> AsyncIterator[tuple[tocsin.PushNotificationManager, str]]:
    """Run an app of that kind with a service of its own, and name its remote id."""
    manifest: Path | None = None
    if kind is PACKAGED:
        manifest = state / "tocsin.toml"
        manifest.write_text(f'family_name = "{kind.identity.family_name}"\n', encoding="utf-8")
    async with tocsin.embedded("contoso.mail", state / "state", manifest=manifest) as manager:
        assert manager.registration is not None
        yield manager, manager.registration.remote_id


@case(24)
@both_kinds
async def test_a_null_remote_id_raises(tmp_path: Path, kind: Kind) -> None:
    """A request with the null GUID raises E_INVALIDARG, and the next one with the right GUID succeeds."""
    async with embedded(tmp_path, kind) as (manager, remote_id):
        with pytest.raises(tocsin.InvalidArgument) as refused:
            manager.create_channel(NULL)
        assert (await manager.create_channel(remote_id)).status is Status.COMPLETED_SUCCESS
    assert refused.value.hresult == HResult.E_INVALIDARG


@case(25)
@both_kinds
async def test_a_request_succeeds(tmp_path: Path, kind: Kind) -> None:
    """A request with the app's remote id ends with S_OK."""
    async with embedded(tmp_path, kind) as (manager, remote_id):
        result = await manager.create_channel(remote_id)
    assert (result.status, result.extended_error) == (Status.COMPLETED_SUCCESS, HResult.S_OK)


@case(26)
@both_kinds
async def test_a_channel_expires_within_thirty_days(tmp_path: Path, kind: Kind) -> None:
    """The expiration time is aware, and lies between now and 30 days and a minute from now."""
    async with embedded(tmp_path, kind) as (manager, remote_id):
        channel = (await manager.create_channel(remote_id)).channel
    assert channel is not None
    now = datetime.now(UTC)
    assert now < channel.expiration_time < now + LIFE + timedelta(minutes=1)


@case(27)
@both_kinds
async def test_a_second_close_raises(tmp_path: Path, kind: Kind) -> None:
    """Closing a closed channel raises WPN_E_CHANNEL_CLOSED."""
    async with embedded(tmp_path, kind) as (manager, remote_id):
        channel = (await manager.create_channel(remote_id)).channel
        assert channel is not None
        await channel.close()
        with pytest.raises(tocsin.ChannelClosed) as second:
            await channel.close()
    assert second.value.hresult == HResult.WPN_E_CHANNEL_CLOSED


@case(28)
@both_kinds
async def test_what_is_registered_can_be_unregistered(tmp_path: Path, kind: Kind) -> None:
    """Registering, then unregistering the same activators, raises nothing."""
    async with running(tmp_path, kind) as w:
        await w.manager.register_activator(kind.info(), print)
        await w.manager.unregister_activator(kind.activators)


@case(29)
@both_kinds
async def test_what_is_registered_can_be_unregistered_as_a_whole(tmp_path: Path, kind: Kind) -> None:
    """Registering, then unregistering everything, raises nothing."""
    async with running(tmp_path, kind) as w:
        await w.manager.register_activator(kind.info(), print)
        await w.manager.unregister_all_activators()


@case(30)
@both_kinds
async def test_what_is_not_registered_cannot_be_unregistered(tmp_path: Path, kind: Kind) -> None:
    """Unregistering what was never registered raises ERROR_NOT_FOUND."""
    async with running(tmp_path, kind) as w:
        with pytest.raises(tocsin.NotFound) as refused:
            await w.manager.unregister_activator(kind.activators)
    assert refused.value.hresult == HResult.ERROR_NOT_FOUND


@case(32)
@both_kinds
async def test_registering_twice_raises(tmp_path: Path, kind: Kind) -> None:
    """A second registration raises E_INVALIDARG and says what is registered already."""
    async with running(tmp_path, kind) as w:
        await w.manager.register_activator(kind.info(), print)
        with pytest.raises(tocsin.InvalidArgument, match="already registered") as refused:
            await w.manager.register_activator(kind.info(), print)
    assert refused.value.hresult == HResult.E_INVALIDARG


@case(33)
async def test_what_stays_registered_cannot_be_registered_again(tmp_path: Path) -> None:
    """After an app has unregistered only its server, the trigger is still there, and registering both raises."""
    async with running(tmp_path, PACKAGED) as w:
        await w.manager.register_activator(PACKAGED.info(), print)
        await w.manager.unregister_activator(tocsin.Activators.COM_ACTIVATOR)
        with pytest.raises(tocsin.InvalidArgument, match=r"PushTrigger already registered"):
            await w.manager.register_activator(PACKAGED.info(), print)


@case(34)
@both_kinds
async def test_registering_and_unregistering_everything_can_be_repeated(tmp_path: Path, kind: Kind) -> None:
    """Two full rounds raise nothing, and the second one's work is the one that runs."""
    seen = Gathered()
    async with running(tmp_path, kind) as w:
        await w.channel()
        await w.manager.register_activator(kind.info(), lambda _: seen.add("first"))
        await w.manager.unregister_all_activators()
        await w.manager.register_activator(kind.info(), lambda _: seen.add("second"))
        await w.service.send(payload("A"))
        await seen.wait_for(1)
        await w.manager.unregister_all_activators()
    assert seen.items == ["second"]


@case(35)
@both_kinds
async def test_unregistering_twice_raises(tmp_path: Path, kind: Kind) -> None:
    """The second time raises ERROR_NOT_FOUND."""
    async with running(tmp_path, kind) as w:
        await w.manager.register_activator(kind.info(), print)
        await w.manager.unregister_activator(kind.activators)
        with pytest.raises(tocsin.NotFound) as refused:
            await w.manager.unregister_activator(kind.activators)
    assert refused.value.hresult == HResult.ERROR_NOT_FOUND


@case(37)
@both_kinds
async def test_unregistering_everything_after_unregistering_is_no_error(tmp_path: Path, kind: Kind) -> None:
    """Unregistering the activators, then everything, raises nothing."""
    async with running(tmp_path, kind) as w:
        await w.manager.register_activator(kind.info(), print)
        await w.manager.unregister_activator(kind.activators)
        await w.manager.unregister_all_activators()


@case(38)
@both_kinds
@pytest.mark.parametrize("first", ["handler", "activator"])
async def test_a_foreground_handler_may_come_at_any_time(tmp_path: Path, kind: Kind, first: str) -> None:
    """A handler gets payloads, whether it was added before the activators were registered or after."""
    seen, background = Gathered(), Gathered()

    def handler(args: tocsin.PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        seen.add(args.id)

    async with running(tmp_path, kind) as w:
        channel = await w.channel()
        if first == "handler":
            channel.add_push_received(handler)
        await w.manager.register_activator(kind.info(), lambda args: background.add(args.id))
        if first == "activator":
            channel.add_push_received(handler)
        await w.service.send(payload("A"))
        await seen.wait_for(1)
    assert seen.items == ["A"]
    assert background.items == []
