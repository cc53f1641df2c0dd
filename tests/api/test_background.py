"""Background work, deferrals and cancellation, as an app in one process sees them."""

from __future__ import annotations

import gc
from pathlib import Path
from uuid import UUID

import anyio
import pytest

import tocsin
from tests.helpers import payload
from tests.world import Gathered, dead_rows, open_rows, world
from tocsin.actors import life_steps
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.protocol.errors import IllegalCall
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages import ChannelsRevoked
from tocsin.protocol.platform.activation import Activators, CancellationReason, PushNotificationActivationInfo

Args = PushNotificationReceivedEventArgs
PROTOCOL = PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR)


async def test_a_push_without_a_foreground_handler_wakes_the_background(tmp_path: Path) -> None:
    """The registered handler gets the payload, and handles it by returning."""
    seen = Gathered()
    async with world(tmp_path) as w:
        await w.channel()
        await w.manager.register_activator(PROTOCOL, seen.add)
        await w.service.send(payload("A", b"\x00\xff"), payload("B", b""))
        await seen.wait_for(2)
    assert [item.payload for item in seen.items if isinstance(item, Args)] == [b"\x00\xff", b""]
    assert await open_rows(tmp_path) == []
    assert await dead_rows(tmp_path) == []


@pytest.mark.parametrize("handled", [False, True])
async def test_handled_decides_whether_the_background_is_woken(tmp_path: Path, handled: bool) -> None:
    """What the foreground handles goes no further; what it does not handle is done in the background too."""
    foreground, background = Gathered(), Gathered()

    def handler(args: Args) -> None:
        args.handled = handled
        foreground.add(args.id)

    async with world(tmp_path) as w:
        channel = await w.channel()
        await w.manager.register_activator(PROTOCOL, lambda args: background.add(args.id))
        with channel.push_received(handler):
            await w.service.send(payload("A"))
            await foreground.wait_for(1)
            if not handled:
                await background.wait_for(1)
    assert background.items == ([] if handled else ["A"])
    assert await open_rows(tmp_path) == []


async def test_handled_is_false_by_default(tmp_path: Path) -> None:
    """A foreground handler that says nothing leaves the payload to the background."""
    foreground, background = Gathered(), Gathered()
    async with world(tmp_path) as w:
        channel = await w.channel()
        await w.manager.register_activator(PROTOCOL, lambda args: background.add(args.id))
        with channel.push_received(lambda args: foreground.add(args.id)):
            await w.service.send(payload("A"))
            await background.wait_for(1)
    assert foreground.items == ["A"]


async def test_handled_is_not_for_background_work(tmp_path: Path) -> None:
    """Reading or setting it there is an illegal call, as on Windows."""
    seen = Gathered()

    def handler(args: Args) -> None:
        for call in (lambda: args.handled, lambda: setattr(args, "handled", True)):
            with pytest.raises(IllegalCall, match="Background activation cannot call this") as refused:
                call()
            seen.add(refused.value.hresult)

    async with world(tmp_path) as w:
        await w.channel()
        await w.manager.register_activator(PROTOCOL, handler)
        await w.service.send(payload("A"))
        await seen.wait_for(2)
    assert seen.items == [HResult.E_ILLEGAL_METHOD_CALL] * 2


async def test_payloads_of_before_the_registration_are_not_lost(tmp_path: Path) -> None:
    """What waits in the inbox is handed to background work as soon as a handler is registered."""
    seen = Gathered()
    async with world(tmp_path) as w:
        await w.channel()
        await w.service.send(payload("A"), payload("B"))
        await w.service.expect_acknowledged("A", "B")
        await w.manager.register_activator(PROTOCOL, lambda args: seen.add(args.id))
        await seen.wait_for(2)
    assert seen.items == ["A", "B"]


async def test_deferrals_keep_the_work_open(tmp_path: Path) -> None:
    """The next payload's turn comes only when every deferral of the one before is completed."""
    seen = Gathered()
    deferrals: list[tocsin.Deferral] = []

    def handler(args: Args) -> None:
        seen.add(args.id)
        if args.id == "A":
            deferrals.extend([args.get_deferral(), args.get_deferral()])

    async with world(tmp_path) as w:
        await w.channel()
        await w.manager.register_activator(PROTOCOL, handler)
        await w.service.send(payload("A"), payload("B"))
        await w.service.expect_acknowledged("A", "B")
        await seen.wait_for(1)
        deferrals[0].complete()
        deferrals[0].complete()
        await anyio.wait_all_tasks_blocked()
        assert seen.items == ["A"]
        async with deferrals[1]:
            pass
        await seen.wait_for(2)
    assert await open_rows(tmp_path) == []


async def test_handled_is_read_when_the_deferrals_are_completed(tmp_path: Path) -> None:
    """In the foreground too, work that was deferred may still say that it has handled the payload."""
    taken = Gathered()

    def handler(args: Args) -> None:
        taken.add(args)
        taken.add(args.get_deferral())

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"), payload("B"))
            await taken.wait_for(2)
            args, deferral = taken.items
            assert isinstance(args, Args)
            assert isinstance(deferral, tocsin.Deferral)
            with deferral:
                args.handled = True
            await taken.wait_for(4)  # the next one has begun, so this one has ended
            with pytest.raises(IllegalCall, match="has ended"):
                args.get_deferral()
    assert await dead_rows(tmp_path) == []
    assert await open_rows(tmp_path) == [2]


async def test_a_leaked_deferral_is_cancelled_cut_off_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The app is told the reason; then the payload is a dead letter that names who took the deferral."""
    monkeypatch.setattr(life_steps, "BUDGET", 0.05)
    monkeypatch.setattr(life_steps, "GRACE", 0.05)
    reasons = Gathered()

    async def told(reason: CancellationReason) -> None:
        await anyio.lowlevel.checkpoint()
        reasons.add(reason)

    def forgetful(args: Args) -> None:
        args.canceled(reasons.add)
        args.canceled(told)
        args.get_deferral()

    async with world(tmp_path) as w:
        channel = await w.channel()
        await w.manager.register_activator(PROTOCOL, forgetful)
        await w.service.send(payload("A"))
        await reasons.wait_for(2)
        done = Gathered()
        with channel.push_received(lambda args: done.add(args.id)):
            await w.service.send(payload("B"))
            await done.wait_for(1)
    assert reasons.items == [CancellationReason.EXECUTION_TIME_EXCEEDED] * 2
    dead = {id_: (reason, detail) for id_, reason, detail in await dead_rows(tmp_path)}
    assert dead["A"][0] == "execution_time_exceeded"
    assert "forgetful" in dead["A"][1]
    assert "test_background.py" in dead["A"][1]
    assert "never completed" in dead["A"][1]
    gc.collect()


async def test_a_handler_that_hangs_is_cut_off_and_the_next_payload_is_handled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After budget and grace the handler is cancelled, and the line moves on."""
    monkeypatch.setattr(life_steps, "BUDGET", 0.05)
    monkeypatch.setattr(life_steps, "GRACE", 0.05)
    seen = Gathered()

    async def handler(args: Args) -> None:
        seen.add(args.id)
        if args.id == "A":
            try:
                await anyio.sleep_forever()
            finally:
                seen.add("cut off")
        args.handled = True

    async with world(tmp_path) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"), payload("B"))
            await seen.wait_for(3)
    assert seen.items == ["A", "cut off", "B"]
    assert await dead_rows(tmp_path) == [("A", "execution_time_exceeded", "the handler had not returned")]


async def test_leaving_tells_what_runs(tmp_path: Path) -> None:
    """When the app leaves, running work hears TERMINATING, and its payload waits for the next start."""
    seen = Gathered()

    async def handler(args: Args) -> None:
        args.canceled(seen.add)
        seen.add("begun")
        await anyio.sleep_forever()

    async with world(tmp_path) as w:
        await w.channel()
        await w.manager.register_activator(PROTOCOL, handler)
        await w.service.send(payload("A"))
        await seen.wait_for(1)
    assert seen.items == ["begun", CancellationReason.TERMINATING]
    assert await open_rows(tmp_path) == [1]


async def test_unregistering_cancels_running_work_with_abort(tmp_path: Path) -> None:
    """Work that ends when it hears so is done."""
    seen = Gathered()

    async def handler(args: Args) -> None:
        stop = anyio.Event()
        args.canceled(seen.add)
        args.canceled(lambda _: stop.set())
        seen.add("begun")
        await stop.wait()

    async with world(tmp_path) as w:
        await w.channel()
        await w.manager.register_activator(PROTOCOL, handler)
        await w.service.send(payload("A"))
        await seen.wait_for(1)
        await w.manager.unregister_all_activators()
        await seen.wait_for(2)
    assert seen.items == ["begun", CancellationReason.ABORT]
    assert await open_rows(tmp_path) == []


async def test_a_revoked_channel_is_told_and_replaced(tmp_path: Path) -> None:
    """The app hears which URI is void, and the new channel is already under way."""
    told = Gathered()
    async with world(tmp_path) as w:
        channel = await w.channel()
        w.manager.add_channel_revoked(told.add)
        await w.service.send(ChannelsRevoked(0, ("c1",)))
        await w.service.grant("c2")
        await told.wait_for(1)
        (revoked,) = told.items
        assert isinstance(revoked, tocsin.ChannelRevoked)
        assert revoked.uri == channel.uri
        result = await revoked.operation
        assert result.channel is not None
        assert result.channel.uri.endswith("c2")


async def test_registrations_outlive_the_process(tmp_path: Path) -> None:
    """A trigger of an earlier process may be registered again, with its conditions, but not with another CLSID."""
    manifest = tmp_path / "tocsin.toml"
    manifest.write_text('family_name = "Contoso.Mail"\n')
    clsid, other = UUID(int=1), UUID(int=2)
    trigger = PushNotificationActivationInfo(Activators.PUSH_TRIGGER, clsid)
    async with tocsin.embedded("contoso.mail", tmp_path / "s", "http://127.0.0.1:1", manifest=manifest) as manager:
        await manager.register_activator(trigger)
    async with tocsin.embedded("contoso.mail", tmp_path / "s", "http://127.0.0.1:1", manifest=manifest) as manager:
        with pytest.raises(tocsin.InvalidArgument, match="has different clsid registered"):
            await manager.register_activator(PushNotificationActivationInfo(Activators.PUSH_TRIGGER, other))
        await manager.register_activator(trigger)
        await manager.unregister_activator(Activators.PUSH_TRIGGER)
        await manager.register_activator(PushNotificationActivationInfo(Activators.PUSH_TRIGGER, other))
