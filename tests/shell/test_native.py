"""The desktops of macOS and Windows, with a stand-in for the library: the systems themselves are untried."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from enum import Enum, auto
from importlib import metadata
from threading import Thread
from types import ModuleType
from typing import Any

import anyio
import pytest
from attrs import evolve, field, frozen

from tocsin.protocol.toasts.popup import DEFAULT_KEY, Handle, Popup, PopupButton, PopupInput
from tocsin.shell import native
from tocsin.shell.desktop import Closed, ClosedBy, DesktopAbsent, DesktopRefused, Pressed
from tocsin.shell.native import NativeDesktop

CHAT = Popup(
    "contoso.chat",
    "Ann",
    "Lunch?\x1b",
    buttons=(PopupButton("b1", "Reply"), PopupButton("b2", "Later")),
    inputs=(
        PopupInput("when", "Remind in", "", "15", (("15", "15 minutes"), ("60", "1 hour"))),
        PopupInput("text", "Answer", "type it here", ""),
    ),
)


class Capability(Enum):
    """What a system can do."""

    TITLE = auto()
    BUTTONS = auto()


class Urgency(Enum):
    """How loud it is."""

    Critical = "critical"
    Normal = "normal"


@frozen
class Button:
    """As the library has it, without what is not used."""

    title: str
    on_pressed: Callable[[], object]


@frozen
class ReplyField:
    """As above."""

    title: str
    button_title: str
    on_replied: Callable[[str], object]


@frozen
class Attachment:
    """As above."""

    path: Any


@frozen
class Notification:
    """As above."""

    title: str
    message: str
    urgency: Urgency
    buttons: tuple[Button, ...]
    reply_field: ReplyField | None
    on_dispatched: Callable[[], object]
    on_clicked: Callable[[], object]
    on_dismissed: Callable[[], object]
    attachment: Attachment | None
    sound: object
    identifier: str


@frozen
class System:
    """What the stand-in does, and what was asked of it."""

    sent: list[Notification] = field(factory=list)
    cleared: list[str] = field(factory=list)
    able: set[Capability] = field(factory=lambda: set(Capability))
    faults: set[str] = field(factory=set)


@pytest.fixture
def system(monkeypatch: pytest.MonkeyPatch) -> System:
    """Put the stand-in where the library is imported from."""
    system = System()

    class DesktopNotifier:
        def __init__(self, app_name: str, app_icon: None) -> None:
            if "broken" in system.faults:
                raise RuntimeError("Could not get ToastNotificationManagerForUser")
            assert (app_name, app_icon) == ("Tocsin", None)

        async def get_capabilities(self) -> frozenset[Capability]:
            return frozenset(system.able)

        async def request_authorisation(self) -> bool:
            return "denied" not in system.faults

        async def send_notification(self, notification: Notification) -> str:
            if "slow" in system.faults:
                await anyio.sleep_forever()
            if "failing" not in system.faults:
                system.sent.append(notification)
                notification.on_dispatched()
            return notification.identifier

        async def clear(self, identifier: str) -> None:
            system.cleared.append(identifier)

    library = ModuleType("desktop_notifier")
    names = (Capability, Urgency, Button, ReplyField, Attachment, Notification, DesktopNotifier)
    for each in names:
        setattr(library, each.__name__, each)
    library.DEFAULT_SOUND = "default"  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "desktop_notifier", library)
    monkeypatch.setattr(metadata, "version", {"desktop-notifier": "6.2.0"}.__getitem__)
    return system


async def test_a_toast_is_sent_with_what_the_systems_have(system: System) -> None:
    """The app before the title, the first button at the reply field, and nothing that XML may not have."""
    desktop = NativeDesktop()
    await desktop.show(evolve(CHAT, progress=0.4, urgent=True, image="/tmp/ann.png"))  # noqa: S108  # it is only named
    (sent,) = system.sent
    assert (sent.title, sent.message) == ("contoso.chat: Ann", "Lunch? \n40%")
    assert (sent.urgency, sent.sound) == (Urgency.Critical, "default")
    assert [button.title for button in sent.buttons] == ["Later"]
    assert sent.reply_field is not None
    assert (sent.reply_field.title, sent.reply_field.button_title) == ("Answer", "Reply")
    assert str(getattr(sent.attachment, "path", "")) == "/tmp/ann.png"  # noqa: S108  # as above
    assert (desktop.standing.name, desktop.standing.version, desktop.standing.actions) == (
        "desktop-notifier",
        "6.2.0",
        True,
    )
    await desktop.show(Popup("a", "t", "b\udc80", silent=True, inputs=CHAT.inputs))
    sent = system.sent[1]
    assert (sent.urgency, sent.sound, sent.reply_field, sent.attachment) == (Urgency.Normal, None, None, None)
    assert sent.message == "b\\udc80"


async def test_a_click_brings_its_button_and_the_inputs(system: System) -> None:
    """A reply with what was typed, anything else with defaults; then the toast has gone, and a second click means nothing."""
    desktop = NativeDesktop()
    handles = [await desktop.show(CHAT) for _ in range(4)]
    reply, button, body, away = system.sent
    assert reply.reply_field is not None
    reply.reply_field.on_replied("On my way")
    reply.reply_field.on_replied("twice")
    button.buttons[0].on_pressed()
    body.on_clicked()
    away.on_dismissed()
    away.on_dismissed()
    with anyio.fail_after(5):
        await anyio.wait_all_tasks_blocked()
        events = await desktop.events()
    inputs = (("when", "15"), ("text", ""))
    assert events == [
        Pressed(handles[0], "b1", (("when", "15"), ("text", "On my way"))),
        Closed(handles[0], ClosedBy.USER),
        Pressed(handles[1], "b2", inputs),
        Closed(handles[1], ClosedBy.USER),
        Pressed(handles[2], DEFAULT_KEY, inputs),
        Closed(handles[2], ClosedBy.USER),
        Closed(handles[3], ClosedBy.USER),
    ]


async def test_a_click_in_another_thread_is_told_on_the_loop(system: System) -> None:
    """The system calls in whichever thread it likes, and one that waits is woken."""
    desktop = NativeDesktop()
    handle = await desktop.show(Popup("a", "t", "b"))
    with anyio.fail_after(5):
        async with anyio.create_task_group() as tasks:

            async def wait() -> None:
                assert (await desktop.events())[0] == Pressed(handle, DEFAULT_KEY)

            tasks.start_soon(wait)
            await anyio.wait_all_tasks_blocked()
            Thread(target=system.sent[0].on_clicked).start()


async def test_a_replaced_toast_is_cleared_and_sent_anew(system: System) -> None:
    """It keeps its number; what is still said of the earlier one is not taken for the later."""
    desktop = NativeDesktop()
    handle = await desktop.show(CHAT)
    assert await desktop.show(CHAT, handle) == handle
    earlier, later = system.sent
    assert system.cleared == [earlier.identifier]
    assert later.identifier != earlier.identifier
    earlier.on_dismissed()
    later.on_clicked()
    with anyio.fail_after(5):
        await anyio.wait_all_tasks_blocked()
        assert (await desktop.events())[0] == Pressed(handle, DEFAULT_KEY, (("when", "15"), ("text", "")))
    assert (await desktop.show(CHAT, handle)).number == handle.number + 1
    assert (await desktop.show(CHAT, Handle("another", 2))).number == handle.number + 2


async def test_a_toast_is_taken_down_once(system: System) -> None:
    """One that has gone, or is of another process, is no error."""
    desktop = NativeDesktop()
    handle = await desktop.show(CHAT)
    await desktop.close(Handle("another", handle.number))
    await desktop.close(handle)
    await desktop.close(handle)
    assert system.cleared == [system.sent[0].identifier]


async def test_a_missing_library_is_said_with_what_to_install(system: System, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once it is there, the next toast is shown."""
    desktop = NativeDesktop()
    with monkeypatch.context() as without:
        without.setitem(sys.modules, "desktop_notifier", None)
        with pytest.raises(DesktopAbsent, match=r"pip install 'tocsin\[desktop\]'"):
            await desktop.show(CHAT)
        assert "desktop-notifier" in desktop.standing.fault
    await desktop.show(CHAT)
    assert desktop.standing.fault == ""
    assert len(system.sent) == 1


@pytest.mark.parametrize(
    ("fault", "error", "words"),
    [
        ("broken", DesktopAbsent, "cannot be reached: Could not get"),
        ("denied", DesktopRefused, "switched off in the system's settings"),
        ("failing", DesktopRefused, "log of desktop_notifier says why"),
        ("slow", DesktopAbsent, "has not answered within"),
        ("unable", DesktopAbsent, "signed app bundle"),
    ],
)
async def test_what_is_not_shown_is_said(
    system: System, monkeypatch: pytest.MonkeyPatch, fault: str, error: type[Exception], words: str
) -> None:
    """In a sentence each, and once the fault has gone, toasts are shown."""
    monkeypatch.setattr(native, "PATIENCE", 0.05)
    desktop, able = NativeDesktop(), set(system.able)
    system.faults.add(fault)
    if fault == "unable":
        system.able.clear()
    with pytest.raises(error, match=words):
        await desktop.show(CHAT)
    system.faults.clear()
    system.able.update(able)
    await desktop.show(CHAT)
    assert len(system.sent) == 1


async def test_it_runs_until_it_is_cancelled(system: System) -> None:
    """And has asked for nothing by then."""
    desktop = NativeDesktop()
    with anyio.move_on_after(0.01) as running:
        await desktop.run()
    assert running.cancelled_caught
    assert (desktop.standing.name, system.sent) == ("", [])


def test_the_stand_in_is_called_as_the_library_may_be() -> None:
    """Each name that is used is there, and takes what it is given."""
    library = pytest.importorskip("desktop_notifier")
    for own in (Button, ReplyField, Attachment, Notification):
        theirs = inspect.signature(getattr(library, own.__name__)).parameters
        assert set(inspect.signature(own).parameters) <= set(theirs)
    assert {"app_name", "app_icon"} <= set(inspect.signature(library.DesktopNotifier).parameters)
    for name, parameters in (
        ("get_capabilities", []),
        ("request_authorisation", []),
        ("send_notification", ["notification"]),
        ("clear", ["identifier"]),
    ):
        method = getattr(library.DesktopNotifier, name)
        assert inspect.iscoroutinefunction(method)
        assert list(inspect.signature(method).parameters) == ["self", *parameters]
    assert {each.name for each in Capability} <= {each.name for each in library.Capability}
    assert {each.name for each in Urgency} <= {each.name for each in library.Urgency}
    assert library.DEFAULT_SOUND.name == "default"
