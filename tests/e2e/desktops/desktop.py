"""A desktop with one notification daemon: what it shows is seen, and clicked."""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import anyio
from attrs import define, frozen
from dbus_fast.aio import MessageBus

from tests.e2e.desktops.bus import (
    NOTIFICATIONS,
    Watcher,
    close,
    connected,
    session_bus,
    until_owned,
    vanish,
    watching,
)
from tests.e2e.desktops.daemons import BUTTON_COLOUR, DAEMONS, Daemon, Home
from tests.e2e.desktops.processes import PATIENCE, running
from tests.e2e.desktops.screen import PROGRAMS, WHOLE, Box, Screen, screen


def missing(*names: str) -> list[str]:
    """Return the Debian packages that have to be installed for these daemons, and are not."""
    packages = {package for program, package in PROGRAMS.items() if not shutil.which(program)}
    packages |= set() if shutil.which("dbus-daemon") else {"dbus-daemon"}
    packages |= {DAEMONS[name].package for name in names if not DAEMONS[name].installed}
    return sorted(packages)


@frozen
class Surroundings:
    """What a desktop has before its daemon: a screen, a bus and the folders of a user."""

    folder: Path
    home: Home
    screen: Screen
    address: str
    bus: MessageBus

    @property
    def environment(self) -> dict[str, str]:
        """What the programs of this desktop have in their environment, and nothing of the desktop that the tests may run on."""
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "DBUS_SESSION_BUS_ADDRESS": self.address,
            "GSETTINGS_BACKEND": "keyfile",
            "NO_AT_BRIDGE": "1",
            "QT_QPA_PLATFORM": "xcb",
            **self.home.environment,
            **self.screen.environment,
        }


@define
class Desktop:
    """A desktop whose daemon runs."""

    daemon: Daemon
    around: Surroundings
    watcher: Watcher
    """What is said to the daemon, and by it."""
    _running: AsyncExitStack

    @property
    def address(self) -> str:
        """Of the session bus."""
        return self.around.address

    @property
    def environment(self) -> dict[str, str]:
        """What a program needs to be on this desktop, beside its own environment."""
        return {"DBUS_SESSION_BUS_ADDRESS": self.address, **self.around.screen.environment}

    async def start_daemon(self) -> None:
        """Start the daemon, and wait until it takes notifications."""
        log = self.around.folder / "daemon.log"
        program = shutil.which(self.daemon.program)
        assert program is not None
        await self._running.enter_async_context(running([program], self.around.environment, log))
        await until_owned(self.around.bus, NOTIFICATIONS)

    async def stop_daemon(self) -> None:
        """End the daemon, and wait until it has gone from the bus."""
        await self._running.aclose()
        await until_owned(self.around.bus, NOTIFICATIONS, owned=False)

    async def popups(self) -> list[Box]:
        """Return where toasts are drawn now, from the top to the bottom; dunst has one window for all of them."""
        return await self.around.screen.windows()

    async def until_shown(self, number: int = 1) -> list[Box]:
        """Wait until there are so many popups, or none, and each is where it was the last time."""
        before: list[Box] = []
        with anyio.fail_after(PATIENCE):
            while len(now := await self.popups()) != number or now != before:
                before = now
                await anyio.sleep(0.02)
        return now

    async def pixels(self) -> bytes:
        """Return what is drawn in the only popup, when it is drawn: two pictures that are alike."""
        before = b""
        with anyio.fail_after(PATIENCE):
            while (now := (await self.around.screen.picture((await self.until_shown())[0])).pixels) != before:
                before = now
                await anyio.sleep(0.02)
        return now

    async def buttons(self) -> list[tuple[int, int]]:
        """Return where the buttons of the only popup are; it needs a home where they can be found."""
        await self.pixels()
        (popup,) = await self.popups()
        picture = await self.around.screen.picture(popup)
        return [(x, y + 8) for x, y in picture.pieces(BUTTON_COLOUR)[self.daemon.leading_buttons :]]

    async def click_button(self, label: str) -> None:
        """Click the button with a label on the only popup; with dunst, choose it in the menu."""
        await self.until_shown()  # before that the last one that was sent is another
        actions = self.watcher.notified()[-1].actions
        if not self.daemon.draws_buttons:
            (self.around.home.folder / "label").write_text(label + "\n", encoding="utf-8")
            await anyio.run_process(["dunstctl", "context"], env=self.around.environment, stderr=None)
            return
        labels = [text for key, text in actions.items() if self.daemon.draws_default or key != "default"]
        places = await self.buttons()
        assert len(places) == len(labels)
        await self.around.screen.click(*places[labels.index(label)])

    async def click_body(self) -> None:
        """Click the title of the only popup."""
        await self.pixels()
        (popup,) = await self.popups()
        await self.around.screen.click(popup.x + popup.width // 3, popup.y + 16, self.daemon.body_button)

    async def take_down(self, number: int) -> None:
        """Take down a notification that is not of Tocsin, and wait until nothing is shown."""
        if self.daemon.leaves_closed:
            await vanish(self.around.bus, number)
        await close(self.around.bus, number)
        await self.until_shown(0)

    async def screenshot(self, path: Path, box: Box = WHOLE) -> None:
        """Save a picture of the screen or of a part of it."""
        await self.around.screen.save(path, box)


@asynccontextmanager
async def desktop(name: str, folder: Path, *, findable: bool = True) -> AsyncIterator[Desktop]:
    """Run a desktop with a daemon.

    :param findable: whether buttons are drawn in a colour of their own, so that they can be clicked; else as users see them.
    """
    daemon, home = DAEMONS[name], Home(folder / "home", findable)
    home.make()
    daemon.set_up(home)
    async with (
        session_bus(folder) as address,
        watching(address) as watcher,
        connected(address) as bus,
        screen(folder) as shown,
        AsyncExitStack() as helpers,
        AsyncExitStack() as stack,
    ):
        around = Surroundings(folder, home, shown, address, bus)
        if daemon.helper:
            await helpers.enter_async_context(running([daemon.helper], around.environment, folder / "helper.log"))
            await until_owned(bus, daemon.helper_name)
        running_desktop = Desktop(daemon, around, watcher, stack)
        await running_desktop.start_daemon()
        yield running_desktop
