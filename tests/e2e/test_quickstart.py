"""The first ten minutes, as ``docs/quickstart.md`` tells them: its commands and programs, one after the other."""

from __future__ import annotations

import json
import os
import re
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.processes import PATIENCE
from tocsin import cli

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "quickstart.md").read_text(encoding="utf-8")
PROGRAMS = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL))
COMMANDS = re.findall(r"^```sh\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)

pytestmark = pytest.mark.skipif("serve" not in cli.VERBS, reason="there is no tocsin serve yet")


class Terminal:
    """A shell with its folder, in which ``tocsin`` and ``python`` are those under test, and its variables."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.variables = {"PYTHONPATH": str(ROOT), "SERVICE": f"http://127.0.0.1:{port}"}
        for name, words in {"tocsin": "-m tocsin", "python": "", "python3": ""}.items():
            script = folder / "bin" / name
            script.parent.mkdir(exist_ok=True)
            script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {words} "$@"\n', encoding="utf-8")
            script.chmod(0o755)

    async def run(self, command: str) -> str:
        """Run a command to its end, and return what it printed."""
        with anyio.fail_after(PATIENCE):
            done = await anyio.run_process(self._here(command), cwd=self.folder, env=self._env(), check=False)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    @asynccontextmanager
    async def running(self, command: str) -> AsyncIterator[BufferedByteReceiveStream]:
        """Run a command for as long as the block lasts, and give what it prints."""
        async with await anyio.open_process(
            self._here(f"exec {command}"), stdin=None, stderr=None, cwd=self.folder, env=self._env()
        ) as process:
            assert process.stdout is not None
            try:
                yield BufferedByteReceiveStream(process.stdout)
            finally:
                process.terminate()

    def _here(self, command: str) -> list[str]:
        return ["bash", "-c", command.replace("8080", str(self.port))]

    def _env(self) -> dict[str, str]:
        return os.environ | self.variables | {"PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}"}


async def line(output: BufferedByteReceiveStream) -> str:
    """Wait for the next line."""
    with anyio.fail_after(PATIENCE):
        return (await output.receive_until(b"\n", 4096)).decode()


def command(beginning: str) -> str:
    """Find the command of the page that begins like this."""
    (found,) = [each for each in COMMANDS if each.startswith(beginning)]
    return str(found).strip()


async def test_the_first_ten_minutes(tmp_path: Path) -> None:
    """Whoever follows the page gets what it says, three times over."""
    for name, program in PROGRAMS.items():
        (tmp_path / name).write_text(program, encoding="utf-8")
    with socket.create_server(("127.0.0.1", 0)) as free:
        terminal = Terminal(tmp_path, free.getsockname()[1])
    app = json.loads(await terminal.run(command("tocsin app add") + " --json"))
    terminal.variables |= {name.upper(): app[name] for name in ("remote_id", "client_id", "client_secret")}
    async with terminal.running(command("tocsin serve")) as service:
        await line(service)
        async with terminal.running("python app.py") as printed:
            terminal.variables["CHANNEL"] = (await line(printed)).removeprefix("my channel: ").strip()
            answer = await terminal.run(command("TOKEN="))
            assert answer.startswith("HTTP/1.1 200 OK")
            assert "x-wns-status: received" in answer.lower()
            assert await line(printed) == "got hello from curl"
            assert (await terminal.run(command("tocsin send"))).startswith("received, message id ")
            assert await line(printed) == "got hello from a script"
            assert (await terminal.run("python server.py")).startswith("received - ")
            assert await line(printed) == "got hello from the server"
