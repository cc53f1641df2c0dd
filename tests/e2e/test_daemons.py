"""Five real notification daemons: what the tests see and click is there, without Tocsin; and Tocsin takes down what it shows."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.e2e.desktops.bus import connected, notify
from tests.e2e.desktops.daemons import IN_CI
from tests.e2e.desktops.desktop import desktop, missing
from tocsin.protocol.toasts.popup import Popup, PopupButton
from tocsin.shell.freedesktop import FreedesktopDesktop

ACTIONS = ("default", "Open", "yes", "Accept", "no", "Decline")


@pytest.mark.parametrize("name", IN_CI)
async def test_a_notification_is_drawn_and_clicks_come_back(name: str, tmp_path: Path) -> None:
    """By a button and, where the daemon does so, by a click on the toast itself; what has gone is seen to have gone."""
    if lacking := missing(name):
        pytest.skip(f"needs {' '.join(lacking)}")
    async with desktop(name, tmp_path) as shown, connected(shown.address) as bus:
        drawn = {}
        for title in ("One", "Two"):
            number = await notify(bus, title, "A body", *ACTIONS)
            drawn[title] = await shown.pixels()
            assert drawn[title].count(drawn[title][:3]) < len(drawn[title]) // 3  # more than a background
            await shown.take_down(number)
        assert drawn["One"] != drawn["Two"]
        number = await notify(bus, "One", "A body", *ACTIONS)
        assert await shown.pixels() == drawn["One"]
        await shown.click_button("Decline")
        assert await shown.watcher.wait_for("ActionInvoked") == [(number, "no")]
        await shown.take_down(number)
        number = await notify(bus, "Three", "A body", *ACTIONS)
        await shown.click_body()
        if shown.daemon.body_invokes:
            assert (await shown.watcher.wait_for("ActionInvoked", 2))[1] == (number, "default")
        else:
            await shown.until_shown(0)
            assert len(shown.watcher.said("ActionInvoked")) == 1


@pytest.mark.parametrize("name", IN_CI)
async def test_tocsin_takes_a_popup_down(name: str, tmp_path: Path) -> None:
    """One that stays leaves the screen, and the next one is drawn; notification-daemon leaves there what it says to have closed."""
    if lacking := missing(name):
        pytest.skip(f"needs {' '.join(lacking)}")
    async with desktop(name, tmp_path) as shown, anyio.create_task_group() as tasks:
        ours = FreedesktopDesktop(shown.address)
        tasks.start_soon(ours.run)
        for title in ("One", "Two"):
            button = PopupButton("yes", "Accept")
            handle = await ours.show(Popup("Contoso", title, "A body", (button,), urgent=True, seconds=0.0))
            await shown.until_shown()
            await ours.close(handle)
            await shown.until_shown(0)
        tasks.cancel_scope.cancel()


async def test_a_daemon_is_stopped_and_started_again(tmp_path: Path) -> None:
    """Its popups go with it, and the next one is another process."""
    if lacking := missing("dunst"):
        pytest.skip(f"needs {' '.join(lacking)}")
    async with desktop("dunst", tmp_path) as shown, connected(shown.address) as bus:
        await notify(bus, "One", "A body")
        await shown.until_shown()
        await shown.stop_daemon()
        assert await shown.popups() == []
        await shown.start_daemon()
        await notify(bus, "Two", "A body")
        await shown.until_shown()
