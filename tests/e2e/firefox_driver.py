"""Firefox without a screen, driven by WebDriver BiDi, which it serves itself: no driver is installed beside it."""

from __future__ import annotations

import base64
import json
import re
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final

import anyio
from anyio.abc import Process
from anyio.streams.text import TextReceiveStream
from websockets.asyncio.client import ClientConnection, connect

from tests.processes import PATIENCE

FIREFOX: Final = shutil.which("firefox-esr") or shutil.which("firefox")
"""The browser, where it is installed."""

_LISTENS: Final = re.compile(r"WebDriver BiDi listening on (ws://\S+)")
_STEADY: Final[Mapping[str, object]] = {
    "app.normandy.enabled": False,
    "app.update.auto": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "extensions.getAddons.cache.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.enabled": False,
}
"""Preferences with which it asks nothing of the network by itself."""


def write_preferences(profile: Path, preferences: Mapping[str, object]) -> None:
    """Write what a new profile's browser goes by."""
    profile.mkdir(parents=True, exist_ok=True)
    lines = [
        f"user_pref({json.dumps(name)}, {json.dumps(value)});" for name, value in {**_STEADY, **preferences}.items()
    ]
    (profile / "user.js").write_text("\n".join(lines), encoding="utf-8")


class Firefox:
    """A browser that runs, and its one tab."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._numbers = count(1)
        self._tab = ""

    async def begin(self) -> None:
        """Take over the browser, and its tab."""
        await self.command("session.new", capabilities={})
        tree = await self.command("browsingContext.getTree")
        self._tab = tree["contexts"][0]["context"]

    async def command(self, method: str, **params: Any) -> dict[str, Any]:
        """Have a command done, and return its result; what else the browser tells meanwhile is passed over."""
        number = next(self._numbers)
        await self._socket.send(json.dumps({"id": number, "method": method, "params": params}))
        with anyio.fail_after(PATIENCE):
            while True:
                answer = json.loads(await self._socket.recv())
                if answer.get("id") == number:
                    assert answer["type"] == "success", answer
                    result: dict[str, Any] = answer["result"]
                    return result

    async def visit(self, url: str) -> None:
        """Go to a page."""
        await self.command("browsingContext.navigate", context=self._tab, url=url, wait="complete")

    async def evaluate(self, expression: str) -> Any:
        """Have the page work something out, and return a text, number or the like."""
        said = await self.command(
            "script.evaluate", expression=expression, target={"context": self._tab}, awaitPromise=True
        )
        assert said["type"] == "success", said
        return said["result"].get("value")

    async def resize(self, width: int, height: int) -> None:
        """Give the tab that many pixels of CSS."""
        await self.command(
            "browsingContext.setViewport", context=self._tab, viewport={"width": width, "height": height}
        )

    async def picture(self) -> bytes:
        """Return what the tab shows, as PNG."""
        said = await self.command("browsingContext.captureScreenshot", context=self._tab)
        return base64.b64decode(said["data"])

    async def close(self) -> None:
        """Have it end by itself."""
        await self.command("browser.close")


@asynccontextmanager
async def browsing(profile: Path) -> AsyncIterator[Firefox]:
    """Run Firefox with a profile; in the end it closes as a user closes it, and is waited for."""
    assert FIREFOX is not None
    command = [FIREFOX, "--headless", "--no-remote", "--profile", str(profile), "--remote-debugging-port", "0"]
    async with await anyio.open_process(command, env=_environment(profile)) as process:
        try:
            with anyio.fail_after(PATIENCE):
                url = await _address(process)
            async with connect(f"{url}/session", max_size=None, compression=None) as socket:
                firefox = Firefox(socket)
                await firefox.begin()
                yield firefox
                await firefox.close()
            with anyio.fail_after(PATIENCE):
                await process.wait()
        finally:
            if process.returncode is None:
                process.kill()


def _environment(profile: Path) -> dict[str, str]:
    return {"HOME": str(profile), "PATH": "/usr/bin:/bin", "MOZ_HEADLESS": "1", "MOZ_CRASHREPORTER_DISABLE": "1"}


async def _address(process: Process) -> str:
    """Wait until the browser says where it listens."""
    assert process.stderr is not None
    said = ""
    async for text in TextReceiveStream(process.stderr, errors="replace"):
        said += text
        found = _LISTENS.search(said)
        if found is not None:
            return found[1]
    raise AssertionError(f"Firefox has ended: {said}")
