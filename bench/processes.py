"""Processes that take part in a bench: started from the repository, spoken to by lines of JSON, ended by their ids."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
"""Where the packages ``bench`` and ``tocsin`` are."""

_PATIENCE = 10.0  # seconds for a process to end when asked to


class Process:
    """A Python process whose standard input and output carry one JSON object a line."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its process id."""
        return self._process.pid

    def line(self) -> dict[str, Any]:
        """Wait for its next line.

        :raises RuntimeError: it has ended instead.
        """
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the bench ended with {self._process.wait()}: {self._process.args!r}")
        found: dict[str, Any] = json.loads(line)
        return found

    def tell(self, message: object) -> None:
        """Send it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()


@contextmanager
def started(module: str, *arguments: str) -> Iterator[Process]:
    """Run a module as a process until the block is left."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as process:  # noqa: S603  # our own modules
        try:
            yield Process(process)
        finally:
            end(process)


def end(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, and make it end."""
    process.terminate()
    try:
        process.wait(_PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
