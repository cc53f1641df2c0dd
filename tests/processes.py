"""Real ``tocsin`` processes, and a sender over real HTTP."""

from __future__ import annotations

import json
import logging
import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    asynccontextmanager,
    contextmanager,
    redirect_stderr,
    redirect_stdout,
)
from io import StringIO
from pathlib import Path
from typing import Any

import aiohttp
import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from attrs import define

from tests.forked import Forked, Output, can_be_forked, forked
from tocsin.cli import main

PATIENCE = 20.0
"""Seconds after which a test gives up waiting for a process."""

RAW = {"X-WNS-Type": "wns/raw", "Content-Type": "application/octet-stream"}


@define
class Listening:
    """A running verb of ``tocsin`` that writes JSON lines, and its first line."""

    process: Process | Forked
    output: BufferedByteReceiveStream
    first: dict[str, Any]

    @property
    def uri(self) -> str:
        """The channel's URI."""
        return str(self.first["uri"])

    async def event(self) -> dict[str, Any]:
        """Wait for the next line."""
        with anyio.fail_after(PATIENCE):
            line = await self.output.receive_until(b"\n", 64 * 1024)
        event: dict[str, Any] = json.loads(line)
        return event

    async def rest(self) -> list[dict[str, Any]]:
        """Wait until the process has closed its output, and return the lines up to there."""
        events = []
        with anyio.fail_after(PATIENCE):
            while True:
                try:
                    events.append(json.loads(await self.output.receive_until(b"\n", 64 * 1024)))
                except anyio.IncompleteRead:
                    return events

    async def wait(self) -> int:
        """Wait for the exit code."""
        with anyio.fail_after(PATIENCE):
            return await self.process.wait()

    async def errors(self) -> str:
        """Return all that went to standard error."""
        assert self.process.stderr is not None
        return b"".join([chunk async for chunk in self.process.stderr]).decode()


def listening(state: Path, *options: str) -> AbstractAsyncContextManager[Listening]:
    """Run ``tocsin listen --json`` until the block is left, and wait for its channel."""
    return running("listen", "--json", "--state", str(state), *options)


@asynccontextmanager
async def running(*arguments: str, files: int | None = None) -> AsyncIterator[Listening]:
    """Run a verb of ``tocsin`` that writes JSON lines until the block is left, and wait for its first line.

    :param files: how many files it may open; None for as many as this process.
    """
    async with forked(*arguments) if files is None and can_be_forked() else _started(files, *arguments) as process:
        assert process.stdout is not None
        verb = Listening(process, BufferedByteReceiveStream(process.stdout), {})
        verb.first = await verb.event()
        yield verb


@asynccontextmanager
async def _started(files: int | None, *arguments: str) -> AsyncIterator[Process]:
    command = [sys.executable, "-m", "tocsin", *arguments]
    if files is not None:
        command = ["/bin/sh", "-c", f'ulimit -n {files} && exec "$@"', "sh", *command]
    async with await anyio.open_process(command, stdin=None, env=os.environ | {"PYTHONWARNINGS": "error"}) as process:
        try:
            yield process
        finally:
            if process.returncode is None:
                process.kill()


async def run(*arguments: str, stdin: bytes = b"", env: dict[str, str] | None = None) -> tuple[int, str, str]:
    """Run ``tocsin`` to its end and return exit code, output and errors."""
    if not stdin and env is None and can_be_forked():
        return await _forked_to_its_end(*arguments)
    with anyio.fail_after(PATIENCE):
        done = await anyio.run_process(
            [sys.executable, "-m", "tocsin", *arguments], input=stdin, check=False, env=os.environ | (env or {})
        )
    return done.returncode, done.stdout.decode(), done.stderr.decode()


async def _forked_to_its_end(*arguments: str) -> tuple[int, str, str]:
    said: dict[str, bytes] = {}

    async def read(name: str, output: Output) -> None:
        said[name] = b"".join([chunk async for chunk in output])

    with anyio.fail_after(PATIENCE):
        async with forked(*arguments) as process:
            async with anyio.create_task_group() as readers:
                readers.start_soon(read, "output", process.stdout)
                readers.start_soon(read, "errors", process.stderr)
            return await process.wait(), said["output"].decode(), said["errors"].decode()


@contextmanager
def untouched_logs() -> Iterator[None]:
    """Leave the logging of this process as it was."""
    root, frames = logging.getLogger(), logging.getLogger("tocsin.frames")
    handlers, levels = root.handlers[:], (root.level, frames.level)
    try:
        yield
    finally:
        root.handlers[:] = handlers
        root.setLevel(levels[0])
        frames.setLevel(levels[1])
        logging.captureWarnings(capture=False)


def call(*arguments: str) -> tuple[int, str, str]:
    """Run ``tocsin`` to its end in this thread, and return exit code, output and errors; a process costs half a second."""
    output, errors = StringIO(), StringIO()
    with untouched_logs(), redirect_stdout(output), redirect_stderr(errors):
        try:
            code: object = main(arguments)
        except SystemExit as left:  # wrong usage, help and the like
            code = left.code
    assert isinstance(code, int)
    return code, output.getvalue(), errors.getvalue()


class Sender:
    """A server that pushes."""

    def __init__(self, http: aiohttp.ClientSession, registration: dict[str, Any]) -> None:
        self._http = http
        self._registration = registration
        self.token = ""

    async def sign_in(self) -> None:
        """Get an access token."""
        form = {
            "grant_type": "client_credentials",
            "client_id": self._registration["client_id"],
            "client_secret": self._registration["client_secret"],
            "scope": "notify.windows.com",
        }
        async with self._http.post(self._registration["token_url"], data=form) as answer:
            assert answer.status == 200, await answer.text()
            self.token = (await answer.json())["access_token"]

    async def push(self, body: bytes, uri: str | None = None, **headers: str) -> tuple[int, dict[str, str]]:
        """Push, and return status and lower-cased headers."""
        own = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self._http.post(
            uri or self._registration["uri"],
            data=body,
            headers={"Authorization": f"Bearer {self.token}"} | RAW | own,
        ) as answer:
            await answer.read()
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}

    async def delete(self, match: str) -> int:
        """Delete toasts, and return the status."""
        headers = {"Authorization": f"Bearer {self.token}", "X-WNS-Match": match}
        async with self._http.delete(self._registration["uri"], headers=headers) as answer:
            await answer.read()
            return answer.status


@asynccontextmanager
async def sender(registration: dict[str, Any]) -> AsyncIterator[Sender]:
    """Sign in with what ``listen --json`` printed first."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as http:
        server = Sender(http, registration)
        await server.sign_in()
        yield server
