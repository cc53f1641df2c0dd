"""Real agents, and what the apps that they serve have noted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from attrs import define, frozen

from tests.processes import PATIENCE, Sender, call, sender

TOAST = {"X-WNS-Type": "wns/toast", "Content-Type": "text/xml"}
"""What may be pushed without a body."""


@frozen
class Journal:
    """What the processes of an app have noted."""

    path: Path

    def events(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of a kind, in their order."""
        with suppress(FileNotFoundError):
            every = [json.loads(line) for line in self.path.read_text(encoding="utf-8").splitlines()]
            return [each for each in every if each["event"] == kind]
        return []

    async def wait_for(self, kind: str, number: int = 1) -> list[dict[str, Any]]:
        """Wait for so many events of a kind."""
        with anyio.fail_after(PATIENCE):
            while len(found := self.events(kind)) < number:  # noqa: ASYNC110  # another process writes
                await anyio.sleep(0.01)
        return found

    def payloads(self, kind: str = "done") -> list[bytes]:
        """Return the payloads of the events of a kind."""
        return [bytes.fromhex(each["payload"]) for each in self.events(kind)]


async def in_process(*arguments: str) -> tuple[int, str, str]:
    """Run ``tocsin`` beside the test's event loop, and return exit code, output and errors."""
    return await anyio.to_thread.run_sync(call, *arguments)


@define
class Agent:
    """A running agent."""

    process: subprocess.Popen[bytes]
    folder: Path

    @property
    def state(self) -> Path:
        """Its state folder."""
        return self.folder / "state"

    @property
    def socket(self) -> Path:
        """Where apps connect."""
        return self.folder / "agent.sock"

    @property
    def said(self) -> str:
        """What it has logged."""
        return (self.folder / "agent.log").read_text(encoding="utf-8")

    def journal(self, app: str) -> Journal:
        """Return what the processes of an app note."""
        return Journal(self.folder / f"{app}.jsonl")

    def words(self, app: str, *options: str, module: str = "tests.e2e.agent_app") -> list[str]:
        """Return the command of an app."""
        return [sys.executable, "-m", module, app, str(self.journal(app).path), *options]

    @asynccontextmanager
    async def app(
        self, app: str, *options: str, ready: int = 1, module: str = "tests.e2e.agent_app"
    ) -> AsyncIterator[Process]:
        """Start a process of an app, and wait until it is ready; at the end it is killed, if it still runs.

        :param ready: how many of the app are ready by then.
        :param module: its program.
        """
        environment = os.environ | {"TOCSIN_SOCKET": str(self.socket)}
        async with await anyio.open_process(
            self.words(app, *options, module=module), stdin=None, stdout=None, stderr=None, env=environment
        ) as process:
            try:
                await self.journal(app).wait_for("ready", ready)
                yield process
            finally:
                if process.returncode is None:
                    process.kill()

    async def install(self, app: str, *options: str) -> None:
        """Let an app register itself, and leave."""
        async with self.app(app, *options) as process:
            with anyio.fail_after(PATIENCE):
                assert await process.wait() == 0

    @asynccontextmanager
    async def server_of(self, app: str) -> AsyncIterator[Sender]:
        """Sign in as the server of an app."""
        async with sender(self.journal(app).events("ready")[0]) as server:
            yield server

    async def push(self, app: str, *bodies: bytes) -> None:
        """Push to an app; an empty body goes as a toast, as a raw notification must not be empty."""
        async with self.server_of(app) as server:
            for body in bodies:
                status, headers = await server.push(body, **({} if body else TOAST))
                assert (status, headers["x-wns-status"]) == (200, "received"), headers

    async def dead_letters(self, app: str) -> list[dict[str, Any]]:
        """Return what ``tocsin dead-letters`` shows of an app."""
        code, output, errors = await in_process("dead-letters", "--json", "--state", str(self.state))
        assert code == 0, errors
        return [letter for letter in map(json.loads, output.splitlines()) if letter["app"] == app]

    async def until_dead(self, app: str, number: int = 1) -> list[dict[str, Any]]:
        """Wait for so many dead letters of an app."""
        with anyio.fail_after(PATIENCE):
            while len(found := await self.dead_letters(app)) < number:  # noqa: ASYNC110  # another process writes
                await anyio.sleep(0.1)
        return found

    async def forget(self, app: str) -> None:
        """Have an app removed: what it has in hand is not begun again."""
        code, _, errors = await in_process("agent", "forget", app, "--state", str(self.state))
        assert code == 0, errors

    def stop(self) -> None:
        """End it, and wait for that."""
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()

    def die(self) -> None:
        """Kill it, as a full memory does."""
        self.process.kill()
        self.stop()


def start_agent(folder: Path, *options: str, environment: Mapping[str, str] | None = None) -> Agent:
    """Start an agent, and wait until it serves; ``environment`` is added to that of this process."""
    command = [sys.executable, "-m", "tocsin", "agent", "--json", *options]
    command += ["--state", str(folder / "state"), "--socket", str(folder / "agent.sock")]
    with (folder / "agent.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603  # our own
            command, stdout=subprocess.PIPE, stderr=log, env=os.environ | (environment or {})
        )
    assert process.stdout is not None
    assert process.stdout.readline(), (folder / "agent.log").read_text(encoding="utf-8")
    return Agent(process, folder)


@contextmanager
def running_agent(folder: Path, *, environment: Mapping[str, str] | None = None) -> Iterator[Agent]:
    """Run an agent until the block is left; ``environment`` is added to that of this process."""
    agent = start_agent(folder, environment=environment)
    try:
        yield agent
    finally:
        agent.stop()
