"""All that stands between a caller and the desktop of the one who is called, each in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
from attrs import define

import tocsin
from tests.cli.test_serve import ok
from tests.e2e.calling.spoken import Spoken, spoken, tocsin_words
from tests.e2e.desktops.desktop import Desktop, desktop
from tests.processes import PATIENCE

APP = "contoso.phone"
HUB = "contoso"
ROOT = Path(__file__).parents[3]


@define
class Push:
    """A push service with an app and a hub."""

    program: Spoken
    url: str
    app: dict[str, Any]
    sends: str
    """The connection string that may send."""


async def set_up_push(program: Spoken, state: Path) -> Push:
    """Wait for a ``tocsin serve``, and make an app and a hub."""
    url = str((await program.first())["url"])
    app = await ok("app", "add", APP, "--state", str(state))
    hub = await ok("hub", "add", HUB, "--state", str(state))
    return Push(program, url, app, hub["connection_strings"]["send"])


@define
class Calls:
    """A calling service that rings through a hub, and its users: Ann, who has the phone, and Tom."""

    program: Spoken
    state: Path
    url: str
    ann: dict[str, Any]
    tom: dict[str, Any]
    """As ``tocsin calling users add`` prints them: the raw id, and a token."""


async def set_up_calls(program: Spoken, state: Path) -> Calls:
    """Wait for a ``tocsin calling serve``, and add the users."""
    url = str((await program.first())["url"])
    users = [
        await ok("calling", "users", "add", name.lower(), "--display-name", name, "--state", str(state))
        for name in ("Ann", "Tom")
    ]
    return Calls(program, state, url, *users)


@define
class Device:
    """A desktop, and an agent that starts the apps of its user."""

    shown: Desktop
    agent: Spoken
    folder: Path

    @property
    def socket(self) -> Path:
        """Where apps reach the agent."""
        return self.folder / "agent.sock"

    @property
    def environment(self) -> dict[str, str]:
        """What an app needs to be on this device."""
        return {"TOCSIN_SOCKET": str(self.socket), "PYTHONPATH": str(ROOT)} | self.shown.environment


def private(path: Path, text: str) -> str:
    """Write a file that its user alone can read; return its name."""
    path.touch(0o600)
    path.write_text(text, encoding="utf-8")
    return str(path)


@define
class World:
    """All of it, and Ann's phone, which is set up and does not run."""

    push: Push
    calls: Calls
    device: Device
    home: Path
    """The phone's folder."""
    _begun: int = 0

    def begin(self) -> None:
        """Pass over what the phone has said so far."""
        self._begun = len(self.device.agent.lines)

    async def phone_says(self, words: str) -> None:
        """Wait until the phone has said something that begins so, in the agent's terminal."""
        await self.device.agent.wait_for(lambda line: line.get("text", "").startswith(words), self._begun)

    def shown(self) -> tuple[str, str]:
        """Return title and text of the toast that the desktop was given last."""
        last = self.device.shown.watcher.notified()[-1]
        return last.title, last.body.splitlines()[0]

    async def until_shown(self, title: str, text: str) -> None:
        """Wait until there is one toast, and it says that."""
        await self.device.shown.watcher.until(
            lambda notified: (notified.title, notified.body.splitlines()[0]) == (title, text)
        )
        await self.device.shown.until_shown()

    @property
    def phone_words(self) -> list[str]:
        """The command of the phone."""
        return [sys.executable, "-W", "error", str(ROOT / "examples" / "phone" / "phone.py"), str(self.home)]

    async def set_up_phone(self) -> None:
        """Let the phone register itself, and end it."""
        self.home.mkdir(mode=0o700)
        private(self.home / "token.txt", self.calls.ann["token"])
        told = {"calling_service": self.calls.url, "token_file": "token.txt", "remote_id": self.push.app["remote_id"]}
        private(self.home / "phone.toml", "".join(f"{name} = {json.dumps(value)}\n" for name, value in told.items()))
        log = self.device.folder / "phone.log"
        async with spoken(*self.phone_words, log=log, environment=self.device.environment) as phone:
            await phone.wait_for(lambda line: line["text"].startswith("calls start this phone until "))
            phone.process.send_signal(signal.SIGINT)
            with anyio.fail_after(PATIENCE):
                assert await phone.process.wait() == 130, phone.said

    def phones(self) -> list[int]:
        """Return the processes of the phone that run."""
        return [
            int(each.parent.name)
            for each in Path("/proc").glob("[0-9]*/cmdline")
            if _words(each)[-1:] == [os.fsencode(self.home)]
        ]

    async def end_phone(self) -> None:
        """Let the phone leave as by Ctrl-C, and wait until it has: the next call starts it anew."""
        for pid in self.phones():
            with suppress(ProcessLookupError):  # it has left by itself
                os.kill(pid, signal.SIGINT)
        with anyio.fail_after(PATIENCE):
            while self.phones():  # noqa: ASYNC110  # another process has started it
                await anyio.sleep(0.01)

    async def clear(self) -> None:
        """Take down all toasts of the phone."""
        async with tocsin.connect(APP, self.device.socket, command=self.phone_words) as manager:
            await manager.toasts.remove_all()
        await self.device.shown.until_shown(0)


def _words(command_line: Path) -> list[bytes]:
    try:
        return command_line.read_bytes().rstrip(b"\0").split(b"\0")
    except OSError:  # it has ended meanwhile
        return []


@asynccontextmanager
async def world(daemon: str, folder: Path, *, ring_time: float) -> AsyncIterator[World]:
    """Run all of it: what does not wait for each other starts at a time."""
    push_state, calls_state = folder / "push", folder / "calls"
    async with AsyncExitStack() as stack:

        async def start(*verb: str, **environment: str) -> Spoken:
            words = tocsin_words(*verb, "--json")
            return await stack.enter_async_context(
                spoken(*words, log=folder / f"{verb[0]}.log", environment=environment)
            )

        serve = await start("serve", "--state", str(push_state))
        shown = await stack.enter_async_context(desktop(daemon, folder))
        push = await set_up_push(serve, push_state)
        where = ["--state", str(folder / "agent"), "--socket", str(folder / "agent.sock")]
        agent = await start("agent", *where, "--service", push.url, **shown.environment)
        hub = ["--hub", HUB, "--hub-connection-file", private(folder / "send.txt", push.sends)]
        rings = ["--ring-time", str(ring_time), "--port", "0", "--state", str(calls_state)]
        calls = await set_up_calls(await start("calling", "serve", *rings, *hub), calls_state)
        await agent.first()
        found = World(push, calls, Device(shown, agent, folder), folder / "phone")
        await found.set_up_phone()
        try:
            yield found
        finally:
            await found.end_phone()
