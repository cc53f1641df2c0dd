"""D5 to D13: what the Windows App SDK promises, or its code implies, but its tests leave out."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.conformance.apps import (
    OTHER_CLSID,
    PACKAGED,
    UNPACKAGED,
    Kind,
    another_process,
    both_kinds,
    running,
)
from tests.conformance.cases import case
from tests.helpers import payload
from tests.world import Gathered, dead_rows, open_rows
from tocsin.api import session
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.protocol.errors import IllegalCall, InvalidArgument, NotFound
from tocsin.protocol.hresult import HResult
from tocsin.protocol.platform.activation import Activators, PushNotificationActivationInfo, SystemConditionType

Args = PushNotificationReceivedEventArgs
BODIES = [
    pytest.param(b"", id="empty"),
    pytest.param(b"\x00", id="zero"),
    pytest.param(b"\xff\xfe\xc3\x28", id="not UTF-8"),
    pytest.param(bytes(range(256)), id="all bytes"),
    pytest.param(b'"quoted" --and=spaced\r\n', id="shell"),
]


@case("D5")
@both_kinds
@pytest.mark.parametrize("handled", [True, False, None], ids=["true", "false", "not said"])
async def test_handled_decides_who_gets_the_payload(tmp_path: Path, kind: Kind, handled: bool | None) -> None:
    """With true it ends in the foreground; with false, which is the default, the background gets it as well."""
    foreground, background = Gathered(), Gathered()

    def handler(args: Args) -> None:
        if handled is not None:
            args.handled = handled
        foreground.add(args.id)

    async with running(tmp_path, kind) as w:
        channel = await w.channel()
        await w.manager.register_activator(kind.info(), lambda args: background.add(args.id))
        with channel.push_received(handler):
            await w.service.send(payload("A"))
            await foreground.wait_for(1)
            if not handled:
                await background.wait_for(1)
    assert foreground.items == ["A"]
    assert background.items == ([] if handled else ["A"])
    assert await open_rows(tmp_path) == []
    assert await dead_rows(tmp_path) == []


@case("D6")
@both_kinds
async def test_a_handler_whose_process_is_gone_is_passed_over(tmp_path: Path, kind: Kind) -> None:
    """When the process with the foreground handler has vanished without a word, the background gets the payload."""
    seen = Gathered()
    async with running(tmp_path, kind) as w, another_process(w, kind) as other:
        channel = await w.channel()
        channel.add_push_received(lambda _: seen.add("the dead"))
        await other.register_activator(kind.info(), lambda args: seen.add(args.id))
        w.platform.sessions.remove("contoso.mail/1")
        await w.service.send(payload("A"))
        await seen.wait_for(1)
    assert seen.items == ["A"]
    assert await open_rows(tmp_path) == []


@case("D6")
@both_kinds
async def test_a_payload_in_the_hands_of_a_process_that_ends_comes_again(
    tmp_path: Path, kind: Kind, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the process ends in the middle of its foreground handler, the background gets the payload once more."""
    monkeypatch.setattr(session, "CLOSE_GRACE", 0.0)
    begun, seen = anyio.Event(), Gathered()

    async def handler(_: Args) -> None:
        begun.set()
        await anyio.sleep_forever()

    async with running(tmp_path, kind) as w:
        await w.channel()
        await w.manager.register_activator(kind.info(), lambda args: seen.add((args.id, args.attempt)))
        async with another_process(w, kind) as other:
            operation = other.create_channel("f80e541e-3606-48fb-935e-118a3c5f41f5")
            await w.service.grant("c2")
            channel = (await operation).channel
            assert channel is not None
            channel.add_push_received(handler)
            await w.service.send(payload("A", channel="c2"))
            with anyio.fail_after(10):
                await begun.wait()
        await seen.wait_for(1)
    assert seen.items == [("A", 2)]
    assert await open_rows(tmp_path) == []


@case("D7")
@both_kinds
@pytest.mark.parametrize("activator", [*Activators], ids=lambda activator: activator.name)
async def test_unregistering_what_is_not_registered_raises(tmp_path: Path, kind: Kind, activator: Activators) -> None:
    """Each activator that this process has not registered is an ERROR_NOT_FOUND; none at all is no error."""
    async with running(tmp_path, kind) as w:
        await w.manager.unregister_activator(Activators.UNDEFINED)
        with pytest.raises(NotFound, match="not registered") as refused:
            await w.manager.unregister_activator(activator)
    assert refused.value.hresult == HResult.ERROR_NOT_FOUND


@case("D7")
async def test_what_comes_before_a_missing_activator_stays_unregistered(tmp_path: Path) -> None:
    """Flags are taken in their order, so that PushTrigger is gone when ComActivator is found missing."""
    trigger = PushNotificationActivationInfo(Activators.PUSH_TRIGGER, PACKAGED.clsid)
    async with running(tmp_path, PACKAGED) as w:
        await w.manager.register_activator(trigger)
        with pytest.raises(NotFound, match="ComActivator"):
            await w.manager.unregister_activator(PACKAGED.activators)
        with pytest.raises(NotFound, match="PushTrigger"):
            await w.manager.unregister_activator(Activators.PUSH_TRIGGER)


@case("D8")
async def test_a_trigger_with_another_clsid_raises(tmp_path: Path) -> None:
    """What an earlier process registered is E_INVALIDARG with another CLSID, and reused with its own."""
    async with running(tmp_path, PACKAGED) as w:
        await w.manager.register_activator(PACKAGED.info())
    async with running(tmp_path, PACKAGED) as w:
        with pytest.raises(InvalidArgument, match="has different clsid registered") as refused:
            await w.manager.register_activator(PACKAGED.info(OTHER_CLSID))
        await w.manager.register_activator(PACKAGED.info())
        with pytest.raises(InvalidArgument, match="already registered"):
            await w.manager.register_activator(PACKAGED.info())
        await w.manager.unregister_activator(PACKAGED.activators)
        await w.manager.register_activator(PACKAGED.info(OTHER_CLSID))
    assert refused.value.hresult == HResult.E_INVALIDARG


@case("D8")
async def test_a_reused_trigger_takes_the_new_conditions(tmp_path: Path) -> None:
    """What an earlier process registered with a condition wakes the app without it once it is registered anew."""
    seen = Gathered()
    info = PACKAGED.info()
    info.conditions = (SystemConditionType.USER_NOT_PRESENT,)
    async with running(tmp_path, PACKAGED) as w:
        await w.channel()
        await w.manager.register_activator(info)
    async with running(tmp_path, PACKAGED) as w:
        await w.manager.register_activator(PACKAGED.info(), lambda args: seen.add(args.id))
        await w.service.send(payload("A"))
        await seen.wait_for(1)
    assert seen.items == ["A"]


@case("D9")
async def test_a_trigger_outlives_the_process(tmp_path: Path) -> None:
    """After a restart a packaged app registers only its server, and the trigger of before wakes it."""
    seen = Gathered()
    server = PushNotificationActivationInfo(Activators.COM_ACTIVATOR, PACKAGED.clsid)
    async with running(tmp_path, PACKAGED) as w:
        await w.channel()
        await w.manager.register_activator(PACKAGED.info())
    async with running(tmp_path, PACKAGED) as w:
        await w.manager.register_activator(server, lambda args: seen.add(args.id))
        await w.service.send(payload("A"))
        await seen.wait_for(1)
    assert seen.items == ["A"]


@case("D9")
async def test_without_a_trigger_nobody_is_woken(tmp_path: Path) -> None:
    """A server alone gets nothing: what the foreground does not handle has ended."""
    foreground, background = Gathered(), Gathered()
    server = PushNotificationActivationInfo(Activators.COM_ACTIVATOR, PACKAGED.clsid)
    async with running(tmp_path, PACKAGED) as w:
        channel = await w.channel()
        await w.manager.register_activator(server, lambda args: background.add(args.id))
        with channel.push_received(lambda args: foreground.add(args.id)):
            await w.service.send(payload("A"), payload("B"))
            await foreground.wait_for(2)
    assert background.items == []
    assert ("A", "not_handled", "") in await dead_rows(tmp_path)


@case("D9")
@both_kinds
async def test_a_channel_outlives_the_process(tmp_path: Path, kind: Kind) -> None:
    """After a restart the channel of before takes payloads, and the app that registers again gets them."""
    seen = Gathered()
    async with running(tmp_path, kind) as w:
        await w.channel()
        await w.manager.register_activator(kind.info(), print)
    async with running(tmp_path, kind) as w:
        await w.service.send(payload("A"))
        await w.service.expect_acknowledged("A")
        await w.manager.register_activator(kind.info(), lambda args: seen.add(args.id))
        await seen.wait_for(1)
    assert seen.items == ["A"]


@case("D9")
@both_kinds
async def test_what_outlived_its_process_is_unregistered_as_a_whole_only(tmp_path: Path, kind: Kind) -> None:
    """It is not this process's to unregister one by one, but unregistering everything ends it for good."""
    async with running(tmp_path, kind) as w:
        await w.manager.register_activator(kind.info())
    async with running(tmp_path, kind) as w:
        with pytest.raises(NotFound):
            await w.manager.unregister_activator(kind.activators)
        await w.manager.unregister_all_activators()
    async with running(tmp_path, kind) as w:
        await w.manager.register_activator(kind.info(OTHER_CLSID))


@case("D11")
@both_kinds
async def test_background_work_has_no_say_in_handled(tmp_path: Path, kind: Kind) -> None:
    """Reading or setting it there raises E_ILLEGAL_METHOD_CALL."""
    seen = Gathered()

    def handler(args: Args) -> None:
        for call in (lambda: args.handled, lambda: setattr(args, "handled", True)):
            with pytest.raises(IllegalCall, match="Background activation cannot call this") as refused:
                call()
            seen.add(refused.value.hresult)

    async with running(tmp_path, kind) as w:
        await w.channel()
        await w.manager.register_activator(kind.info(), handler)
        await w.service.send(payload("A"))
        await seen.wait_for(2)
    assert seen.items == [HResult.E_ILLEGAL_METHOD_CALL] * 2
    assert await dead_rows(tmp_path) == []


@case("D12")
@both_kinds
@pytest.mark.parametrize("body", BODIES)
async def test_any_bytes_arrive_as_they_were_sent(tmp_path: Path, kind: Kind, body: bytes) -> None:
    """Foreground and background get the same bytes, whether they are text, none at all, or neither."""
    seen = Gathered()
    async with running(tmp_path, kind) as w:
        channel = await w.channel()
        await w.manager.register_activator(kind.info(), lambda args: seen.add(("background", args.payload)))
        with channel.push_received(lambda args: seen.add(("foreground", args.payload))):
            await w.service.send(payload("A", body))
            await seen.wait_for(2)
    assert seen.items == [("foreground", body), ("background", body)]


@case("D12")
async def test_text_that_is_no_utf8_is_kept_over_a_restart(tmp_path: Path) -> None:
    """Bytes come out of the inbox as they went in."""
    seen = Gathered()
    body = bytes(range(255, -1, -1))
    async with running(tmp_path, UNPACKAGED) as w:
        await w.channel()
        await w.service.send(payload("A", body), payload("B", b""))
        await w.service.expect_acknowledged("A", "B")
    async with running(tmp_path, UNPACKAGED) as w:
        await w.manager.register_activator(UNPACKAGED.info(), lambda args: seen.add(args.payload))
        await seen.wait_for(2)
    assert seen.items == [body, b""]
