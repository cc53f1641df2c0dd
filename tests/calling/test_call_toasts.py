"""Calls that ring as toasts: shown, answered, removed, and told of where they were missed."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import define

import tocsin
from tests.actors.shelling import PlayedDesktop
from tests.calling.standing_in import ANN, StandInClient, StandInRing, standing_in
from tests.world import Gathered
from tocsin.api.toast_notifier import ToastNotifier
from tocsin.calling.call_toasts import CallToasts
from tocsin.calling.options import AcceptCallOptions
from tocsin.protocol.calling.end_reason import ANSWERED_ELSEWHERE, CANCELLED, DECLINED, NOT_ANSWERED, CallEndReason
from tocsin.protocol.calling.push_outcome import PushOutcome
from tocsin.protocol.errors import CallEnded, IllegalCall, InvalidArgument, PlatformUnavailable, TimedOut
from tocsin.shell import Handle

CALL, OTHER = "0f8fad5b-d9cb-469f-a165-70867728950e", "7c9e6679-7425-40de-944b-e07fc1f90ae7"
MISSED = "You missed a call from Ann."


class WatchedDesktop(PlayedDesktop):
    """A desktop that tells when something on it changes."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = Gathered()

    async def show(self, popup: Any, replaces: Handle | None = None) -> Handle:
        """Show it."""
        handle = await super().show(popup, replaces)
        self.seen.add(popup.title)
        return handle

    async def close(self, handle: Handle) -> None:
        """Close it."""
        await super().close(handle)
        self.seen.add("")

    async def until(self, *titles: str) -> None:
        """Wait until these are on the screen, and no others."""
        await self.seen.wait_until(lambda: self.titles == list(titles))

    def press_button(self, label: str, title: str = "Ann is calling you.") -> None:
        """Press a button of what has this title."""
        for number, popup in self.popups.items():
            if popup.title == title:
                self.press(number, next(each.key for each in popup.buttons if each.label == label))
                return
        pytest.fail(f"{title} is not among {self.titles}")


@define
class Bell:
    """What a test sees of one process of a phone."""

    desktop: WatchedDesktop
    manager: tocsin.PushNotificationManager
    client: StandInClient
    toasts: CallToasts
    seen: Gathered

    async def kept(self) -> list[tuple[str, str]]:
        """Return group and tag of all toasts, in the order of their coming."""
        return [(each.group, each.tag) for each in await self.manager.toasts.get_all()]


@asynccontextmanager
async def phone(folder: Path, desktop: WatchedDesktop | None = None, **options: Any) -> AsyncIterator[Bell]:
    """Run a process of a phone, on a platform of its own."""
    screen = desktop or WatchedDesktop()
    seen = Gathered()
    async with (
        tocsin.embedded("contoso.phone", folder / "platform", "http://127.0.0.1:9", desktop=screen) as manager,
        standing_in(folder) as client,
    ):
        toasts = CallToasts(manager.toasts, client, **options)
        for event in (toasts.call_accepted, toasts.call_declined, toasts.call_opened, toasts.answer_failed):
            event.add(seen.add)
        async with toasts:
            yield Bell(screen, manager, client, toasts, seen)


@pytest.mark.parametrize(("video", "kind"), [(True, "Video"), (False, "Audio")])
async def test_a_call_that_rings_is_shown(tmp_path: Path, video: bool, kind: str) -> None:
    """With caller and kind, two buttons and its ring; it goes with the call, and with a restart of the machine."""
    async with phone(tmp_path) as bell:
        bell.client.make_agent().ring(CALL, video=video)
        await bell.desktop.until("Ann is calling you.")
        (popup,) = bell.desktop.popups.values()
        (kept,) = await bell.manager.toasts.get_all()
    assert popup.body == f"New Incoming {kind} Call"
    assert [each.label for each in popup.buttons] == ["Decline", "Accept"]
    assert popup.urgent
    assert (kept.group, kept.tag) == ("calls", CALL)
    assert kept.expires is not None
    assert 118 < (kept.expires - kept.shown).total_seconds() <= 120
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
    async with phone(tmp_path) as bell:
        ring = bell.client.make_agent().ring(CALL, "")
        await bell.desktop.until(f"{ANN} is calling you.")
        ring.rename("Ann")
        await bell.desktop.until("Ann is calling you.")
        assert await bell.kept() == [("calls", CALL)]


@pytest.mark.parametrize(
    ("reason", "left"),
    [
        (CANCELLED, [MISSED]),
        (NOT_ANSWERED, [MISSED]),
        (ANSWERED_ELSEWHERE, []),
        (DECLINED, []),
        (None, []),
    ],
)
async def test_the_toast_goes_when_the_call_rings_no_more(
    tmp_path: Path, reason: CallEndReason | None, left: list[str]
) -> None:
    """For whatever reason; one tells of it where it was missed, and never two."""
    async with phone(tmp_path) as bell:
        ring = bell.client.make_agent().ring(CALL)
        await bell.desktop.until("Ann is calling you.")
        ring.end(reason)
        if reason is not None:
            bell.client.tell_of_push(ring, reason, PushOutcome.STOPPED_RINGING)
        await bell.desktop.until(*left)
        await anyio.wait_all_tasks_blocked()
        assert await bell.kept() == [("missed-calls", f"missed-{CALL}")] * len(left)
    assert [popup.title for popup, _ in bell.desktop.asked] == ["Ann is calling you.", *left]
    assert bell.seen.items == []


async def test_several_calls_have_a_toast_each(tmp_path: Path) -> None:
    """An answer is about the call whose toast was clicked; the other rings on."""
    async with phone(tmp_path, accept_options=AcceptCallOptions(video=True)) as bell:
        agent = bell.client.make_agent()
        agent.ring(CALL)
        bob = agent.ring(OTHER, "Bob", video=True)
        await bell.desktop.until("Ann is calling you.", "Bob is calling you.")
        bell.desktop.press_button("Accept", "Bob is calling you.")
        await bell.seen.wait_for(1)
        (args,) = bell.seen.items
        assert args.call is bob.accepted  # type: ignore[attr-defined]  # of CallAcceptedEventArgs
        assert bob.accepted is not None
        assert bob.accepted.options == AcceptCallOptions(video=True)
        await bell.desktop.until("Ann is calling you.")
        bell.desktop.press_button("Decline")
        await bell.seen.wait_for(2)
        await bell.desktop.until()
        assert await bell.kept() == []


async def test_a_click_on_the_toast_itself_lets_it_ring_on(tmp_path: Path) -> None:
    """The app is told, and the toast comes back, since it is what the call is answered by."""
    async with phone(tmp_path) as bell:
        ring = bell.client.make_agent().ring(CALL)
        await bell.desktop.until("Ann is calling you.")
        bell.desktop.press(1)
        await bell.seen.wait_for(1)
        await bell.desktop.seen.wait_until(lambda: len(bell.desktop.asked) == 2)
        assert ring.is_ringing
        assert bell.seen.items[0].incoming_call is ring  # type: ignore[attr-defined]  # of CallOpenedEventArgs


async def test_a_click_may_come_before_the_agent_and_the_call(tmp_path: Path) -> None:
    """As in a process that the click has started: it waits for both, and then does what was asked for."""
    desktop = WatchedDesktop()
    async with phone(tmp_path, desktop) as first:
        first.client.make_agent().ring(CALL)
        await desktop.until("Ann is calling you.")
    async with phone(tmp_path, desktop) as bell:
        await desktop.until("Ann is calling you.")
        desktop.press_button("Accept")
        await desktop.until()
        ring = StandInRing(bell.client._handlers, CALL)
        agent = bell.client.make_agent(connected=False)
        await anyio.wait_all_tasks_blocked()
        agent.at_service[CALL] = ring
        agent.connect()
        await bell.seen.wait_for(1)
        assert bell.seen.items[0].call is ring.accepted  # type: ignore[attr-defined]  # of CallAcceptedEventArgs
        assert await bell.kept() == []


async def test_the_app_is_told_that_a_clicked_call_has_gone(tmp_path: Path) -> None:
    """With the reason; where it was missed a toast tells of it, too."""
    async with phone(tmp_path) as bell:
        agent = bell.client.make_agent()
        ring = agent.ring(CALL)
        await bell.desktop.until("Ann is calling you.")
        ring.failures = [CallEnded("the caller hung up", reason=(487, 0))]
        bell.desktop.press_button("Accept")
        await bell.seen.wait_for(1)
        (args,) = bell.seen.items
        assert (args.call_id, args.action, args.has_gone) == (CALL, "accept", True)  # type: ignore[attr-defined]
        ring.end(CANCELLED)
        await bell.desktop.until(MISSED)
        assert await bell.kept() == [("missed-calls", f"missed-{CALL}")]


async def test_an_answer_that_does_not_reach_the_service_can_be_given_again(tmp_path: Path) -> None:
    """The app is told, and the toast comes back."""
    async with phone(tmp_path) as bell:
        ring = bell.client.make_agent().ring(CALL)
        ring.failures = [PlatformUnavailable("there is no connection")]
        await bell.desktop.until("Ann is calling you.")
        bell.desktop.press_button("Accept")
        await bell.seen.wait_for(1)
        assert not bell.seen.items[0].has_gone  # type: ignore[attr-defined]  # of AnswerFailedEventArgs
        await bell.desktop.seen.wait_until(lambda: len(bell.desktop.asked) == 2)
        bell.desktop.press_button("Accept")
        await bell.seen.wait_for(2)
        assert ring.accepted is not None


async def test_a_click_waits_for_its_call_no_longer_than_it_may_ring(tmp_path: Path) -> None:
    """Then the app is told that the service could not be asked."""
    desktop = WatchedDesktop()
    async with phone(tmp_path, desktop) as first:
        first.client.make_agent().ring(CALL)
        await desktop.until("Ann is calling you.")
    async with phone(tmp_path, desktop, ring_time=timedelta(seconds=0.05)) as bell:
        await desktop.until("Ann is calling you.")
        desktop.press_button("Decline")
        await bell.seen.wait_for(1)
        assert isinstance(bell.seen.items[0].error, TimedOut)  # type: ignore[attr-defined]  # of AnswerFailedEventArgs


@pytest.mark.parametrize("reason", [CANCELLED, ANSWERED_ELSEWHERE, None])
async def test_stale_toasts_of_a_process_that_died_go_when_another_connects(
    tmp_path: Path, reason: CallEndReason | None
) -> None:
    """Where the service knows that the call was missed, one toast tells of it, with the caller of the toast that was left."""
    desktop = WatchedDesktop()
    async with phone(tmp_path, desktop) as first:
        agent = first.client.make_agent()
        agent.ring(CALL)
        agent.ring(OTHER, "Bob")
        await desktop.until("Ann is calling you.", "Bob is calling you.")
    async with phone(tmp_path, desktop) as bell:
        agent = bell.client.make_agent(connected=False)
        if reason is not None:
            agent.make(CALL).end(reason)
        agent.make(OTHER, "Bob")
        agent.connect()
        await desktop.until(*["Bob is calling you.", *[MISSED] * (reason is CANCELLED)])
        await bell.manager.toasts.remove_by_group("missed-calls")
    async with phone(tmp_path, desktop) as third:
        agent = third.client.make_agent()
        agent.make(OTHER, "Bob")
        third.client.tell_of_push(StandInRing(agent.handlers, CALL), reason, PushOutcome.ALREADY_ENDED)
        await anyio.wait_all_tasks_blocked()
    assert [popup.title for popup, _ in desktop.asked].count(MISSED) == (reason is CANCELLED)


async def test_a_push_tells_of_a_missed_call_that_another_process_has_shown(tmp_path: Path) -> None:
    """And no process tells of it again, also where the user has dismissed the toast meanwhile."""
    desktop = WatchedDesktop()
    async with phone(tmp_path, desktop) as bell:
        bell.client.tell_of_push(bell.client.make_agent().make(CALL), CANCELLED, PushOutcome.ALREADY_ENDED)
        await desktop.until(MISSED)
        await bell.manager.toasts.remove_all()
    async with phone(tmp_path, desktop) as bell:
        bell.client.tell_of_push(bell.client.make_agent().make(CALL), CANCELLED, PushOutcome.ALREADY_ENDED)
        await anyio.wait_all_tasks_blocked()  # its handler is called; what it has begun ends before the block is left
    assert [popup.title for popup, _ in desktop.asked] == [MISSED]


async def test_other_toasts_of_the_app_go_on_as_ever(tmp_path: Path) -> None:
    """Their clicks reach the handler that the app has for them, sync or async; a sender's toast in the group is no call."""
    clicked = Gathered()

    async def other(args: tocsin.ToastNotificationActivatedEventArgs) -> None:
        clicked.add((args.group, args.tag))

    async with phone(tmp_path, other_clicks=other) as bell:
        bell.client.make_agent()
        await bell.manager.toasts.show(tocsin.ToastContentBuilder().add_text("mail"), tag="m")
        forged = (
            tocsin.ToastContentBuilder().add_text("call").add_argument("action", "accept").add_argument("callId", CALL)
        )
        await bell.manager.toasts.show(forged, tag="x", group="calls")
        for number in (1, 2):
            bell.desktop.press(number)
        await clicked.wait_for(2)
        assert sorted(clicked.items, key=str) == [("", "m"), ("calls", "x")]
        assert bell.seen.items == []


async def test_where_toasts_cannot_be_shown_calls_ring_all_the_same(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The log says it once."""
    rung = Gathered()
    async with phone(tmp_path) as bell:
        bell.client.incoming_call_received.add(rung.add)
        await bell.manager.conditions.set_app(toasts=False)
        agent = bell.client.make_agent()
        agent.ring(CALL)
        agent.ring(OTHER)
        await rung.wait_for(2)
        await anyio.wait_all_tasks_blocked()
    said = [
        each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING and "toast" in each.getMessage()
    ]
    assert said[:1] == [
        "the toast of a call is not shown, and it rings all the same: the user has switched off toasts of this app"
    ]
    assert len([each for each in said if "more times" not in each]) == 1


async def test_a_call_that_ends_as_the_block_is_left_is_removed_all_the_same(tmp_path: Path) -> None:
    """And one that rings on keeps its toast, whose click starts the app again."""
    desktop = WatchedDesktop()
    async with phone(tmp_path, desktop) as bell:
        agent = bell.client.make_agent()
        ann = agent.ring(CALL)
        agent.ring(OTHER, "Bob")
        await desktop.until("Ann is calling you.", "Bob is calling you.")
        ann.end(CANCELLED)
    assert desktop.titles == ["Bob is calling you.", MISSED]


@pytest.mark.parametrize(
    "options", [{"accept_options": 7}, {"ring_time": 7}, {"ring_time": timedelta()}, {"other_clicks": 7}]
)
async def test_arguments_that_cannot_be_right_are_refused(tmp_path: Path, options: dict[str, Any]) -> None:
    """Before anything is shown."""
    async with standing_in(tmp_path) as client:
        with pytest.raises(InvalidArgument):
            CallToasts(ToastNotifier(None), client, **options)  # type: ignore[arg-type]  # it is not used


async def test_a_block_is_entered_once(tmp_path: Path) -> None:
    """And clicks are handled in it."""
    async with phone(tmp_path) as bell:
        with pytest.raises(IllegalCall, match="entered before"):
            await bell.toasts.__aenter__()
    click = tocsin.ToastNotificationActivatedEventArgs(
        f"action=accept;callId={CALL}", {}, tocsin.ToastActivationType.FOREGROUND, CALL, "calls", 1, 1
    )
    with pytest.raises(IllegalCall, match="in the block"):
        await bell.toasts.handle_click(click)
