"""Processes that take part in a bench: started from the repository, spoken to by lines of JSON, ended by their ids."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from time import clock_gettime
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
        """Wait for its next line, which is an object.

        :raises RuntimeError: it has ended instead.
        """
        found: dict[str, Any] = json.loads(self._read())
        return found

    def number(self) -> int:
        """Wait for its next line, which is a number."""
        return int(json.loads(self._read()))

    def tell(self, message: object) -> None:
        """Send it a line."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(message).encode() + b"\n")
        self._process.stdin.flush()

    def _read(self) -> bytes:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"a process of the bench ended with {self._process.wait()}: {self._process.args!r}")
        return line


def resident(process: int | str = "self") -> float:
    """Return how much memory a process holds, in MiB."""
    pages = int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / (1024 * 1024)


def cpu_seconds(process: int) -> float:
    """Return the time that a process and its children have used so far, for themselves and in the kernel; nothing of one that has ended."""
    clock = ~process << 3 | 2  # as clock_getcpuclockid(3) makes it, exact to the nanosecond where /proc counts ticks
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
        return clock_gettime(clock) + sum(cpu_seconds(int(child)) for child in children)
    except OSError:
        return 0.0


@contextmanager
def started(module: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Iterator[Process]:
    """Run a module as a process until the block is left; ``environment`` is None for that of this process."""
    command = [sys.executable, "-m", module, *arguments]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, cwd=ROOT, env=environment) as process:  # noqa: S603  # our own modules
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
