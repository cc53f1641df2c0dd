"""Processes as /proc tells of them; those of a run have its folder in their environment."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from tests.e2e.agent_kills.programs import MARKER
from tests.e2e.agent_kills.woken import Folder


def launched(folder: Folder) -> list[int]:
    """Return the processes that were launched in a run, whatever their parent is by now."""
    variable = f"{MARKER}={folder.path}".encode()
    return [pid for pid in pids() if variable in _environment(pid)]


def children(parent: int) -> list[int]:
    """Return the children of a process, with those that have ended and that it has not taken leave of."""
    return [pid for pid in pids() if stat(pid)[1] == b"%d" % parent]


def pids() -> Iterator[int]:
    """Return the numbers of all processes."""
    return (int(name) for name in os.listdir("/proc") if name.isdigit())  # noqa: PTH208  # names are enough


def _environment(pid: int) -> list[bytes]:
    with suppress(OSError):  # it has ended, or is another user's
        return Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return []


def age(pid: int) -> float:
    """Return for how many seconds a process has been there."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - int(stat(pid)[19]) / os.sysconf("SC_CLK_TCK")


def stat(pid: int) -> list[bytes]:
    """Return what /proc says of a process, from its state on; zeros where it has ended."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    return [b"0"] * 20


def words(pid: int) -> str:
    """Return the command line of a process."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return "it has just ended"


def kill(pid: int) -> bool:
    """Kill a process, and tell whether it was there."""
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        return False
    return True
