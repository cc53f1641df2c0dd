"""An agent on a desktop with a real daemon: what is pushed to its apps, and what is seen of it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import anyio
from attrs import asdict, field, frozen

import tocsin
from tests.e2e.agents import TOAST, Agent, Journal, running_agent
from tests.e2e.desktops.bus import Notified
from tests.e2e.desktops.desktop import Desktop, desktop
from tests.processes import PATIENCE, sender
from tocsin import ToastNotificationActivatedEventArgs as Clicked
from tocsin.transport.control_socket import follow

CHAT = ("Andrew sent you a picture", "Check this out, The Enchantments in Washington")
BUTTONS = {"Reply": "action=reply&id=42", "Like": "action=like&id=42"}


def toast(*texts: str, launch: str = "", buttons: Mapping[str, str] | None = None, scenario: str = "") -> bytes:
    """Write a toast; buttons are their arguments by their labels."""
    lines = "".join(f"<text>{escape(text)}</text>" for text in texts)
    actions = "".join(
        f"<action content={quoteattr(label)} arguments={quoteattr(argument)}/>"
        for label, argument in (buttons or {}).items()
    )
    visual = f'<visual><binding template="ToastGeneric">{lines}</binding></visual>'
    wishes = f" launch={quoteattr(launch)}" + (f" scenario={quoteattr(scenario)}" if scenario else "")
    return f"<toast{wishes}>{visual}<actions>{actions}</actions></toast>".encode()


@frozen
class RunningApp:
    """An app that runs in this process, and what it has heard of its toasts."""

    manager: tocsin.PushNotificationManager
    registration: dict[str, Any]
    clicks: list[Clicked] = field(factory=list)

    async def post(self, content: bytes, **headers: str) -> None:
        """Push a toast to it."""
        async with sender(self.registration) as server:
            status, answered = await server.push(content, **TOAST, **headers)
            assert (status, answered["x-wns-status"]) == (200, "received"), answered

    async def until_clicked(self, number: int = 1) -> list[Clicked]:
        """Wait for so many clicks."""
        with anyio.fail_after(PATIENCE):
            while len(self.clicks) < number:  # noqa: ASYNC110  # a handler of this process notes them
                await anyio.sleep(0.01)
        return self.clicks


@frozen
class Tried:
    """Both, running, and what has become of each toast, as ``tocsin tail`` tells it."""

    shown: Desktop
    agent: Agent
    ends: list[dict[str, Any]] = field(factory=list)

    @property
    def notified(self) -> Notified:
        """The last call of ``Notify``."""
        return self.shown.watcher.notified()[-1]

    @asynccontextmanager
    async def app(self, name: str) -> AsyncIterator[RunningApp]:
        """Run an app in this process until the block is left."""
        async with tocsin.connect(name, self.agent.socket, command=("/bin/true",)) as manager:
            assert manager.registration is not None
            channel = (await manager.create_channel(manager.registration.remote_id)).channel
            assert channel is not None
            app = RunningApp(manager, {"uri": channel.uri} | asdict(manager.registration))
            await manager.toasts.on_activated(app.clicks.append)
            yield app

    async def install(self, name: str) -> Journal:
        """Let an app get its channel in a process of its own, and leave; return what it notes."""
        journal = self.agent.journal(name)
        async with self.agent.app(name, module="tests.e2e.desktops.app") as process:
            with anyio.fail_after(PATIENCE):
                assert await process.wait() == 0
        return journal

    async def until_ended(self, number: int) -> list[dict[str, Any]]:
        """Wait until so many toasts have their end."""
        with anyio.fail_after(PATIENCE):
            while len(self.ends) < number:  # noqa: ASYNC110  # a task notes them
                await anyio.sleep(0.01)
        return self.ends

    async def follow(self) -> None:
        """Note what becomes of toasts."""
        stages = ["shown", "suppressed", "dead"]
        request = {"verb": "tail", "apps": [], "channels": [], "types": ["toast"], "stages": stages}
        async with aclosing(follow(self.agent.state, request)) as events:
            async for event in events:
                self.ends.append(event)


@asynccontextmanager
async def tried(shown: Desktop, folder: Path) -> AsyncIterator[Tried]:
    """Run an agent on a desktop."""
    with running_agent(folder, environment=shown.environment) as agent:
        both = Tried(shown, agent)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(both.follow)
            yield both
            tasks.cancel_scope.cancel()


@asynccontextmanager
async def tried_daemon(name: str, folder: Path) -> AsyncIterator[Tried]:
    """Run a daemon, and an agent beside it."""
    async with desktop(name, folder) as shown, tried(shown, folder) as both:
        yield both
