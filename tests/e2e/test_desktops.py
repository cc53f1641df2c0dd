"""Toasts that are pushed to an agent, on real desktops: drawn, clicked, replaced, removed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.e2e.desktops.bus import close, connected, notify
from tests.e2e.desktops.daemons import IN_CI
from tests.e2e.desktops.desktop import desktop, missing
from tests.e2e.desktops.tried import BUTTONS, CHAT, Tried, toast, tried, tried_daemon

MATE_SHOWS = 21
"""Popups that mate-notification-daemon has at most."""


@pytest.fixture(scope="module")
def anyio_backend() -> str:
    """Processes and sockets: on asyncio."""
    return "asyncio"


def need(name: str) -> None:
    """Skip where a daemon, or what it takes to see it, is not installed."""
    if lacking := missing(name):
        pytest.skip(f"needs {' '.join(lacking)}")


@pytest.fixture(scope="module", params=IN_CI)
async def on(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Tried]:
    """Run one desktop with an agent for all tests of a daemon."""
    need(request.param)
    async with tried_daemon(request.param, tmp_path_factory.mktemp("desktop")) as both:
        yield both


class TestToast:
    """A toast that is POSTed to the service."""

    async def test_it_is_drawn_as_the_daemon_draws_its_words(self, on: Tried) -> None:
        """Pixel by pixel like a notification of these words that is not of Tocsin, buttons included; and it can be removed."""
        async with on.app("drawn") as app, connected(on.shown.address) as bus:
            await app.post(toast(*CHAT, buttons=BUTTONS), X_WNS_Tag="chat")
            drawn = await on.shown.pixels()
            if on.shown.daemon.draws_buttons:
                assert len(await on.shown.buttons()) == len(BUTTONS) + on.shown.daemon.draws_default
            sent = on.notified
            assert (sent.title, sent.body.splitlines()[0]) == CHAT
            assert list(sent.actions.values())[1:] == list(BUTTONS)
            await app.manager.toasts.remove_by_tag("chat")
            await on.shown.until_shown(0)
            actions = [word for action in sent.actions.items() for word in action]
            number = await notify(bus, sent.title, sent.body, *actions)
            assert await on.shown.pixels() == drawn
            await on.shown.take_down(number)

    async def test_a_click_reaches_the_app_that_runs(self, on: Tried) -> None:
        """With the argument of its button, once; the popup goes."""
        async with on.app("running") as app:
            await app.post(toast(*CHAT, launch="open=42", buttons=BUTTONS), X_WNS_Tag="t", X_WNS_Group="g")
            await on.shown.click_button("Like")
            (click,) = await app.until_clicked()
            assert (click.argument, click.tag, click.group, click.attempt) == (BUTTONS["Like"], "t", "g", 1)
            await on.shown.until_shown(0)
            if on.shown.daemon.body_invokes:
                await app.post(toast(*CHAT, launch="open=42", buttons=BUTTONS))
                await on.shown.click_body()
                assert (await app.until_clicked(2))[1].argument == "open=42"
                await on.shown.until_shown(0)

    async def test_a_click_starts_the_app_that_does_not_run(self, on: Tried) -> None:
        """Its process has the click as what has activated it."""
        journal = await on.install("launched")
        async with on.agent.server_of("launched") as server:
            await server.push(
                toast(*CHAT, buttons=BUTTONS), X_WNS_Type="wns/toast", Content_Type="text/xml", X_WNS_Tag="t"
            )
        await on.shown.click_button("Reply")
        (launched,) = await journal.wait_for("launched")
        assert (launched["argument"], launched["tag"], launched["attempt"]) == (BUTTONS["Reply"], "t", 1)
        await on.shown.until_shown(0)

    async def test_it_takes_the_place_of_one_with_its_tag(self, on: Tried) -> None:
        """In the same popup, with its own words."""
        ended = len(on.ends)
        async with on.app("replaced") as app:
            await app.post(toast("One", "is here"), X_WNS_Tag="place")
            await on.until_ended(ended + 1)
            one = await on.shown.pixels()
            await app.post(toast("Two", "is here"), X_WNS_Tag="place")
            await on.until_ended(ended + 2)
            two = await on.shown.pixels()
            assert one != two
            assert on.notified.title == "Two"
            assert on.notified.replaces > 0
            await app.manager.toasts.remove_by_tag("place")
            await on.shown.until_shown(0)

    async def test_it_is_there_again_when_the_daemon_was_restarted(self, on: Tried) -> None:
        """And can be clicked as before; the next daemon is sent no number of the earlier one."""
        async with on.app("restarted") as app:
            await app.post(toast(*CHAT, launch="open=42", buttons=BUTTONS))
            before = await on.shown.pixels()
            await on.shown.stop_daemon()
            await on.shown.start_daemon()
            assert await on.shown.pixels() == before
            assert on.notified.replaces == 0
            await on.shown.click_button("Reply")
            (click,) = await app.until_clicked()
            assert click.argument == BUTTONS["Reply"]
            await on.shown.until_shown(0)


async def test_without_a_daemon_a_toast_has_its_end_with_a_reason(tmp_path: Path) -> None:
    """Nothing is lost in silence; when there is a daemon, the next one is shown."""
    need("dunst")
    async with desktop("dunst", tmp_path) as shown:
        await shown.stop_daemon()
        async with tried(shown, tmp_path) as on, on.app("missing") as app:
            await app.post(toast("One"))
            (end,) = await on.until_ended(1)
            assert (end["stage"], end["reason"]) == ("suppressed", "no_desktop")
            await shown.start_daemon()
            await app.post(toast("Two"))
            await shown.until_shown()
            assert on.notified.title == "Two"


async def test_a_daemon_that_has_no_room_is_reported(tmp_path: Path) -> None:
    """What other programs show is left where it is; when there is room again, the next one is shown."""
    need("mate-notification-daemon")
    async with tried_daemon("mate-notification-daemon", tmp_path) as on, connected(on.shown.address) as bus:
        foreign = [await notify(bus, f"Foreign {number}", "") for number in range(MATE_SHOWS)]
        async with on.app("full") as app:
            await app.post(toast("One"))
            (end,) = await on.until_ended(1)
            assert (end["stage"], end["reason"]) == ("dead", "shell_full")
            await close(bus, foreign[0])
            await app.post(toast("Two"))
            assert (await on.until_ended(2))[1]["stage"] == "shown"
