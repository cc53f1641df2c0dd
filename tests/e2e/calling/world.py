"""All that stands between a caller and the desktop of the one who is called, each in a process of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import define

from tests.cli.test_serve import ok
from tests.e2e.calling.spoken import Spoken, spoken, tocsin_words
from tests.e2e.desktops.desktop import Desktop, desktop

APP = "contoso.phone"
HUB = "contoso"
ROOT = Path(__file__).parents[3]


@define
class Push:
    """A push service with an app and a hub."""

    program: Spoken
    state: Path
    url: str
    app: dict[str, Any]
    sends: str
    """The connection string that may send."""


@asynccontextmanager
async def push_service(folder: Path) -> AsyncIterator[Push]:
    """Run ``tocsin serve`` with an app and a hub."""
    state = folder / "push"
    words = tocsin_words("serve", "--json", "--state", str(state))
    async with spoken(*words, log=folder / "push.log") as program:
        url = str((await program.first())["url"])
        app = await ok("app", "add", APP, "--state", str(state))
        hub = await ok("hub", "add", HUB, "--state", str(state))
        yield Push(program, state, url, app, hub["connection_strings"]["send"])


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


@asynccontextmanager
async def device(daemon: str, folder: Path, service: str) -> AsyncIterator[Device]:
    """Run a desktop with a notification daemon, and an agent whose push service runs elsewhere."""
    words = tocsin_words("agent", "--json", "--service", service)
    words += ["--state", str(folder / "agent"), "--socket", str(folder / "agent.sock")]
    async with (
        desktop(daemon, folder) as shown,
        spoken(*words, log=folder / "agent.log", environment=shown.environment) as agent,
    ):
        await agent.first()
        yield Device(shown, agent, folder)
