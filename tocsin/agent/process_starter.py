"""Starts the process of an app's command: in a thread, as a file system may block, with the agent's socket in its environment."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Protocol

import anyio

from tocsin.agent.command_files import stamps_of
from tocsin.child_process import ChildProcess, ProcessEnd
from tocsin.protocol.platform.command import Command
from tocsin.protocol.platform.launched_work import FileStamp
from tocsin.protocol.text import harmless

MAX_SHOWN = 200
"""Characters of a command that a sentence shows at most."""

SOCKET_VARIABLE = b"TOCSIN_SOCKET"
"""Where a launched process finds the agent's socket."""


class NotStarted(Exception):
    """The process could not be started; its text says why."""


class LaunchedProcess(Protocol):
    """What the launcher needs of a process; ``ChildProcess`` is one."""

    @property
    def pid(self) -> int:
        """Return its number, by which its sessions are known."""
        ...

    async def wait(self) -> None:
        """Wait until it has ended."""
        ...

    def send(self, number: signal.Signals) -> None:
        """Send a signal to it and to what it has started."""
        ...

    def reap(self) -> ProcessEnd:
        """Take leave of it after its end, and return how it ended."""
        ...

    def release(self) -> None:
        """Watch it no longer."""
        ...


Started = tuple[Mapping[bytes, FileStamp], LaunchedProcess]
"""The files of a command as they were when it was started, and its process."""

StartProcess = Callable[[Command, tuple[bytes, ...], Mapping[bytes, bytes]], Awaitable[Started]]
"""Starts a process of a command with these words and this environment; it raises OSError where that cannot be."""


class ProcessStarter:
    """Starts processes.

    :param socket: the agent's socket.
    :param places: how many are started at a time; a file system that hangs takes no thread of others.
    :param start: starts a process; None starts one of the system's, in a thread.
    """

    def __init__(self, socket: Path, places: int, start: StartProcess | None = None) -> None:
        self._socket = os.fsencode(socket)
        self._threads = anyio.CapacityLimiter(places)
        self._start = start or self._start_in_thread

    async def start(self, command: Command, claim: bytes) -> Started:
        """Start the process of a command, whose last word is the claim.

        :raises NotStarted: it cannot be.
        """
        environment = dict(_parted(entry) for entry in command.environment) | {SOCKET_VARIABLE: self._socket}
        try:
            return await self._start(command, (*command.words, claim), environment)
        except (OSError, RuntimeError) as failure:  # no thread, the latter
            raise NotStarted(_reason(failure, command)) from failure

    async def _start_in_thread(
        self, command: Command, words: tuple[bytes, ...], environment: Mapping[bytes, bytes]
    ) -> Started:
        return await anyio.to_thread.run_sync(_begin, command, words, environment, limiter=self._threads)


def _begin(command: Command, words: tuple[bytes, ...], environment: Mapping[bytes, bytes]) -> Started:
    """Start the process of a command; return its files as they were then, too.

    :raises OSError: it cannot be started.
    """
    return stamps_of(command), ChildProcess.start(words, command.folder, environment)


def _parted(entry: bytes) -> tuple[bytes, bytes]:
    """Take a variable apart."""
    name, _, value = entry.partition(b"=")
    return name, value


def _reason(failure: OSError | RuntimeError, command: Command) -> str:
    """Say why a process could not be started."""
    if not isinstance(failure, OSError) or failure.errno is None:
        return str(failure) or type(failure).__name__
    words = os.strerror(failure.errno)
    if failure.filename == command.folder:
        return f"its working folder '{harmless(os.fsdecode(command.folder), MAX_SHOWN)}': {words}"
    if failure.errno == errno.ENOENT and Path(os.fsdecode(command.words[0])).exists():
        return f"the interpreter that its first line names: {words}"
    return words
