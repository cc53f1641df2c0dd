"""A: the cases of the Windows App SDK's own tests of the API that Tocsin follows (1.0 preview 3), 1 to 18."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import anyio
import pytest

from tests.conformance.apps import (
    NULL,
    OTHER_CLSID,
    PACKAGED,
    TOAST,
    UNPACKAGED,
    Kind,
    both_kinds,
    close,
    running,
)
from tests.conformance.cases import case
from tests.helpers import payload
from tests.world import REMOTE_ID, Gathered, open_rows
from tocsin.actors.sessions import Stamp
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.protocol.errors import ChannelClosed, InvalidArgument
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import Message
from tocsin.protocol.platform.activation import Activators, PushNotificationActivationInfo
from tocsin.protocol.values import PushNotificationChannelStatus as Status

Args = PushNotificationReceivedEventArgs
OTHER_REMOTE_ID = "f80e541e-3606-48fb-935e-118a3c5f41f5"
MIXED = (
    Activators.COM_ACTIVATOR | Activators.PROTOCOL_ACTIVATOR,
    Activators.PUSH_TRIGGER | Activators.PROTOCOL_ACTIVATOR,
    Activators.PUSH_TRIGGER | Activators.COM_ACTIVATOR | Activators.PROTOCOL_ACTIVATOR,
)


@case(1)
@both_kinds
async def test_a_push_runs_the_background_work(tmp_path: Path, kind: Kind) -> None:
    """The registered work gets the payload and, by returning, handles it."""
    seen = Gathered()
    async with running(tmp_path, kind) as w:
        await w.channel()
        await w.manager.register_activator(kind.info(), lambda args: seen.add(args.payload))
        await w.service.send(payload("A", TOAST))
        await seen.wait_for(1)
    assert seen.items == [TOAST]
    assert await open_rows(tmp_path) == []


@case(2)
@both_kinds
async def test_two_pushes_run_the_background_work_twice(tmp_path: Path, kind: Kind) -> None:
    """Each payload has a run of its own, in their order."""
    seen = Gathered()
    async with running(tmp_path, kind) as w:
        await w.channel()
        await w.manager.register_activator(kind.info(), lambda args: seen.add(args.id))
        await w.service.send(payload("A", TOAST), payload("B", TOAST))
        await seen.wait_for(2)
    assert seen.items == ["A", "B"]
    assert await open_rows(tmp_path) == []


@case(3)
@both_kinds
@pytest.mark.parametrize("remote_id", [NULL, str(NULL)], ids=["guid", "text"])
async def test_a_null_remote_id_raises(tmp_path: Path, kind: Kind, remote_id: UUID | str) -> None:
    """A request with the null GUID raises E_INVALIDARG and is no result."""
    async with running(tmp_path, kind) as w:
        with pytest.raises(InvalidArgument) as refused:
            w.manager.create_channel(remote_id)
    assert refused.value.hresult == HResult.E_INVALIDARG


@case(4)
@both_kinds
async def test_a_request_succeeds_and_its_channel_can_be_closed(tmp_path: Path, kind: Kind) -> None:
    """The request ends with CompletedSuccess and S_OK, and close works."""
    async with running(tmp_path, kind) as w:
        operation = w.manager.create_channel(REMOTE_ID)
        await w.service.grant()
        result = await operation
        assert (result.status, result.extended_error) == (Status.COMPLETED_SUCCESS, HResult.S_OK)
        assert result.channel is not None
        await close(w, result.channel)


@case(5)
@both_kinds
async def test_a_second_close_raises(tmp_path: Path, kind: Kind) -> None:
    """Closing a closed channel raises WPN_E_CHANNEL_CLOSED."""
    async with running(tmp_path, kind) as w:
        channel = await w.channel()
        await close(w, channel)
        with pytest.raises(ChannelClosed) as second:
            await channel.close()
    assert second.value.hresult == HResult.WPN_E_CHANNEL_CLOSED


@case(6)
@both_kinds
async def test_two_requests_for_one_remote_id_both_succeed(tmp_path: Path, kind: Kind) -> None:
    """The second of two requests in flight gets a channel too: the same one."""
    async with running(tmp_path, kind) as w:
        first, second = w.manager.create_channel(REMOTE_ID), w.manager.create_channel(REMOTE_ID)
        await w.service.grant()
        results = [await second, await first]
    assert [result.extended_error for result in results] == [HResult.S_OK] * 2
    assert len({result.channel.uri for result in results if result.channel}) == 1


@case(7)
@both_kinds
async def test_two_requests_for_two_remote_ids_both_succeed(tmp_path: Path, kind: Kind) -> None:
    """The second of two requests in flight gets a channel of its own."""
    async with running(tmp_path, kind) as w:
        first, second = w.manager.create_channel(REMOTE_ID), w.manager.create_channel(OTHER_REMOTE_ID)
        await w.service.grant("c1")
        await w.service.grant("c2")
        results = [await second, await first]
    assert [result.extended_error for result in results] == [HResult.S_OK] * 2
    assert len({result.channel.uri for result in results if result.channel}) == 2


@case(8)
@both_kinds
async def test_activators_can_be_registered_and_unregistered(tmp_path: Path, kind: Kind) -> None:
    """Unregistering all where there is nothing, registering and unregistering the same flags raise nothing."""
    async with running(tmp_path, kind) as w:
        await w.manager.unregister_all_activators()
        await w.manager.register_activator(kind.info(OTHER_CLSID if kind is PACKAGED else None))
        await w.manager.unregister_activator(kind.activators)


@case(9)
@both_kinds
async def test_registering_nothing_raises(tmp_path: Path, kind: Kind) -> None:
    """No info at all raises E_INVALIDARG."""
    async with running(tmp_path, kind) as w:
        with pytest.raises(InvalidArgument) as refused:
            await w.manager.register_activator(None)  # type: ignore[arg-type]
    assert refused.value.hresult == HResult.E_INVALIDARG


@case(10)
async def test_a_packaged_app_needs_a_clsid(tmp_path: Path) -> None:
    """PushTrigger and ComActivator with the null CLSID raise E_INVALIDARG, and nothing is registered."""
    async with running(tmp_path, PACKAGED) as w:
        with pytest.raises(InvalidArgument, match="needs a CLSID") as refused:
            await w.manager.register_activator(PACKAGED.info(NULL))
        await w.manager.register_activator(PACKAGED.info())
    assert refused.value.hresult == HResult.E_INVALIDARG


@case(10)
async def test_an_unpackaged_app_needs_no_clsid(tmp_path: Path) -> None:
    """ProtocolActivator with the null CLSID is registered."""
    async with running(tmp_path, UNPACKAGED) as w:
        await w.manager.register_activator(UNPACKAGED.info(NULL))
        await w.manager.unregister_activator(Activators.PROTOCOL_ACTIVATOR)


@case(11)
@both_kinds
async def test_registering_twice_raises(tmp_path: Path, kind: Kind) -> None:
    """A second registration in the same process raises E_INVALIDARG, and the first goes on working."""
    seen = Gathered()
    async with running(tmp_path, kind) as w:
        await w.channel()
        await w.manager.register_activator(kind.info(), lambda args: seen.add(args.id))
        with pytest.raises(InvalidArgument, match="already registered") as refused:
            await w.manager.register_activator(kind.info(), lambda _: seen.add("the wrong one"))
        await w.service.send(payload("A"))
        await seen.wait_for(1)
    assert refused.value.hresult == HResult.E_INVALIDARG
    assert seen.items == ["A"]


@case(11)
@both_kinds
async def test_a_registration_that_is_refused_never_does_the_work(
    tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A payload that comes while the second registration is on its way goes to the first one's work."""
    seen, posted, go_on = Gathered(), anyio.Event(), anyio.Event()

    async with running(tmp_path, kind) as w:
        send = w.platform.send

        async def slow(stamp: Stamp, message: Message, frame: bytes) -> None:
            posted.set()
            await go_on.wait()
            await send(stamp, message, frame)

        async def register_again() -> None:
            with pytest.raises(InvalidArgument):
                await w.manager.register_activator(kind.info(), lambda _: seen.add("the wrong one"))

        await w.channel()
        await w.manager.register_activator(kind.info(), lambda args: seen.add(args.id))
        monkeypatch.setattr(w.platform, "send", slow)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(register_again)
            await posted.wait()
            await w.service.send(payload("A"))
            await seen.wait_for(1)
            go_on.set()
    assert seen.items == ["A"]


@case(12)
async def test_a_packaged_app_may_have_a_com_activator(tmp_path: Path) -> None:
    """ComActivator is supported, alone and with PushTrigger."""
    async with running(tmp_path, PACKAGED) as w:
        assert w.manager.is_activator_supported(Activators.COM_ACTIVATOR)
        assert w.manager.is_activator_supported(Activators.COM_ACTIVATOR | Activators.PUSH_TRIGGER)


@case(13)
async def test_an_unpackaged_app_has_no_com_activator(tmp_path: Path) -> None:
    """ComActivator is not supported."""
    async with running(tmp_path, UNPACKAGED) as w:
        assert not w.manager.is_activator_supported(Activators.COM_ACTIVATOR)


@case(14)
async def test_an_unpackaged_app_may_have_a_protocol_activator(tmp_path: Path) -> None:
    """ProtocolActivator is supported."""
    async with running(tmp_path, UNPACKAGED) as w:
        assert w.manager.is_activator_supported(Activators.PROTOCOL_ACTIVATOR)


@case(15)
async def test_a_packaged_app_has_no_protocol_activator(tmp_path: Path) -> None:
    """ProtocolActivator is not supported."""
    async with running(tmp_path, PACKAGED) as w:
        assert not w.manager.is_activator_supported(Activators.PROTOCOL_ACTIVATOR)


@case(16)
@both_kinds
@pytest.mark.parametrize("activators", MIXED, ids=str)
async def test_a_protocol_activator_is_not_combined(tmp_path: Path, kind: Kind, activators: Activators) -> None:
    """Asking for ProtocolActivator together with another flag raises E_INVALIDARG."""
    async with running(tmp_path, kind) as w:
        with pytest.raises(InvalidArgument, match="combined") as refused:
            w.manager.is_activator_supported(activators)
    assert refused.value.hresult == HResult.E_INVALIDARG


@case(17)
@both_kinds
async def test_no_activator_at_all_is_not_asked_for(tmp_path: Path, kind: Kind) -> None:
    """Asking whether Undefined is supported raises E_INVALIDARG."""
    async with running(tmp_path, kind) as w:
        with pytest.raises(InvalidArgument) as refused:
            w.manager.is_activator_supported(Activators.UNDEFINED)
    assert refused.value.hresult == HResult.E_INVALIDARG


@case(17)
@both_kinds
async def test_no_activator_at_all_is_not_registered(tmp_path: Path, kind: Kind) -> None:
    """Registering Undefined raises E_INVALIDARG, where Windows registers nothing and is silent."""
    async with running(tmp_path, kind) as w:
        with pytest.raises(InvalidArgument) as refused:
            await w.manager.register_activator(PushNotificationActivationInfo(Activators.UNDEFINED, kind.clsid))
    assert refused.value.hresult == HResult.E_INVALIDARG
