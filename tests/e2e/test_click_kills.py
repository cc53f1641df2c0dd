"""One click, one activation, at any kill: of the agent, or of the process that has the click."""

from __future__ import annotations

import json
import os
import random
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from typing import Any

import anyio
import pytest

from tests.actors.shelling import toast_xml
from tocsin import PushNotificationManager, connect
from tocsin.protocol.errors import PushError

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="the agent is for POSIX")

KILLS = int(os.environ.get("TOCSIN_CLICK_KILLS", "4"))
"""How often something is killed, for each kind of app; more by hand."""
PATIENCE = 20.0


@pytest.fixture
def anyio_backend() -> str:
    """Sockets and processes: on asyncio."""
    return "asyncio"


class Run:
    """An agent that is killed and started again, and what the processes of the app have noted."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._agent: anyio.abc.Process

    async def start(self) -> None:
        """Start the agent, and wait until apps may come."""
        words = [sys.executable, "-m", "tests.e2e.click_kills", "agent", str(self.folder)]
        self._agent = await anyio.open_process(words, stderr=None)
        assert self._agent.stdout is not None
        with anyio.fail_after(PATIENCE):
            assert await self._agent.stdout.receive() == b"ready\n"

    async def kill_agent(self) -> None:
        """Kill it, whatever it is doing."""
        self._agent.kill()
        await self._agent.aclose()

    def kill_app(self) -> None:
        """Kill the newest process of the app, if it is still there."""
        started = [each["pid"] for each in self.noted() if "up" in each]
        with suppress(OSError):  # it has ended already
            if os.fsencode(self.folder) in Path(f"/proc/{started[-1] if started else 0}/cmdline").read_bytes():
                os.kill(started[-1], signal.SIGKILL)

    def noted(self) -> list[dict[str, Any]]:
        """Return what was noted so far."""
        log = self.folder / "log"
        return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()] if log.exists() else []

    def attempts(self, click: str) -> list[int]:
        """Return the attempts of a click that have reached the app."""
        return [each["attempt"] for each in self.noted() if each.get("began") == click]

    def kept(self) -> int:
        """Return how many clicks are in the store."""
        with sqlite3.connect(f"file:{self.folder}/state/shell.db?mode=ro", uri=True) as database:
            (count,) = database.execute("SELECT count(*) FROM activation").fetchone()
        database.close()
        return int(count)

    async def until_done(self, click: str) -> None:
        """Wait until the app has had a click, and nothing of it is kept any more."""
        with anyio.fail_after(PATIENCE):
            while not self.attempts(click) or self.kept():  # noqa: ASYNC110  # other processes write both
                await anyio.sleep(0.02)

    def app(self, words: Sequence[str]) -> AbstractAsyncContextManager[PushNotificationManager]:
        """Let a session of the app in."""
        return connect("mail", self.folder / "s", command=words)

    async def register(self, how: str) -> None:
        """Let clicks start the app."""
        words = [sys.executable, "-m", "tests.e2e.click_kills", "app", str(self.folder), how]
        async with self.app(words) as manager:
            await manager.toasts.on_activated(print)

    async def show(self, click: str) -> bool:
        """Show a toast, which is clicked at once; tell whether it was shown, or the agent killed before that was known."""
        try:
            async with self.app([sys.executable, "-c", "pass"]) as manager:
                await manager.toasts.show(toast_xml(launch=click))
        except PushError:
            return False
        return True


@pytest.fixture
async def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Run]:
    """Run an agent; what is launched finds the tests."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    monkeypatch.setattr("tocsin.api.connect.PARTING", 0.1)
    found = Run(tmp_path)
    await found.start()
    yield found
    await found.kill_agent()


@pytest.mark.parametrize("how", ["asks", "takes"])
async def test_no_kill_loses_or_doubles_a_click(run: Run, how: str) -> None:
    """Each click on a toast that was shown reaches the app; if it does so twice, the app can tell by its attempt."""
    await run.register(how)
    chance = random.Random(17)  # noqa: S311  # no secret
    for number in range(KILLS):
        click, kills_agent = f"{how}{number}", number % 2 == 0
        async with anyio.create_task_group() as tasks:
            shown: list[bool] = []

            async def show(click: str = click, shown: list[bool] = shown) -> None:
                shown.append(await run.show(click))

            tasks.start_soon(show)
            await anyio.sleep(chance.uniform(0.0, 0.5))
            if kills_agent:
                await run.kill_agent()
                await run.start()
            else:
                run.kill_app()
        if shown == [True]:
            await run.until_done(click)
        attempts = run.attempts(click)
        assert attempts == sorted(set(attempts)), f"{click} came twice as the same attempt"
