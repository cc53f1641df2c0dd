"""What a program says, line by line, from its start."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import Process
from anyio.streams.buffered import BufferedByteReceiveStream
from attrs import define, field

from tests.processes import PATIENCE

_LONGEST = 64 * 1024  # bytes of a line


@define(eq=False)
class Spoken:
    """A running program that writes lines; those that are JSON objects are kept as such, the others as ``{"text": ...}``."""

    process: Process
    log: Path
    """What it, and what it starts, say on standard error."""
    lines: list[dict[str, Any]] = field(factory=list)
    _more: anyio.Event = field(factory=anyio.Event, init=False)
    _ended: bool = field(default=False, init=False)

    async def listen(self) -> None:
        """Read until the program closes its output."""
        assert self.process.stdout is not None
        output = BufferedByteReceiveStream(self.process.stdout)
        try:
            while True:
                self._take((await output.receive_until(b"\n", _LONGEST)).decode())
        except (anyio.IncompleteRead, anyio.ClosedResourceError):
            self._ended = True
            self._wake()

    async def wait_for(self, what: Callable[[dict[str, Any]], object], since: int = 0) -> dict[str, Any]:
        """Wait for a line of which something holds.

        :param since: how many lines are passed over.
        """
        try:
            with anyio.fail_after(PATIENCE):
                while True:
                    for line in self.lines[since:]:
                        if what(line):
                            return line
                    assert not self._ended, "it has ended"
                    await self._more.wait()
        except (TimeoutError, AssertionError) as failure:
            raise AssertionError(f"{failure}; it said {self.lines[since:]} and {self.said}") from None

    async def first(self) -> dict[str, Any]:
        """Wait for the first line."""
        return await self.wait_for(lambda _: True)

    @property
    def said(self) -> str:
        """What is in the log."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def _take(self, line: str) -> None:
        try:
            found = json.loads(line)
        except ValueError:
            found = line
        self.lines.append(found if isinstance(found, dict) else {"text": line})
        self._wake()

    def _wake(self) -> None:
        more, self._more = self._more, anyio.Event()
        more.set()


@asynccontextmanager
async def spoken(*command: str, log: Path, environment: Mapping[str, str] | None = None) -> AsyncIterator[Spoken]:
    """Run a program until the block is left; then it is asked to end, and made to.

    :param environment: what it has beside that of this process.
    """
    with log.open("ab") as errors:
        process = await anyio.open_process(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={**os.environ, "PYTHONWARNINGS": "error", **(environment or {})},
        )
    async with process, anyio.create_task_group() as tasks:
        program = Spoken(process, log)
        tasks.start_soon(program.listen)
        try:
            yield program
        finally:
            with anyio.CancelScope(shield=True):
                await _end(process)
            tasks.cancel_scope.cancel()


async def _end(process: Process) -> None:
    if process.returncode is None:
        process.terminate()
        with anyio.move_on_after(PATIENCE):
            await process.wait()
            return
        process.kill()


def tocsin_words(*arguments: str) -> list[str]:
    """Return the command of a verb of ``tocsin``."""
    return [sys.executable, "-m", "tocsin", *arguments]
