"""An app's toasts: what is asked of the shell, what its answers mean, and what is refused before it is asked."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import anyio
import pytest
import trio.testing

from tests.api.shell_port import app_of, done
from tests.world import Gathered
from tocsin.api.identity import Identity
from tocsin.api.manager import PushNotificationManager
from tocsin.api.questions import ASK_TIMEOUT
from tocsin.api.toast_activated import ToastNotificationActivatedEventArgs
from tocsin.api.toast_notifier import (
    MAX_EXPIRES,
    AppNotificationProgressResult,
    AppNotificationSetting,
    KeptToast,
    ToastDismissedEventArgs,
    ToastNotifier,
)
from tocsin.protocol import messages as m
from tocsin.protocol.errors import (
    InvalidArgument,
    NotShown,
    NotSupported,
    PlatformUnavailable,
    ProtocolViolation,
    TimedOut,
)
from tocsin.protocol.hresult import HResult
from tocsin.protocol.platform.command import Command
from tocsin.protocol.platform.conditions import AppSettings, HostState
from tocsin.protocol.toasts.notifier import ShownToast, ToastData
from tocsin.protocol.values import (
    MAX_SEQUENCE_NUMBER,
    MAX_TOAST_DATA,
    MAX_TOAST_LABEL,
    MAX_TOAST_LENGTH,
    MAX_TOAST_SIZE,
    Outcome,
)


@pytest.fixture
def anyio_backend() -> tuple[str, dict[str, object]]:
    """Run on virtual time."""
    return "trio", {"clock": trio.testing.MockClock(autojump_threshold=0)}


TOAST = "<toast><visual><binding template='ToastGeneric'><text>Hello</text></binding></visual></toast>"
LONG = "x" * (MAX_TOAST_LABEL + 1)


class Written:
    """What can say itself in XML."""

    def get_xml(self) -> str:
        """Return the toast."""
        return TOAST


def shown(message: m.Message) -> m.Message | None:
    """Answer as a shell that shows what it gets, as number 7."""
    return m.ToastShown(message.request, 7, Outcome.SHOWN, "") if isinstance(message, m.ShowToast) else None


def nothing(_message: m.Message) -> None:
    """Answer nothing."""


@pytest.mark.parametrize("content", [TOAST, TOAST.encode(), Written()])
async def test_a_toast_is_shown_when_the_shell_has_answered(content: Any) -> None:
    """As XML, in text or in bytes, or by what can say itself in XML; the least that can be said of it is nothing."""
    async with app_of(shown) as (manager, port):
        assert await manager.toasts.show(content) == ShownToast(7, Outcome.SHOWN)
    asked = port.asked[0]
    assert isinstance(asked, m.ShowToast)
    assert (asked.content, asked.tag, asked.group, asked.expires) == (TOAST.encode(), "", "", None)
    assert (asked.suppress_display, asked.expires_on_reboot, asked.sequence_number, asked.data) == (False, False, 0, ())


async def test_what_is_said_of_a_toast_reaches_the_shell() -> None:
    """All of it, and what the shell has done comes back with the reason."""

    def suppress(message: m.Message) -> m.Message | None:
        held = "it is quiet hours"
        return m.ToastShown(message.request, 8, Outcome.SUPPRESSED, held) if isinstance(message, m.ShowToast) else None

    async with app_of(suppress) as (manager, port):
        toast = await manager.toasts.show(
            TOAST,
            tag="t" * MAX_TOAST_LABEL,
            group="g",
            expires=timedelta(minutes=2),
            suppress_display=True,
            expires_on_reboot=True,
            data=ToastData({"progress": "0.5"}, 3),
        )
        await manager.toasts.show(TOAST, data={"a": ""})
    assert toast == ShownToast(8, Outcome.SUPPRESSED, "it is quiet hours")
    first, second = port.asked[:2]
    assert isinstance(first, m.ShowToast)
    assert isinstance(second, m.ShowToast)
    assert (first.tag, first.group, first.expires) == ("t" * MAX_TOAST_LABEL, "g", 120.0)
    assert (first.suppress_display, first.expires_on_reboot, first.sequence_number) == (True, True, 3)
    assert first.data == (m.TextPair("progress", "0.5"),)
    assert (second.sequence_number, second.data) == (0, (m.TextPair("a", ""),))
    assert first.request != second.request


@pytest.mark.parametrize(
    ("content", "wanted", "words"),
    [
        ("", {}, "content must not be empty"),
        (7, {}, r"content is XML, or has get_xml\(\)"),
        (b"\xff", {}, "UTF-8"),
        ("\ud800", {}, "UTF-8"),
        ("x" * (MAX_TOAST_LENGTH + 1), {}, "at most 5120 characters, not 5121"),
        ("\U0001f600" * 4097, {}, f"at most {MAX_TOAST_SIZE} bytes, not {4 * 4097}"),
        (TOAST, {"tag": LONG}, "a tag has at most 64 printable characters"),
        (TOAST, {"tag": "two\nlines"}, "a tag has at most 64 printable characters"),
        (TOAST, {"tag": None}, "a tag must be text"),
        (TOAST, {"group": LONG}, "a group has at most 64 printable characters"),
        (TOAST, {"expires": timedelta()}, "expires is above 0 and up to 3650 days"),
        (TOAST, {"expires": MAX_EXPIRES + timedelta(seconds=1)}, "expires is above 0 and up to 3650 days"),
        (TOAST, {"expires": 60}, "expires must be timedelta or None, not int"),
        (TOAST, {"suppress_display": 1}, "suppress_display must be True or False"),
        (TOAST, {"expires_on_reboot": None}, "expires_on_reboot must be True or False"),
        (TOAST, {"data": [("a", "b")]}, "the values of a toast must be Mapping, not list"),
        (TOAST, {"data": {"a": 1}}, "a value of a toast must be text, not int"),
        (TOAST, {"data": {"": "b"}}, "the name of a value of a toast must not be empty"),
        (TOAST, {"data": {str(n): "" for n in range(MAX_TOAST_DATA + 1)}}, "64 values at most, not 65"),
        (
            TOAST,
            {"data": {"a": "b" * MAX_TOAST_SIZE}},
            "the values of a toast have at most 16384 characters, not 16385",
        ),
    ],
)
async def test_what_cannot_be_right_is_refused(content: Any, wanted: dict[str, Any], words: str) -> None:
    """Before the shell is asked, with E_INVALIDARG."""
    async with app_of(shown) as (manager, port):
        with pytest.raises(InvalidArgument, match=words) as refused:
            await manager.toasts.show(content, **wanted)
        assert refused.value.hresult == HResult.E_INVALIDARG
        assert port.asked == []


@pytest.mark.parametrize("number", [-1, MAX_SEQUENCE_NUMBER + 1, 1.0, True])
def test_a_sequence_number_has_limits(number: Any) -> None:
    """Those of Windows."""
    with pytest.raises(InvalidArgument, match="a sequence number must be"):
        ToastData({}, number)


async def test_an_update_tells_whether_there_was_a_toast() -> None:
    """Values come as a mapping or as data with their number."""
    found = True

    def answer(message: m.Message) -> m.Message | None:
        return m.ToastUpdated(message.request, found) if isinstance(message, m.UpdateToast) else None

    async with app_of(answer) as (manager, port):
        assert await manager.toasts.update({"a": "b"}, "t", "g", 2) is AppNotificationProgressResult.SUCCEEDED
        found = False
        assert await manager.toasts.update(ToastData({}, 5), "t") is AppNotificationProgressResult.NOT_FOUND
        for tag in ("", LONG):
            with pytest.raises(InvalidArgument):
                await manager.toasts.update({}, tag)
        assert port.asked == [
            m.UpdateToast(1, "t", "g", 2, (m.TextPair("a", "b"),)),
            m.UpdateToast(2, "t", "", 5, ()),
        ]


async def test_all_toasts_are_listed_with_their_times() -> None:
    """In UTC; one that does not expire says so."""
    rows = (m.ToastRow(1, "t", "g", TOAST.encode(), 0.0, 60.0), m.ToastRow(2, "", "", b"<toast/>", 1.5, None))

    def answer(message: m.Message) -> m.Message | None:
        return m.ToastList(message.request, rows) if isinstance(message, m.ListToasts) else None

    start = datetime(1970, 1, 1, tzinfo=UTC)
    async with app_of(answer) as (manager, _):
        assert await manager.toasts.get_all() == [
            KeptToast(1, "t", "g", TOAST, start, start + timedelta(seconds=60)),
            KeptToast(2, "", "", "<toast/>", start + timedelta(seconds=1.5), None),
        ]


async def test_toasts_are_removed_by_what_names_them() -> None:
    """By id, tag, group, both, or all; the shell does it and answers, whether there were any or not."""
    async with app_of(done) as (manager, port):
        await manager.toasts.remove_by_id(7)
        await manager.toasts.remove_by_tag("t")
        await manager.toasts.remove_by_tag_and_group("t", "g")
        await manager.toasts.remove_by_group("g")
        await manager.toasts.remove_all()
        assert port.asked == [
            m.RemoveToasts(1, 7, None, None),
            m.RemoveToasts(2, None, "t", None),
            m.RemoveToasts(3, None, "t", "g"),
            m.RemoveToasts(4, None, None, "g"),
            m.RemoveToasts(5, None, None, None),
        ]


@pytest.mark.parametrize(
    "remove",
    [
        lambda toasts: toasts.remove_by_id(0),
        lambda toasts: toasts.remove_by_id("7"),
        lambda toasts: toasts.remove_by_tag(""),
        lambda toasts: toasts.remove_by_tag(LONG),
        lambda toasts: toasts.remove_by_tag_and_group("", "g"),
        lambda toasts: toasts.remove_by_tag_and_group("t", ""),
        lambda toasts: toasts.remove_by_group(""),
    ],
)
async def test_what_names_no_toast_removes_none(remove: Callable[[ToastNotifier], Awaitable[None]]) -> None:
    """E_INVALIDARG, as on Windows; least of all does it remove all."""
    async with app_of(done) as (manager, port):
        with pytest.raises(InvalidArgument) as refused:
            await remove(manager.toasts)
        assert refused.value.hresult == HResult.E_INVALIDARG
        assert port.asked == []


async def test_a_failure_is_raised_as_the_shell_has_it() -> None:
    """By the name of its class, with its words."""

    def fail(message: m.Message) -> m.Message:
        return m.Failed(done(message).request, "NotSupported", "no desktop", HResult.ERROR_NOT_SUPPORTED)

    async with app_of(fail) as (manager, _):
        toasts = manager.toasts
        for asking in (toasts.show(TOAST), toasts.update({}, "t"), toasts.get_all(), toasts.remove_all()):
            with pytest.raises(NotSupported, match="no desktop"):
                await asking


async def test_a_toast_that_the_desktop_refuses_is_an_error() -> None:
    """With the words of the desktop, or at least a sentence."""
    words = ["no room", ""]

    def refuse(message: m.Message) -> m.Message:
        return m.ToastShown(done(message).request, 7, Outcome.DROPPED, words.pop(0))

    async with app_of(refuse) as (manager, _):
        for sentence in ("no room", "the desktop would not show it"):
            with pytest.raises(NotShown, match=sentence):
                await manager.toasts.show(TOAST)


async def test_an_answer_to_another_question_is_none() -> None:
    """That it is done says nothing of what became of a toast."""
    async with app_of(done) as (manager, _):
        with pytest.raises(ProtocolViolation, match="Done is no answer to ShowToast"):
            await manager.toasts.show(TOAST)


async def test_a_shell_that_does_not_answer_is_not_waited_for_without_end() -> None:
    """The toast may yet be shown, which the words say; so it is where the caller is cancelled, and a late answer is none."""
    async with app_of(nothing) as (manager, port):
        begun = anyio.current_time()
        with pytest.raises(TimedOut, match="it may yet do it"):
            await manager.toasts.show(TOAST)
        assert anyio.current_time() - begun == ASK_TIMEOUT
        with anyio.move_on_after(1) as impatience:
            await manager.toasts.show(TOAST)
        assert impatience.cancelled_caught
        port.answers = shown
        port.tell.send_urgent(m.ToastShown(2, 6, Outcome.SHOWN, ""))
        assert (await manager.toasts.show(TOAST)).id == 7


async def test_an_agent_that_goes_away_is_not_waited_for() -> None:
    """Whether the toast was shown is not known."""
    async with app_of(nothing) as (manager, port), anyio.create_task_group() as tasks:

        async def show() -> None:
            with pytest.raises(PlatformUnavailable, match="whether it was done is not known"):
                await manager.toasts.show(TOAST)

        tasks.start_soon(show)
        await anyio.wait_all_tasks_blocked()
        port.tell.send_urgent(m.SessionLost())


async def test_dismissed_toasts_are_told_of() -> None:
    """To every handler, sync or async, also where one of them fails."""
    seen = Gathered()

    async def late(args: ToastDismissedEventArgs) -> None:
        await anyio.sleep(1)
        seen.add(args)

    def fails(_args: ToastDismissedEventArgs) -> None:
        raise ValueError

    async with app_of(nothing) as (manager, port):
        for handler in (fails, seen.add, late):
            manager.toasts.add_dismissed(handler)
        with pytest.raises(InvalidArgument, match="a handler is called"):
            manager.toasts.add_dismissed(7)  # type: ignore[arg-type]  # it cannot be called
        port.tell.send_urgent(m.ToastDismissed(7, "t", "g", m.ToastDismissalReason.REPLACED))
        await seen.wait_for(2)
    assert seen.items == [ToastDismissedEventArgs(7, "t", "g", m.ToastDismissalReason.REPLACED)] * 2


async def test_the_setting_is_what_the_user_has_decided() -> None:
    """For the app; it is known without a question."""
    on, off = HostState(), HostState(notifications=False)
    told: list[tuple[HostState, AppSettings, AppNotificationSetting]] = [
        (on, AppSettings(), AppNotificationSetting.ENABLED),
        (on, AppSettings(tiles=False, badges=False, background=False), AppNotificationSetting.ENABLED),
        (on, AppSettings(notifications=False), AppNotificationSetting.DISABLED_FOR_APPLICATION),
        (on, AppSettings(toasts=False), AppNotificationSetting.DISABLED_FOR_APPLICATION),
        (off, AppSettings(toasts=False), AppNotificationSetting.DISABLED_FOR_USER),
        (off, AppSettings(toasts=False, by_policy=True), AppNotificationSetting.DISABLED_BY_GROUP_POLICY),
        (HostState(toasts=False), AppSettings(), AppNotificationSetting.DISABLED_BY_GROUP_POLICY),
        (HostState(tiles=False), AppSettings(), AppNotificationSetting.ENABLED),
    ]
    async with app_of(nothing) as (manager, port):
        for host, settings, expected in told:
            port.tell.send_urgent(m.HostChanged(host))
            port.tell.send_urgent(m.AppSettingsChanged("contoso.mail", settings))
            await anyio.wait_all_tasks_blocked()
            assert manager.toasts.setting == expected
        assert port.asked == []


async def test_clicks_reach_the_handler() -> None:
    """From when the shell has agreed, until it is removed; nothing is started for an app without a command."""
    seen = Gathered()
    async with app_of(done) as (manager, port):
        await manager.toasts.on_activated(seen.add)
        port.tell.send_urgent(m.ToastActivated(3, 0, 1, 7, "t", "g", m.ToastActivationType.FOREGROUND, "a=b", ()))
        await seen.wait_for(1)
        manager.toasts.remove_activated()
        await anyio.wait_all_tasks_blocked()
        assert port.asked == [m.TakeActivations(1, b""), m.ActivationDone(3, 1, ""), m.LeaveActivations()]
        with pytest.raises(InvalidArgument, match="a handler is called"):
            await manager.toasts.on_activated(None)  # type: ignore[arg-type]  # it cannot be called
    (args,) = seen.items
    assert isinstance(args, ToastNotificationActivatedEventArgs)
    assert (args.argument, args.tag, args.group, args.id) == ("a=b", "t", "g", 7)


MAIL, CALENDAR = UUID(int=1), UUID(int=2)


@pytest.mark.parametrize(
    ("classes", "clsid", "words"),
    [
        (None, None, None),
        ({MAIL: ("mail",)}, None, ("mail",)),
        ({MAIL: ("mail",), CALENDAR: ("calendar",)}, CALENDAR, ("calendar",)),
        ({MAIL: ("mail",), CALENDAR: ("calendar",)}, str(MAIL), ("mail",)),
    ],
)
async def test_a_click_starts_the_command_of_the_app(
    classes: dict[UUID, tuple[str, ...]] | None, clsid: Any, words: tuple[str, ...] | None
) -> None:
    """The one of connect(), or that of the only class of the manifest, or of the one that is named."""
    identity = Identity() if classes is None else Identity(packaged=True, family_name="f", classes=classes)
    asked: list[Sequence[str] | None] = []

    def command_of(given: Sequence[str] | None) -> Command:
        asked.append(given)
        return COMMAND

    async with app_of(done) as (app, port):
        manager = PushNotificationManager(app._session, "contoso.mail", None, identity, command_of)
        await manager.toasts.on_activated(print, clsid)
        assert port.asked == [m.TakeActivations(1, COMMAND.pack())]
    assert asked == [words]


COMMAND = Command((b"/mail",), b"/", ())


@pytest.mark.parametrize(
    ("classes", "clsid", "problem"),
    [
        ({MAIL: ("mail",), CALENDAR: ("calendar",)}, None, "2 classes under .com.: say which"),
        ({MAIL: ("mail",)}, CALENDAR, "no manifest with a command for the class"),
        ({}, MAIL, "no manifest with a command for the class"),
        ({MAIL: ("mail",)}, "mail", "CLSID"),
    ],
)
async def test_a_class_that_starts_nothing_is_refused(
    classes: dict[UUID, tuple[str, ...]], clsid: Any, problem: str
) -> None:
    """The shell is asked for nothing."""
    identity = Identity(packaged=True, family_name="f", classes=classes)
    async with app_of(done) as (app, port):
        manager = PushNotificationManager(app._session, "contoso.mail", None, identity)
        with pytest.raises(InvalidArgument, match=problem):
            await manager.toasts.on_activated(print, clsid)
        assert port.asked == []


async def test_a_manifest_without_commands_starts_nothing() -> None:
    """The handler is called all the same."""
    async with app_of(done) as (app, port):
        identity = Identity(packaged=True, family_name="f")
        manager = PushNotificationManager(app._session, "contoso.mail", None, identity, lambda _: COMMAND)
        await manager.toasts.on_activated(print)
        assert port.asked == [m.TakeActivations(1, b"")]
