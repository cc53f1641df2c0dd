"""A click on a toast reaches its app, in a process that runs or in one that the agent starts, also when one of them is killed."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.actors.shelling import PlayedDesktop, toast_xml
from tests.agent.test_agent import until
from tests.agent.world import PATIENCE, World, world
from tocsin import PushNotificationManager
from tocsin import ToastNotificationActivatedEventArgs as Args
from tocsin.shell.opener import PROGRAMS

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the agent is for POSIX")

PROGRAM = """
import asyncio, json, os, sys
from tocsin import connect, get_activated_event_args

def note(**what):
    line = json.dumps(what | {"argv": sys.argv[1:]}) + "\\n"
    log = os.open(sys.argv[1], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.write(log, line.encode())

async def main():
    async with connect("mail") as manager:
        if sys.argv[2] == "asks":
            args = await get_activated_event_args()
            note(kind=args.kind.name, data=args.data if isinstance(args.data, tuple) else args.data.argument)
            return
        done = asyncio.Event()

        async def handler(args):
            note(attempt=args.attempt, argument=args.argument)
            if args.attempt < int(sys.argv[3]):
                os.kill(os.getpid(), 9)
            done.set()

        await manager.toasts.on_activated(handler)
        await done.wait()

asyncio.run(main())
"""
"""An app that asks why it was started, or that takes clicks, and dies in its handler until the attempt that its words name."""


@pytest.fixture
def anyio_backend() -> str:
    """Sockets, SQLite and processes: on asyncio."""
    return "asyncio"


@pytest.fixture
def log(tmp_path: Path) -> Path:
    """Return where the app notes what it gets."""
    return tmp_path / "log"


class App:
    """An app that has shown a toast and has ended; what clicks start is ``PROGRAM``."""

    def __init__(self, w: World, log: Path, *words: str) -> None:
        self._w, self._log = w, log
        script = log.with_suffix(".py")
        script.write_text(PROGRAM, encoding="utf-8")
        self._command = [sys.executable, str(script), str(log), *words]

    def session(self) -> AbstractAsyncContextManager[PushNotificationManager]:
        """Let a session of it in."""
        return self._w.connect("mail", self._command)

    async def show(self, xml: bytes, *, starts: bool = True) -> None:
        """Show a toast, and end; where nothing ``starts`` it, clicks wait for a process of the app."""
        async with self.session() as manager:
            await manager.toasts.show(xml)
            if starts:
                await manager.toasts.on_activated(print)
                manager.toasts.remove_activated()

    async def noted(self, lines: int) -> list[dict[str, Any]]:
        """Wait until the app has noted so much, and return it."""
        await until(lambda: len(self.lines()) >= lines)
        return [json.loads(line) for line in self.lines()]

    def lines(self) -> list[str]:
        """Return what it has noted so far."""
        return self._log.read_text(encoding="utf-8").splitlines() if self._log.exists() else []


async def until_kept(w: World, clicks: int) -> None:
    """Wait until so many clicks are in the store: none, once their apps are through with them."""
    shell: Any = w.agent.platform.actors["shell"]._actor
    with anyio.fail_after(PATIENCE):
        while len((await shell._store.load()).activations) != clicks:  # noqa: ASYNC110  # the store tells of no change
            await asyncio.sleep(0.02)


def link_xml(link: str) -> bytes:
    """Write a toast that is a link."""
    return toast_xml(launch=link, actions="").replace(b"<toast ", b'<toast activationType="protocol" ')


class TestLaunched:
    """An app that does not run."""

    async def test_a_click_starts_it_once_and_tells_it_why(self, tmp_path: Path, log: Path) -> None:
        """Its command line has a claim, and nothing of the click."""
        desktop = PlayedDesktop()
        async with world(tmp_path, desktop) as w:
            app = App(w, log, "asks")
            await app.show(toast_xml(launch="inbox=5"))
            desktop.press(1)
            (noted,) = await app.noted(1)
            await until_kept(w, 0)
            assert (noted["kind"], noted["data"]) == ("TOAST_NOTIFICATION", "inbox=5")
            assert noted["argv"][2].startswith("----tocsin-toast:")
            assert "inbox" not in str(noted["argv"])

    async def test_a_link_of_its_own_comes_as_protocol(self, tmp_path: Path, log: Path) -> None:
        """As if the link had been opened elsewhere, but on no command line."""
        desktop = PlayedDesktop()
        async with world(tmp_path, desktop) as w:
            app = App(w, log, "asks")
            await app.show(link_xml("mail:inbox/5"))
            desktop.press(1)
            (noted,) = await app.noted(1)
            assert (noted["kind"], noted["data"]) == ("PROTOCOL", ["mail:inbox/5"])
            assert "inbox" not in str(noted["argv"])

    async def test_a_process_that_dies_with_a_click_is_followed_by_another(self, tmp_path: Path, log: Path) -> None:
        """Which has it with its attempt raised."""
        desktop = PlayedDesktop()
        async with world(tmp_path, desktop) as w:
            app = App(w, log, "takes", "3")
            await app.show(toast_xml())
            desktop.press(1, "0")
            noted = await app.noted(3)
            await until_kept(w, 0)
            assert [each["attempt"] for each in noted] == [1, 2, 3]
            assert {each["argument"] for each in noted} == {"yes"}


class TestRunning:
    """An app that runs."""

    async def test_its_handler_gets_the_click_and_nothing_is_started(self, tmp_path: Path, log: Path) -> None:
        """Once; with what was clicked."""
        desktop, found = PlayedDesktop(), list[Args]()
        async with world(tmp_path, desktop) as w, (app := App(w, log, "asks")).session() as manager:
            await manager.toasts.on_activated(found.append)
            await manager.toasts.show(toast_xml(), tag="t", group="g")
            desktop.press(1, "1")
            await until(lambda: bool(found))
            await until_kept(w, 0)
        (args,) = found
        assert (args.argument, args.tag, args.group, args.attempt) == ("no", "t", "g", 1)
        assert app.lines() == []

    async def test_a_click_of_before_a_restart_of_the_agent_still_arrives(self, tmp_path: Path, log: Path) -> None:
        """It waits in the store for a process of its app."""
        desktop, found = PlayedDesktop(), list[Args]()
        async with world(tmp_path, desktop) as w:
            await App(w, log).show(toast_xml(), starts=False)
            desktop.press(1)
            await until_kept(w, 1)
        async with world(tmp_path, PlayedDesktop("d2")) as w, w.connect("mail") as manager:
            await manager.toasts.on_activated(found.append)
            await until_kept(w, 0)
        assert [(each.argument, each.attempt) for each in found] == [("open", 1)]

    async def test_a_handler_that_runs_while_the_agent_is_away_is_not_called_again(self, tmp_path: Path) -> None:
        """The next agent hears that it is done."""
        found, go_on = list[Args](), anyio.Event()

        async def handler(args: Args) -> None:
            found.append(args)
            await go_on.wait()

        desktop = PlayedDesktop()
        async with anyio.create_task_group() as tasks:
            end, ended = anyio.Event(), anyio.Event()

            async def live(number: int, end: anyio.Event, *, task_status: Any) -> None:
                async with world(tmp_path, desktop if number == 1 else PlayedDesktop("d2")) as w:
                    task_status.started(w)
                    await end.wait()
                ended.set()

            first = await tasks.start(live, 1, end)
            async with first.connect("mail") as manager:
                await manager.toasts.on_activated(handler)
                await manager.toasts.show(toast_xml())
                desktop.press(1)
                await until(lambda: bool(found))
                end.set()
                await ended.wait()
                end = anyio.Event()
                second = await tasks.start(live, 2, end)
                await until(lambda: manager.status().connected)
                go_on.set()
                await until_kept(second, 0)
            end.set()
        assert len(found) == 1


async def test_a_link_of_the_web_is_opened_by_the_desktop(
    tmp_path: Path, log: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And its app is not started."""
    program = tmp_path / PROGRAMS[0]
    program.write_text(
        f'#!/bin/sh\necho "$@" > {tmp_path}/new && mv {tmp_path}/new {tmp_path}/opened\n', encoding="utf-8"
    )
    program.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    desktop, opened = PlayedDesktop(), tmp_path / "opened"
    async with world(tmp_path, desktop) as w:
        app = App(w, log, "asks")
        await app.show(link_xml("https://contoso.example/?a=$b"))
        desktop.press(1)
        await until(opened.exists)
        await until_kept(w, 0)
    assert opened.read_text(encoding="utf-8") == "https://contoso.example/?a=$b\n"
    assert app.lines() == []
