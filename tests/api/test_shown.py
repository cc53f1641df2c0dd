"""What an app shows, through a platform with a desktop that the test plays."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import evolve

import tocsin
from tests.actors.shelling import PlayedDesktop
from tests.helpers import PATIENCE, payload
from tests.world import Gathered, world
from tocsin.protocol.toasts.tile_content import read_tile
from tocsin.protocol.values import NotificationType, Outcome
from tocsin.shell import ClosedBy, DesktopRefused, Handle
from tocsin.shell.desktop import Closed

TILE = '<tile><visual><binding template="TileMedium"><text>3 new</text></binding></visual></tile>'


def call() -> tocsin.ToastContentBuilder:
    """Write the toast of a call."""
    return (
        tocsin.ToastContentBuilder()
        .add_argument("call", 7)
        .add_text("Ann is calling")
        .add_button(tocsin.ToastButton("Accept").add_argument("action", "accept").add_argument("self", 1))
        .add_button(tocsin.ToastButton("Decline").add_argument("action", "decline"))
    )


async def test_a_click_on_a_button_comes_back(tmp_path: Path) -> None:
    """From the builder to the desktop, and from the desktop to the handler, which gets the arguments of both."""
    desktop, seen = PlayedDesktop(), Gathered()
    async with tocsin.embedded("contoso.mail", tmp_path, "http://127.0.0.1:9", desktop=desktop) as manager:
        await manager.toasts.on_activated(seen.add)
        toast = await call().show(tag="7", group="calls")
        assert (toast.outcome, toast.reason) == (Outcome.SHOWN, "")
        (popup,) = desktop.popups.values()
        assert (popup.app, popup.title) == ("contoso.mail", "Ann is calling")
        assert [each.label for each in popup.buttons] == ["Accept", "Decline"]
        desktop.press(1, popup.buttons[0].key)
        await seen.wait_for(1)
        (args,) = seen.items
        assert isinstance(args, tocsin.ToastNotificationActivatedEventArgs)
        assert args.arguments == {"action": "accept", "self": "1", "call": "7"}
        assert (args.id, args.tag, args.group) == (toast.id, "7", "calls")
        assert await manager.toasts.get_all() == []


async def test_a_handler_shows_a_toast_of_its_payload(tmp_path: Path) -> None:
    """It has no manager at hand, and is done with its payload when the desktop has answered."""
    desktop, seen = PlayedDesktop(), Gathered()

    async def handler(args: tocsin.PushNotificationReceivedEventArgs) -> None:
        args.handled = True
        seen.add((await tocsin.ToastContentBuilder().add_text(args.id).show()).outcome)

    async with world(tmp_path, desktop=desktop) as w:
        channel = await w.channel()
        with channel.push_received(handler):
            await w.service.send(payload("A"))
            await seen.wait_for(1)
    assert seen.items == [Outcome.SHOWN]
    assert [popup.title for popup, _ in desktop.asked] == ["A"]


async def test_toasts_are_listed_replaced_and_removed(tmp_path: Path) -> None:
    """Those of pushes among them; one with the same tag and group takes the place of the one before."""
    desktop, dismissed = PlayedDesktop(), Gathered()
    text = tocsin.ToastContentBuilder().add_text("ding")
    async with world(tmp_path, desktop=desktop) as w:
        toasts = w.manager.toasts
        toasts.add_dismissed(lambda args: dismissed.add((args.id, args.tag, args.reason)))
        first = await toasts.show(text, tag="a", group="g", expires=timedelta(hours=1))
        second = await toasts.show(text.get_content(), tag="a", group="g")
        third = await toasts.show(text.get_xml(), tag="a")
        assert [toast.id for toast in await toasts.get_all()] == [second.id, third.id]
        assert first.id not in {second.id, third.id}
        await toasts.remove_by_tag_and_group("a", "other")
        assert len(await toasts.get_all()) == 2
        await toasts.remove_by_tag("a")
        assert await toasts.get_all() == []
        await toasts.remove_all()
        await dismissed.wait_for(3)
    removed = tocsin.ToastDismissalReason.APPLICATION_HIDDEN
    assert sorted(dismissed.items, key=str) == [
        (first.id, "a", tocsin.ToastDismissalReason.REPLACED),
        (second.id, "a", removed),
        (third.id, "a", removed),
    ]


async def test_progress_moves(tmp_path: Path) -> None:
    """By values that are bound to the toast; an update that is older than the last one changes nothing."""
    desktop = PlayedDesktop()
    async with world(tmp_path, desktop=desktop) as w:
        bar = tocsin.ToastContentBuilder().add_text("report.pdf").add_progress_bar("Download", "{done}")
        await w.manager.toasts.show(bar, tag="d", data={"done": "0.1"})
        for number, done in ((2, "0.5"), (1, "0.2")):
            result = await w.manager.toasts.update({"done": done}, "d", sequence_number=number)
            assert result is tocsin.AppNotificationProgressResult.SUCCEEDED
        assert await w.manager.toasts.update({}, "e") is tocsin.AppNotificationProgressResult.NOT_FOUND
        await anyio.wait_all_tasks_blocked()
    assert [popup.progress for popup, _ in desktop.asked] == [0.1, 0.5]


async def test_what_the_user_dismisses_is_told(tmp_path: Path) -> None:
    """Embedded too, where the toast outlives its popup in the list of what came."""
    desktop, seen = PlayedDesktop(), Gathered()
    async with world(tmp_path, desktop=desktop) as w:
        w.manager.toasts.add_dismissed(seen.add)
        toast = await w.manager.toasts.show(call(), tag="7")
        desktop.say(Closed(Handle("d1", 1), ClosedBy.USER))
        await seen.wait_for(1)
    reason = tocsin.ToastDismissalReason.USER_CANCELED
    assert seen.items == [tocsin.ToastDismissedEventArgs(toast.id, "7", "", reason)]


async def test_what_is_not_shown_has_its_reason(tmp_path: Path) -> None:
    """What the user has switched off and what is to be kept only is suppressed; what no desktop shows is an error."""
    desktop = PlayedDesktop()
    async with world(tmp_path, desktop=desktop) as w:
        toasts = w.manager.toasts
        kept = await toasts.show(call(), suppress_display=True)
        assert kept.outcome is Outcome.SUPPRESSED
        assert kept.reason
        assert [toast.id for toast in await toasts.get_all()] == [kept.id]
        await w.manager.conditions.set_app(toasts=False)
        off = await toasts.show(call())
        assert (off.id, off.outcome, off.reason) == (
            0,
            Outcome.SUPPRESSED,
            "the user has switched off toasts of this app",
        )
        assert toasts.setting == tocsin.AppNotificationSetting.DISABLED_FOR_APPLICATION
        await w.manager.conditions.set_app(toasts=True)
        desktop.failures.append(DesktopRefused("no room for it"))
        with pytest.raises(tocsin.NotShown, match="no room for it"):
            await toasts.show(call())
        with pytest.raises(tocsin.UnreadableContent):
            await toasts.show("<tile/>")
    assert len(desktop.asked) == 1
    async with world(tmp_path, desktop=PlayedDesktop("")) as w:
        absent = await w.manager.toasts.show(call())
        assert (absent.outcome, absent.reason) == (Outcome.SUPPRESSED, "there is no desktop")


async def test_tiles_and_the_badge_show_what_was_set_last(tmp_path: Path) -> None:
    """By the app or by a push, until they are cleared; what is no tile or badge changes nothing."""
    async with world(tmp_path, desktop=PlayedDesktop()) as w:
        tiles, badge = w.manager.tiles, w.manager.badge
        assert (await badge.get(), await tiles.get()) == (None, [])
        await badge.set(7)
        await tiles.update(TILE)
        await tiles.update(read_tile(TILE.encode()), "inbox", "t")
        assert await badge.get() == 7
        assert [(kept.tile, kept.tag, kept.content) for kept in await tiles.get()] == [
            ("inbox", "t", TILE),
            ("", "", TILE),
        ]
        await w.channel()
        w.platform.open_shell()  # no session of the app is waited for
        await w.service.send(evolve(payload("A"), type=NotificationType.BADGE, body=b'<badge value="newMessage"/>'))
        await w.service.expect_acknowledged("A")
        with anyio.fail_after(5):
            while await badge.get() != "newMessage":
                await anyio.lowlevel.checkpoint()
        with pytest.raises(tocsin.UnreadableContent):
            await tiles.update("<toast/>")
        await badge.clear()
        await tiles.clear()
        assert await badge.get() is None
        assert [kept.tile for kept in await tiles.get()] == ["inbox"]


@pytest.mark.parametrize("desktop", ["console", 7, object])
async def test_a_desktop_is_one(tmp_path: Path, desktop: Any) -> None:
    """What cannot show anything is refused before anything is opened."""
    with pytest.raises(tocsin.InvalidArgument, match="a desktop"):
        await tocsin.embedded("contoso.mail", tmp_path / "state", desktop=desktop).__aenter__()
    assert not (tmp_path / "state").exists()


@pytest.mark.skipif(sys.platform in {"darwin", "win32"}, reason="other systems have other programs")
@pytest.mark.parametrize("is_default", [True, False])
async def test_a_link_of_the_web_is_opened_by_the_desktop_of_the_system(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_default: bool
) -> None:
    """Where the program has brought a desktop of its own, it is a click as all others."""
    opened, program, link = tmp_path / "opened", tmp_path / "xdg-open", "https://contoso.example/"
    program.write_text(f'#!/bin/sh\necho "$@" > {opened}.new && mv {opened}.new {opened}\n', encoding="utf-8")
    program.chmod(0o700)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    desktop, seen = PlayedDesktop(), Gathered()
    monkeypatch.setattr("tocsin.api.embedded.default_desktop", lambda: desktop)
    given = None if is_default else desktop
    async with tocsin.embedded("contoso.mail", tmp_path / "state", "http://127.0.0.1:9", desktop=given) as manager:
        await manager.toasts.on_activated(seen.add)
        await manager.toasts.show(
            f'<toast launch="{link}" activationType="protocol"><visual><binding template="ToastGeneric"><text>a</text>'
            "</binding></visual></toast>"
        )
        desktop.press(1)
        if is_default:
            with anyio.fail_after(PATIENCE):
                while not await anyio.Path(opened).exists():  # noqa: ASYNC110  # another process writes it
                    await anyio.sleep(0.01)
        else:
            await seen.wait_for(1)
    assert len(seen.items) == (not is_default)
    assert opened.exists() == is_default
