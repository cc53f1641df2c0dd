"""The desktop over D-Bus, with a daemon that a test plays, on a bus of its own."""

from __future__ import annotations

import builtins
import importlib
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.e2e.desktops.bus import session_bus
from tests.shell.fake_daemon import FakeDaemon, fake_daemon
from tocsin import bus_connection as module
from tocsin.protocol.toasts.popup import Handle, Popup, PopupButton, PopupInput
from tocsin.shell.desktop import (
    Closed,
    ClosedBy,
    DaemonChanged,
    DesktopAbsent,
    DesktopEvent,
    DesktopFull,
    DesktopRefused,
    Pressed,
)
from tocsin.shell.freedesktop import FreedesktopDesktop

pytestmark = pytest.mark.skipif(shutil.which("dbus-daemon") is None, reason="needs dbus-daemon")

POPUP = Popup("mail", "Title", "Body", (PopupButton("0", "Yes"),))


@pytest.fixture
def anyio_backend() -> str:
    """Sockets: on asyncio."""
    return "asyncio"


@pytest.fixture
async def address(tmp_path: Path) -> AsyncIterator[str]:
    """Run a bus."""
    async with session_bus(tmp_path) as found:
        yield found


@asynccontextmanager
async def running(address: str | None) -> AsyncIterator[FreedesktopDesktop]:
    """Run a desktop until the block is left."""
    desktop = FreedesktopDesktop(address)
    with anyio.fail_after(20):
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(desktop.run)
            yield desktop
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def both(address: str, *capabilities: str) -> AsyncIterator[tuple[FreedesktopDesktop, FakeDaemon]]:
    """Run a desktop and a daemon."""
    async with fake_daemon(address, *capabilities) as daemon, running(address) as desktop:
        yield desktop, daemon


async def heard(desktop: FreedesktopDesktop, number: int) -> list[DesktopEvent]:
    """Wait for so many events."""
    events: list[DesktopEvent] = []
    while len(events) < number:
        events += await desktop.events()
    return events


async def test_popups_are_shown_replaced_and_closed(address: str) -> None:
    """A number is used again only with the process that gave it."""
    async with both(address) as (desktop, daemon):
        first = await desktop.show(POPUP)
        assert (first.number, desktop.standing.name, desktop.standing.daemon) == (1, "Fake", first.daemon)
        assert await desktop.show(POPUP, first) == first
        other = await desktop.show(POPUP, Handle("another/:1.9", 77))
        assert other.number == 2
        await desktop.close(first)
        await desktop.close(Handle("another/:1.9", 77))
        await desktop.close(Handle(first.daemon, 99))
        assert [call[1] for call in daemon.notified] == [0, 1, 0]
        assert daemon.closed == [1, 99]


async def test_only_what_the_daemon_says_of_our_popups_is_heard(address: str) -> None:
    """Not of other numbers, not in another form, and not by another sender."""
    async with both(address) as (desktop, daemon), fake_daemon(address, name="org.tocsin.Stranger") as stranger:
        handle = await desktop.show(POPUP)
        stranger.say("ActionInvoked", "us", [1, "0"])
        daemon.say("ActionInvoked", "us", [77, "0"])
        daemon.say("ActionInvoked", "uu", [1, 5])
        daemon.say("ActionInvoked", "us", [1, "0"], interface="org.tocsin.Other")
        daemon.say("ActivationToken", "us", [1, "token"])
        daemon.say("ActionInvoked", "us", [1, "0"])
        daemon.say("NotificationClosed", "uu", [1, 2])
        daemon.say("NotificationClosed", "uu", [1, 3])
        assert await heard(desktop, 2) == [Pressed(handle, "0"), Closed(handle, ClosedBy.USER)]
        with anyio.move_on_after(0.1):
            raise AssertionError(await desktop.events())


async def test_a_click_that_comes_right_behind_the_answer_is_heard(address: str) -> None:
    """The signal is there before the caller has its number."""
    async with both(address) as (desktop, daemon):
        daemon.clicks_at_once = True
        handles = [await desktop.show(POPUP) for _ in range(5)]
        assert await heard(desktop, 5) == [Pressed(handle, "default") for handle in handles]


async def test_a_reply_goes_with_the_first_button(address: str) -> None:
    """Where the daemon lets the user type."""
    async with both(address, "actions", "inline-reply") as (desktop, daemon):
        handle = await desktop.show(
            Popup("mail", "t", "b", (PopupButton("3", "Send"),), inputs=(PopupInput("r", "", "", ""),))
        )
        daemon.say("NotificationReplied", "us", [1, "hello"])
        assert await heard(desktop, 1) == [Pressed(handle, "3", (("r", "hello"),))]


async def test_many_at_once_go_over_one_connection(address: str) -> None:
    """Each has its number, and no two of them look alike to the daemon."""
    async with both(address) as (desktop, daemon):
        found: list[Handle] = []

        async def show() -> None:
            found.append(await desktop.show(POPUP))

        async with anyio.create_task_group() as tasks:
            for _ in range(200):
                tasks.start_soon(show)
        assert len(set(found)) == 200
        assert len({tuple(call[3:5]) for call in daemon.notified}) == 200


@pytest.mark.parametrize(
    ("name", "words", "kind"),
    [
        ("org.freedesktop.Notifications.MaxNotificationsExceeded", "x", DesktopFull),
        ("org.gtk.GDBus.UnmappedGError.Code0", "Exceeded maximum number of notifications", DesktopFull),
        ("org.freedesktop.DBus.Error.InvalidArgs", "\x1b[2J", DesktopRefused),
    ],
)
async def test_errors_are_told_apart(address: str, name: str, words: str, kind: type[Exception]) -> None:
    """In a sentence that a terminal can show; the next popup is tried."""
    async with both(address) as (desktop, daemon):
        daemon.errors = [(name, words)]
        with pytest.raises(kind) as refused:
            await desktop.show(POPUP)
        assert str(refused.value).isprintable()
        assert (await desktop.show(POPUP)).number


async def test_a_daemon_that_does_not_answer_is_not_waited_for(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """For longer than its time."""
    monkeypatch.setattr(module, "PATIENCE", 0.2)
    async with both(address) as (desktop, daemon):
        await desktop.show(POPUP)
        daemon.silent = True
        with pytest.raises(DesktopAbsent, match=r"did not answer within 0\.2 s"):
            await desktop.show(POPUP)
        daemon.silent = False
        assert (await desktop.show(POPUP)).number


async def test_daemons_come_and_go(address: str) -> None:
    """That one is gone is told before the next; between them there is none, and numbers begin anew."""
    async with running(address) as desktop:
        async with fake_daemon(address):
            first = await desktop.show(POPUP)
        assert await heard(desktop, 1) == [DaemonChanged("")]
        assert desktop.standing.fault == "Fake has gone, and the next toast looks for another"
        with pytest.raises(DesktopAbsent, match="no notification daemon is on the session bus"):
            await desktop.show(POPUP)
        assert "no notification daemon" in desktop.standing.fault
        async with fake_daemon(address) as second:
            (changed,) = await heard(desktop, 1)
            handle = await desktop.show(POPUP, first)
            assert changed == DaemonChanged(handle.daemon)
            assert handle != first
            assert second.notified[0][1] == 0


async def test_the_bus_may_go_and_come_back(tmp_path: Path) -> None:
    """Another connection is made, to whatever is there by then."""
    place = tmp_path / "bus"
    place.mkdir()
    async with running(None) as desktop:
        for _ in range(2):
            async with session_bus(place) as address, fake_daemon(address):
                desktop._bus._address = address
                assert (await desktop.show(POPUP)).number == 1
            assert DaemonChanged("") in await heard(desktop, 1)
            with pytest.raises(DesktopAbsent, match="the session bus cannot be reached"):
                await desktop.show(POPUP)


async def test_without_a_bus_or_the_library_it_is_said_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """And what to install."""
    monkeypatch.setattr(module, "session_address", lambda: None)
    async with running(None) as desktop:
        with pytest.raises(DesktopAbsent, match="there is no session bus: DBUS_SESSION_BUS_ADDRESS is not set"):
            await desktop.show(POPUP)
    async with running("unix:path=/nonexistent/bus") as desktop:
        right = importlib.import_module

        def refuse(name: str) -> Any:
            if name.startswith("dbus_fast"):
                raise builtins.ImportError(name)
            return right(name)

        monkeypatch.setattr(module, "import_module", refuse)
        with pytest.raises(DesktopAbsent, match=r"pip install 'tocsin\[desktop\]'"):
            await desktop.show(POPUP)
