"""Calls that ring as toasts: shown, answered, removed, and told of where they were missed."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest

import tocsin
from tests.api.shell_port import app_of
from tests.calling.answering import OTHER, AnsweringService, agent_of, client_of
from tests.calling.phones import MISSED, RINGS_ON, WatchedDesktop, phone
from tests.calling.playing import ANN, CALL, push
from tests.world import Gathered
from tocsin.api.toast_notifier import ToastNotifier
from tocsin.calling import (
    AcceptCallOptions,
    AnswerFailedEventArgs,
    CallAcceptedEventArgs,
    CallDeclinedEventArgs,
    CallEndReason,
    CallOpenedEventArgs,
    CallState,
    CallToasts,
    PushOutcome,
)
from tocsin.calling.call_toast_content import ShownCall
from tocsin.protocol import messages as m
from tocsin.protocol.calling.end_reason import ANSWERED_ELSEWHERE, CANCELLED, DECLINED, NOT_ANSWERED
from tocsin.protocol.errors import Busy, CallEnded, IllegalCall, InvalidArgument, TimedOut
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages.calling import AcceptCall, CallRefused
from tocsin.shell.desktop import DesktopError, DesktopFull, DesktopRefused

BOB_RINGS = "Bob is calling you."


def click(action: str, group: str = "calls") -> tocsin.ToastNotificationActivatedEventArgs:
    """Make a click on the toast of a call."""
    argument, kind = f"action={action};callId={CALL}", tocsin.ToastActivationType.FOREGROUND
    return tocsin.ToastNotificationActivatedEventArgs(argument, {}, kind, CALL, group, 1, 1)


@contextmanager
def logged(name: str) -> Iterator[Gathered]:
    """Gather what is logged while the block runs."""
    said, handler = Gathered(), logging.Handler()
    handler.emit = lambda record: said.add(record.getMessage())  # type: ignore[method-assign]  # it is all that it does
    logging.getLogger(name).addHandler(handler)
    try:
        yield said
    finally:
        logging.getLogger(name).removeHandler(handler)


@pytest.mark.parametrize(("video", "kind"), [(True, "Video"), (False, "Audio")])
async def test_a_call_that_rings_is_shown(tmp_path: Path, video: bool, kind: str) -> None:
    """With caller and kind, two buttons and its ring; it goes with the call, and with a restart of the machine."""
    async with phone(tmp_path) as p:
        await p.agent()
        await p.service.ring(video=video)
        await p.desktop.until(RINGS_ON)
        (popup,) = p.desktop.popups.values()
        (kept,) = await p.manager.toasts.get_all()
    assert popup.body == f"New Incoming {kind} Call"
    assert [each.label for each in popup.buttons] == ["Decline", "Accept"]
    assert popup.urgent
    assert (kept.group, kept.tag) == ("calls", CALL)
    assert kept.expires is not None
    assert 110 < (kept.expires - kept.shown).total_seconds() <= 120
    assert kept.content == (
        f'<toast launch="action=open;callId={CALL}" scenario="incomingCall" useButtonStyle="true">'
        '<visual><binding template="ToastGeneric"><text hint-callScenarioCenterAlign="true">Ann is calling you.</text>'
        f"<text>New Incoming {kind} Call</text></binding></visual>"
        '<audio src="ms-winsoundevent:Notification.Looping.Call" loop="true"/>'
        f'<actions><action content="Decline" arguments="action=decline;callId={CALL}" hint-buttonStyle="Critical"/>'
        f'<action content="Accept" arguments="action=accept;callId={CALL}" hint-buttonStyle="Success"/></actions></toast>'
    )


async def test_a_caller_without_a_name_has_the_raw_id(tmp_path: Path) -> None:
    """Until a name becomes known: then the same toast has it."""
    async with phone(tmp_path) as p:
        await p.agent()
        await p.service.ring(name="")
        await p.desktop.until(f"{ANN} is calling you.")
        await p.service.rename("Ann")
        await p.desktop.until(RINGS_ON)
        assert await p.kept() == [("calls", CALL)]


@pytest.mark.parametrize(
    ("reason", "left"), [(CANCELLED, [MISSED]), (NOT_ANSWERED, [MISSED]), (ANSWERED_ELSEWHERE, []), (DECLINED, [])]
)
async def test_the_toast_goes_when_the_call_rings_no_more(
    tmp_path: Path, reason: CallEndReason, left: list[str]
) -> None:
    """For whatever reason; one tells of it where it was missed, and never two."""
    async with phone(tmp_path) as p:
        await p.agent()
        await p.service.ring()
        await p.desktop.until(RINGS_ON)
        await p.service.end(reason)
        await p.desktop.until(*left)
        outcome = await p.client.handle_push_notification(push(110))
        assert outcome in {PushOutcome.ALREADY_ENDED, PushOutcome.ANSWERED_ELSEWHERE}
        await anyio.wait_all_tasks_blocked()
        assert await p.kept() == [("missed-calls", f"missed-{CALL}")] * len(left)
    assert [popup.title for popup, _ in p.desktop.asked] == [RINGS_ON, *left]
    assert p.told.items == []


async def test_several_calls_have_a_toast_each(tmp_path: Path) -> None:
    """An answer is about the call whose toast was clicked; the other rings on."""
    async with phone(tmp_path, accept_options=AcceptCallOptions(video=True)) as p:
        await p.agent()
        await p.service.ring()
        await p.service.ring(OTHER, "Bob", video=True)
        await p.desktop.until(RINGS_ON, BOB_RINGS)
        p.desktop.click("Accept", BOB_RINGS)
        await p.told.wait_for(1)
        (args,) = p.told.items
        assert isinstance(args, CallAcceptedEventArgs)
        assert (args.call.id, args.call.state) in {(OTHER, CallState.CONNECTING), (OTHER, CallState.CONNECTED)}
        assert args.incoming_call.caller_info.shown == "Bob"
        (asked,) = p.service.about(AcceptCall)
        assert isinstance(asked, AcceptCall)
        assert (asked.call, asked.video) == (OTHER, True)
        await p.desktop.until(RINGS_ON)
        p.desktop.click("Decline")
        await p.told.wait_for(2)
        assert isinstance(p.told.items[1], CallDeclinedEventArgs)
        await p.desktop.until()
        assert await p.kept() == []


async def test_what_the_app_does_itself_stops_the_bell_too(tmp_path: Path) -> None:
    """An answer in a window of the app needs no toast any more, and is no missed call."""
    async with phone(tmp_path) as p:
        agent = await p.agent()
        await p.service.ring()
        await p.service.ring(OTHER, "Bob")
        await p.desktop.until(RINGS_ON, BOB_RINGS)
        ann, bob = agent.incoming_calls
        await ann.accept()
        await p.desktop.until(BOB_RINGS)
        await bob.reject()
        await p.desktop.until()
    assert p.told.items == []


async def test_a_click_on_the_toast_itself_lets_it_ring_on(tmp_path: Path) -> None:
    """The app is told, and the toast comes back, since it is what the call is answered by."""
    async with phone(tmp_path) as p:
        await p.agent()
        await p.service.ring()
        await p.desktop.until(RINGS_ON)
        p.desktop.click()
        await p.told.wait_for(1)
        (args,) = p.told.items
        assert isinstance(args, CallOpenedEventArgs)
        await p.desktop.until_asked(2)
        await p.desktop.until(RINGS_ON)
        assert args.incoming_call.is_ringing
        p.desktop.click("Accept")
        await p.told.wait_for(2)


async def test_a_click_may_come_before_the_agent_and_the_call(tmp_path: Path) -> None:
    """As in a process that the click has started: it waits for both, and then does what was asked for."""
    desktop, service = WatchedDesktop(), AnsweringService()
    async with phone(tmp_path, desktop, service) as p:
        await p.agent()
        await service.ring()
        await desktop.until(RINGS_ON)
    async with phone(tmp_path, desktop, service) as p:
        await desktop.until(RINGS_ON)
        desktop.click("Accept")
        await desktop.until()
        await p.agent()
        await p.told.wait_for(1)
        assert isinstance(p.told.items[0], CallAcceptedEventArgs)
        assert await p.kept() == []


async def test_a_program_may_have_its_clicks_itself(tmp_path: Path) -> None:
    """As by get_activated_event_args; a second click on the same call while the first is under way changes nothing."""
    async with phone(tmp_path) as p, anyio.create_task_group() as tasks:
        p.service.know()
        tasks.start_soon(p.bell.handle_click, click("decline"))
        await anyio.wait_all_tasks_blocked()
        assert p.bell.is_answering
        assert await p.bell.handle_click(click("accept"))
        assert not await p.bell.handle_click(click("accept", group="mail"))
        await p.agent()
        await p.told.wait_for(1)
        assert isinstance(p.told.items[0], CallDeclinedEventArgs)
    assert not p.bell.is_answering
    assert p.service.about(AcceptCall) == []


async def test_of_two_answers_in_the_same_moment_the_first_counts(tmp_path: Path) -> None:
    """Before anything of it was done."""
    async with phone(tmp_path) as p:
        await p.agent()
        p.service.know()
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(p.bell.handle_click, click("accept"))
            tasks.start_soon(p.bell.handle_click, click("decline"))
        await p.told.wait_for(1)
    assert [type(each) for each in p.told.items] == [CallAcceptedEventArgs]


async def test_a_call_can_be_answered_while_a_click_on_its_toast_waits(tmp_path: Path) -> None:
    """The click has started the app, which is not connected yet, when the user presses a button."""
    async with phone(tmp_path) as p, anyio.create_task_group() as tasks:
        p.service.know()
        tasks.start_soon(p.bell.handle_click, click("open"))
        await anyio.wait_all_tasks_blocked()
        tasks.start_soon(p.bell.handle_click, click("accept"))
        await anyio.wait_all_tasks_blocked()
        await p.agent()
        await p.told.wait_until(lambda: any(isinstance(each, CallAcceptedEventArgs) for each in p.told.items))


async def test_a_click_waits_for_the_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The call rings here, but the service cannot be asked just now: it is as soon as it can."""
    monkeypatch.setattr("tocsin.calling.call_toasts.PAUSE", 0.01)
    async with phone(tmp_path) as p:
        agent = await p.agent()
        await p.service.ring()
        await p.desktop.until(RINGS_ON)
        lost = Gathered()
        agent.connection_state_changed.add(lost.add)
        p.service.reachable = False
        await p.service.cut()
        await lost.wait_for(1)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(p.bell.handle_click, click("accept"))
            await anyio.wait_all_tasks_blocked()
            assert p.bell.is_answering
            p.service.reachable = True
        await p.told.wait_for(1)
        assert isinstance(p.told.items[0], CallAcceptedEventArgs)


async def test_a_click_waits_for_its_call_no_longer_than_it_may_ring(tmp_path: Path) -> None:
    """Then the app is told that the service could not be asked."""
    desktop, service = WatchedDesktop(), AnsweringService()
    async with phone(tmp_path, desktop, service) as p:
        await p.agent()
        await service.ring()
        await desktop.until(RINGS_ON)
    async with phone(tmp_path, desktop, service, ring_time=timedelta(seconds=0.05)) as p:
        await desktop.until(RINGS_ON)
        desktop.click("Decline")
        await p.told.wait_for(1)
        (args,) = p.told.items
        assert isinstance(args, AnswerFailedEventArgs)
        assert isinstance(args.error, TimedOut)
        assert not args.has_gone


async def test_the_app_is_told_that_a_clicked_call_has_gone(tmp_path: Path) -> None:
    """With the reason; where it was missed a toast tells of it, too, and names the caller."""
    desktop, service = WatchedDesktop(), AnsweringService()
    async with phone(tmp_path, desktop, service) as p:
        await p.agent()
        await service.ring()
        await desktop.until(RINGS_ON)
    async with phone(tmp_path, desktop, service) as p:
        await desktop.until(RINGS_ON)
        desktop.click("Accept")
        await desktop.until()
        await service.end(CANCELLED)
        await p.agent()
        await p.told.wait_for(1)
        (args,) = p.told.items
        assert isinstance(args, AnswerFailedEventArgs)
        assert isinstance(args.error, CallEnded)
        assert "hung up before" in str(args.error)
        assert (args.call_id, args.action, args.has_gone) == (CALL, "accept", True)
        await desktop.until(MISSED)


async def test_the_app_is_told_why_an_answer_came_to_nothing(tmp_path: Path) -> None:
    """Also where the service refuses it."""
    async with phone(tmp_path) as p:
        await p.agent()
        await p.service.ring()
        p.service.refusals[AcceptCall] = [CallRefused(0, "Busy", "too many at once", 0)]
        await p.desktop.until(RINGS_ON)
        p.desktop.click("Accept")
        await p.told.wait_for(1)
        (args,) = p.told.items
        assert isinstance(args, AnswerFailedEventArgs)
        assert isinstance(args.error, Busy)
        assert not args.has_gone


@pytest.mark.parametrize("reason", [CANCELLED, ANSWERED_ELSEWHERE, None])
async def test_stale_toasts_of_a_process_that_died_go_when_another_connects(
    tmp_path: Path, reason: CallEndReason | None
) -> None:
    """Where the service knows that the call was missed, one toast tells of it; the others ring on."""
    desktop, service = WatchedDesktop(), AnsweringService()
    left = [BOB_RINGS, *[MISSED] * (reason is CANCELLED)]
    async with phone(tmp_path, desktop, service) as p:
        await p.agent()
        await service.ring()
        await service.ring(OTHER, "Bob")
        await desktop.until(RINGS_ON, BOB_RINGS)
    if reason is None:
        del service.calls[CALL]
    else:
        await service.end(reason)
    async with phone(tmp_path, desktop, service) as p:
        await p.agent()
        await desktop.until(*left)
        await p.manager.toasts.remove_by_group("missed-calls")
    before = desktop.shown(MISSED)
    async with phone(tmp_path, desktop, service) as p:
        await p.agent()
        await p.client.handle_push_notification(push(110))
        await anyio.wait_all_tasks_blocked()
    assert desktop.shown(MISSED) == before == (reason is CANCELLED)


async def test_a_push_tells_of_a_missed_call_that_another_process_has_shown(tmp_path: Path) -> None:
    """And no process tells of it again, also where the user has dismissed the toast meanwhile."""
    desktop, service = WatchedDesktop(), AnsweringService()
    service.know()
    await service.end(CANCELLED)
    async with phone(tmp_path, desktop, service) as p:
        assert await p.client.handle_push_notification(push()) is PushOutcome.KEPT
        await p.agent()
        await desktop.until(MISSED)
        await p.manager.toasts.remove_all()
    async with phone(tmp_path, desktop, service) as p:
        await p.agent()
        assert await p.client.handle_push_notification(push(110)) is PushOutcome.ALREADY_ENDED
        await anyio.wait_all_tasks_blocked()  # its handler is called; what it has begun ends before the block is left
    assert desktop.shown(MISSED) == 1


async def test_a_toast_that_is_of_no_call_is_removed(tmp_path: Path) -> None:
    """As one that another program of the user has made up; those of other groups stay."""
    call = "x" * 300
    shown = ShownCall(call, "Ann", video=False)
    async with phone(tmp_path) as p:
        await p.manager.toasts.show(shown.ring(), tag=shown.tag, group="calls")
        await p.manager.toasts.show(shown.ring(), tag=shown.tag, group="mail")
        await p.manager.toasts.show(tocsin.ToastContentBuilder().add_text("call"), tag="x", group="calls")
        await p.agent()
        await p.desktop.seen.wait_until(lambda: len(p.desktop.titles) == 2)
        assert await p.kept() == [("mail", shown.tag), ("calls", "x")]


async def test_other_toasts_of_the_app_go_on_as_ever(tmp_path: Path) -> None:
    """Their clicks reach the handler that the app has for them, sync or async; a sender's toast in the group is no call."""
    clicked = Gathered()

    async def other(args: tocsin.ToastNotificationActivatedEventArgs) -> None:
        clicked.add((args.group, args.tag))

    async with phone(tmp_path, other_clicks=other) as p:
        await p.agent()
        await p.manager.toasts.show(tocsin.ToastContentBuilder().add_text("mail"), tag="m")
        forged = tocsin.ToastContentBuilder().add_text("call").add_argument("action", "accept")
        await p.manager.toasts.show(forged.add_argument("callId", CALL), tag="x", group="calls")
        for number in (1, 2):
            p.desktop.press(number)
        await clicked.wait_for(2)
        assert sorted(clicked.items, key=str) == [("", "m"), ("calls", "x")]
        assert p.told.items == []


async def test_where_toasts_cannot_be_shown_calls_ring_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says it once, and later how often it came again."""
    rung = Gathered()
    async with phone(tmp_path) as p:
        p.client.incoming_call_received.add(rung.add)
        await p.manager.conditions.set_app(toasts=False)
        await p.agent()
        await p.service.ring()
        await p.service.ring(OTHER)
        await rung.wait_for(2)
        await anyio.wait_all_tasks_blocked()
    said = [each.getMessage() for each in caplog.records if each.name.startswith("tocsin.calling")]
    why = "the toast of a call is not shown, and it rings all the same: the user has switched off toasts of this app"
    assert [each for each in said if "more times" not in each] == [why]


async def test_the_bell_stops_when_the_app_has_answered(tmp_path: Path) -> None:
    """Not only when the service has agreed, which may take its time."""
    async with phone(tmp_path) as p, anyio.create_task_group() as tasks:
        agent = await p.agent()
        await p.service.ring()
        await p.desktop.until(RINGS_ON)
        p.service.silent = True
        tasks.start_soon(agent.incoming_calls[0].accept)
        await p.desktop.until()
        assert agent.incoming_calls
        tasks.cancel_scope.cancel()


@pytest.mark.parametrize("error", [DesktopRefused("no"), DesktopFull("no room")])
async def test_a_desktop_that_does_not_show_a_call_keeps_it_from_nothing_else(
    tmp_path: Path, error: DesktopError
) -> None:
    """It rings as an event, and can be answered by the app; the log says why it is not seen."""
    async with phone(tmp_path) as p:
        agent = await p.agent()
        p.desktop.failures = [error] * 4
        with logged("tocsin.calling") as said:
            await p.service.ring()
            await said.wait_for(1)
            await agent.incoming_calls[0].accept()
    (line,) = said.items
    assert str(line).startswith("the toast of a call is not shown, and it rings all the same: ")


async def test_a_platform_that_shows_nothing_is_said_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Calls ring as events."""

    def refuse(message: m.Message) -> m.Failed:
        return m.Failed(message.request, "NotSupported", "no toasts here", HResult.ERROR_NOT_SUPPORTED)  # type: ignore[attr-defined]  # of a question

    rung, service = Gathered(), AnsweringService()
    async with app_of(refuse) as (manager, _), client_of(service, tmp_path) as client:
        client.incoming_call_received.add(rung.add)
        async with CallToasts(manager.toasts, client):
            await agent_of(client)
            for call in (CALL, OTHER):
                await service.ring(call)
            await rung.wait_for(2)
            await service.end(CANCELLED)
            await anyio.wait_all_tasks_blocked()
    said = [each.getMessage() for each in caplog.records if each.name.startswith("tocsin.calling")]
    assert sorted(each.partition(":")[0] for each in said if "more times" not in each) == [
        "calls cannot be answered by their toasts",
        "no toast tells of a missed call",
        "the toast of a call is not shown, and it rings all the same",
        "the toast of a call that rings no more is not removed",
        "what toasts there are is not known",
    ]


async def test_a_desktop_that_does_not_answer_holds_up_leaving_for_a_moment_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then what is not shown, or not removed, is left as it is."""
    monkeypatch.setattr("tocsin.calling.shown_rings.LEAVING", 0.05)
    async with phone(tmp_path) as p:
        agent = await p.agent()
        p.desktop.delay = 3.0  # the shell waits for 5 s
        await p.service.ring()
        await p.desktop.seen.wait_until(lambda: p.desktop.asked != [])
        ann = agent.incoming_calls[0]
        await p.service.end(CANCELLED)
        await ann.wait_until_ended()
        began = anyio.current_time()
        await p.bell.__aexit__(None, None, None)
        assert anyio.current_time() - began < 2.0
        p.desktop.delay = 0.0


async def test_a_call_that_ends_as_the_block_is_left_is_removed_all_the_same(tmp_path: Path) -> None:
    """And one that rings on keeps its toast, whose click starts the app again."""
    async with phone(tmp_path) as p:
        agent = await p.agent()
        await p.service.ring()
        await p.service.ring(OTHER, "Bob")
        await p.desktop.until(RINGS_ON, BOB_RINGS)
        ann = agent.incoming_calls[0]
        await p.service.end(CANCELLED)
        await ann.wait_until_ended()
    assert p.desktop.titles == [BOB_RINGS, MISSED]


@pytest.mark.parametrize(
    "options", [{"accept_options": 7}, {"ring_time": 7}, {"ring_time": timedelta()}, {"other_clicks": 7}]
)
async def test_arguments_that_cannot_be_right_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    """Before anything is shown."""
    async with client_of(AnsweringService(), tmp_path) as client:
        with pytest.raises(InvalidArgument):
            CallToasts(ToastNotifier(None), client, **options)  # type: ignore[arg-type]  # it is not used


async def test_a_block_is_entered_once(tmp_path: Path) -> None:
    """And clicks are handled in it."""
    async with phone(tmp_path) as p:
        with pytest.raises(IllegalCall, match="entered before"):
            await p.bell.__aenter__()
    with pytest.raises(IllegalCall, match="in the block"):
        await p.bell.handle_click(click("accept"))
