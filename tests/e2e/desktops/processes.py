"""Programs that run for as long as a block."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from anyio.abc import Process

PATIENCE = 20.0
"""Seconds after which something that a program should do is given up."""


@asynccontextmanager
async def running(command: list[str], environment: Mapping[str, str], log: Path) -> AsyncIterator[Process]:
    """Run a program; its output is for the block, what else it says goes to a log, and at the end it is killed."""
    with log.open("ab") as errors:
        process = await anyio.open_process(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors, env=environment
        )
    try:
        yield process
    finally:
        with anyio.CancelScope(shield=True):
            if process.returncode is None:
                process.kill()
            await process.aclose()


async def first_line(process: Process, log: Path) -> str:
    """Wait for the first line that a program writes."""
    assert process.stdout is not None
    line = b""
    with anyio.fail_after(PATIENCE):
        while not line.endswith(b"\n"):
            try:
                line += await process.stdout.receive()
            except anyio.EndOfStream:
                raise AssertionError(await anyio.Path(log).read_text(errors="replace")) from None
    return line.decode().strip()
