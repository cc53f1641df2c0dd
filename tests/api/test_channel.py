"""What an app can do with a channel, on a platform whose service the test plays."""

from __future__ import annotations

from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from tests.helpers import PATIENCE, payload
from tests.world import Gathered, dead_rows, open_rows, world
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.channel import PushNotificationChannel
from tocsin.protocol.errors import ChannelClosed, NotFound, PlatformUnavailable
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import ChannelRefused, ChannelsRevoked, RevokeChannels

Args = PushNotificationReceivedEventArgs


async def test_a_channel_has_its_uri_and_an_aware_expiration(tmp_path: Path) -> None:
    """The URI is the one that was granted; the time is in UTC, and by this machine's clock, whatever the service's says."""
    async with world(tmp_path) as w:
        w.service.now = lambda: 3e9
        channel = await w.channel()
        assert channel.uri == "http://push.test/w/?token=c1"
        ends = datetime.now(UTC) + timedelta(seconds=1e9)
        assert abs(channel.expiration_time - ends) < timedelta(seconds=PATIENCE)
        assert "token" not in repr(channel)


@pytest.mark.parametrize("expires", [4e11, 1e300])
async def test_an_end_that_no_calendar_has_is_the_last_moment_that_one_has(tmp_path: Path, expires: float) -> None:
    """A machine whose clock shows the year 9999 can hold a channel."""
    async with world(tmp_path) as w:
        channel = PushNotificationChannel(w.manager._session, "contoso.mail", "c1", "http://push.test/", expires)
    assert channel.expiration_time == datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC)


async def test_sync_and_async_handlers_both_get_every_payload(tmp_path: Path) -> None:
    """Handlers are called in the order of attachment, one payload after the other."""
    seen = Gathered()

    async def later(args: Args) -> None:
        await anyio.lowlevel.checkpoint()
        seen.add(("async", args.payload))
        args.handled = True

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(lambda args: seen.add(("sync", args.payload))), channel.push_received(later):
            await w.service.send(payload("A", b"1"), payload("B", b"2"))
            await w.service.expect_acknowledged("A", "B")
            await seen.wait_for(4)
    assert seen.items == [("sync", b"1"), ("async", b"1"), ("sync", b"2"), ("async", b"2")]
    assert await open_rows(tmp_path) == []


async def test_a_payload_arrives_as_it_was_sent(tmp_path: Path) -> None:
    """Bytes, id, type and attempt are the payload's own; handled begins as false."""
    seen = Gathered()
    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(seen.add):
            await w.service.send(payload("A", bytes(range(256))))
            await seen.wait_for(1)
    (args,) = seen.items
    assert isinstance(args, Args)
    assert (args.payload, args.id, args.type, args.attempt) == (bytes(range(256)), "A", "raw", 1)
    assert args.handled is False
    assert repr(args) == "<PushNotificationReceivedEventArgs A raw 256 bytes, attempt 1>"


async def test_a_payload_that_no_handler_handles_is_a_dead_letter(tmp_path: Path) -> None:
    """Without an activator, a payload that the foreground did not handle ends with that reason."""
    seen = Gathered()
    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(seen.add):
            await w.service.send(payload("A"))
            await seen.wait_for(1)
    assert await dead_rows(tmp_path) == [("A", "not_handled", "")]


async def test_a_handler_that_fails_harms_nobody_else(tmp_path: Path) -> None:
    """The payload is a dead letter that tells what was raised; the next one is handled."""
    seen = Gathered()

    def handler(args: Args) -> None:
        seen.add(args.id)
        if args.id == "A":
            raise ValueError("no such mail")
        args.handled = True

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"), payload("B"))
            await seen.wait_for(2)
    assert await dead_rows(tmp_path) == [("A", "handler_failed", "ValueError: no such mail")]
    assert await open_rows(tmp_path) == []


async def test_payloads_wait_for_a_handler(tmp_path: Path) -> None:
    """Payloads that come before a handler is attached are acknowledged, kept, and then handed to it in order."""
    seen = Gathered()

    def handler(args: Args) -> None:
        seen.add((args.id, args.attempt))
        args.handled = True

    async with world(tmp_path) as w:
        channel = await w.channel()
        await w.service.send(payload("A"), payload("B"))
        await w.service.expect_acknowledged("A", "B")
        with channel.push_received(handler):
            await seen.wait_for(2)
            await w.service.send(payload("C"))
            await seen.wait_for(3)
    assert seen.items == [("A", 1), ("B", 1), ("C", 1)]


async def test_handlers_can_be_added_and_removed_by_token(tmp_path: Path) -> None:
    """A removed handler is called no more; a token is good for one removal."""
    seen = Gathered()

    def handler(args: Args) -> None:
        seen.add(args.id)
        args.handled = True

    async with world(tmp_path) as w:
        channel = await w.channel()
        token = channel.add_push_received(handler)
        await w.service.send(payload("A"))
        await seen.wait_for(1)
        channel.remove_push_received(token)
        with pytest.raises(NotFound, match=f"token {token}"):
            channel.remove_push_received(token)
        await w.service.send(payload("B"))
        await w.service.expect_acknowledged("A", "B")
    assert seen.items == ["A"]
    assert len(await open_rows(tmp_path)) == 1


async def test_iterating_handles(tmp_path: Path) -> None:
    """Asking for the next payload says that this one is handled; leaving the loop returns the one in hand."""
    async with world(tmp_path) as w:
        channel = await w.channel()
        await w.service.send(payload("A"), payload("B"), payload("C"))
        ids: list[str] = []
        async with aclosing(channel.payloads()) as payloads:
            async for args in payloads:
                ids.append(args.id)
                if args.id == "B":
                    break
        assert ids == ["A", "B"]
        async with aclosing(channel.payloads()) as payloads:
            async for args in payloads:
                assert (args.id, args.attempt) == ("B", 2)
                args.handled = True
                break
    assert await open_rows(tmp_path) == [3]


async def test_the_loop_may_refuse_a_payload(tmp_path: Path) -> None:
    """Setting handled to false in the loop is a refusal, and not undone by going on."""
    async with world(tmp_path) as w:
        channel = await w.channel()
        await w.service.send(payload("A"), payload("B"))
        async with aclosing(channel.payloads()) as payloads:
            async for args in payloads:
                args.handled = args.id == "B"
                if args.id == "B":
                    break
    assert await dead_rows(tmp_path) == [("A", "not_handled", "")]
    assert await open_rows(tmp_path) == []


async def test_close_revokes_and_ends_the_channel(tmp_path: Path) -> None:
    """After close the app can neither close nor listen again; what was not handled is a dead letter."""
    async with world(tmp_path) as w:
        channel = await w.channel()
        await w.service.send(payload("A"))
        await w.service.expect_acknowledged("A")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(channel.close)
            request = await w.service.expect(RevokeChannels)
            assert request.app == "contoso.mail"
            await w.service.send(ChannelsRevoked(request.request, ("c1",)))
        with pytest.raises(ChannelClosed) as second:
            await channel.close()
        assert second.value.hresult == HResult.WPN_E_CHANNEL_CLOSED
        with pytest.raises(ChannelClosed):
            channel.add_push_received(print)
    assert await dead_rows(tmp_path) == [("A", "closed", "")]


@pytest.mark.parametrize(("closes", "reason"), [(True, "closed"), (False, "unknown_channel")])
async def test_what_stood_behind_a_handler_at_the_end_of_its_channel_names_who_ended_it(
    tmp_path: Path, closes: bool, reason: str
) -> None:
    """It comes back from the app after the channel has ended, closed by that or taken back by the service."""
    began, goes_on = anyio.Event(), anyio.Event()

    async def slow(args: Args) -> None:
        began.set()
        await goes_on.wait()
        args.handled = True

    async with world(tmp_path) as w:
        channel, told = await w.channel(), Gathered()
        w.manager.add_channel_revoked(told.add)
        with channel.push_received(slow):
            await w.service.send(payload("A"), payload("B"))
            await w.service.expect_acknowledged("A", "B")
            await began.wait()
            if closes:
                async with anyio.create_task_group() as tasks:
                    tasks.start_soon(channel.close)
                    request = await w.service.expect(RevokeChannels)
                    await w.service.send(ChannelsRevoked(request.request, ("c1",)))
            else:
                await w.service.send(ChannelsRevoked(0, ("c1",)))
                await told.wait_for(1)
            goes_on.set()
    assert await dead_rows(tmp_path) == [("B", reason, "")]


async def test_close_that_the_service_refuses_changes_nothing(tmp_path: Path) -> None:
    """The service's reason reaches the app, and the channel lives on."""
    seen = Gathered()
    async with world(tmp_path) as w:
        channel = await w.channel()

        async def refuse() -> None:
            request = await w.service.expect(RevokeChannels)
            await w.service.send(ChannelRefused(request.request, HResult.E_FAIL, "not today", None))

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refuse)
            with pytest.raises(Exception, match="not today"):
                await channel.close()
        with channel.push_received(seen.add):
            await w.service.send(payload("A"))
            await seen.wait_for(1)


async def test_close_without_a_connection_changes_nothing(tmp_path: Path) -> None:
    """A channel can be closed only at the service, and the error says so."""
    async with world(tmp_path) as w:
        channel = await w.channel()
        w.service.reachable = False
        await w.service.cut()
        operation = w.manager.create_channel("f80e541e-3606-48fb-935e-118a3c5f41f5")
        async for progress in operation:
            if progress.retry_count:
                break
        operation.cancel()
        with pytest.raises(PlatformUnavailable, match="no connection"):
            await channel.close()


async def test_a_revoked_channel_takes_no_handler(tmp_path: Path) -> None:
    """When the service takes a channel back, the app learns it at its next use."""
    async with world(tmp_path) as w:
        channel = await w.channel()
        await w.service.send(ChannelsRevoked(0, ("c1",)))
        await w.channel("c2")
        with pytest.raises(ChannelClosed):
            channel.add_push_received(print)


@pytest.mark.parametrize("by", ["the loop", "another task", "the service"])
async def test_a_loop_over_payloads_ends_with_its_channel(tmp_path: Path, by: str) -> None:
    """Else a program whose life is that loop would wait for ever; what it had in hand counts as handled."""
    seen = Gathered()

    async def look(channel: PushNotificationChannel) -> None:
        async for args in channel.payloads():
            seen.add(args.id)
            if by == "the loop":
                await channel.close()

    async def loop(channel: PushNotificationChannel) -> None:
        with pytest.raises(ChannelClosed):
            await look(channel)

    async with world(tmp_path) as w:
        channel = await w.channel()
        with anyio.fail_after(PATIENCE):
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(loop, channel)
                await w.service.send(payload("A"))
                await w.service.expect_acknowledged("A")
                await seen.wait_for(1)
                if by == "another task":
                    tasks.start_soon(channel.close)
                if by == "the service":
                    await w.service.send(ChannelsRevoked(0, ("c1",)))
                else:
                    request = await w.service.expect(RevokeChannels)
                    await w.service.send(ChannelsRevoked(request.request, ("c1",)))
    assert await open_rows(tmp_path) == []
