"""A person's terminal, for what is tried as a person would do it."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.streams.buffered import BufferedByteReceiveStream

from tests.processes import PATIENCE

ROOT = Path(__file__).parents[2]


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


async def next_line(output: BufferedByteReceiveStream) -> str:
    """Wait for the next line."""
    with anyio.fail_after(PATIENCE):
        return (await output.receive_until(b"\n", 4096)).decode()


def free_port() -> int:
    """Find a port that no socket listens on."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
    return port


def ipv6() -> bool:
    """Tell whether this machine has addresses of that family."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return True
    except OSError:
        return False
