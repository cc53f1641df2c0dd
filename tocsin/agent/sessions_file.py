"""The file in which an agent notes the processes that have sessions, for the agent that comes after it.

It is one line that is written over in its place: it counts in this run of the machine only, so it need not outlive a loss of power.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Final

import anyio
from attrs import astuple

from tocsin.actors.returning_processes import ReturningProcesses
from tocsin.private_file import NO_LINKS, PRIVATE, read_private
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.platform.reunion import SessionProcess
from tocsin.steady import boot

NAME: Final = "sessions.json"

_MOST = 2**20  # bytes; twice as many sessions as an agent has, of the longest names, are fewer

_MAX_PID = 2**31 - 1

logger = logging.getLogger(__name__)


def processes_before(folder: Path) -> list[SessionProcess]:
    """Return a process for each session that an agent had on a state folder; none where that was in another run of the machine.

    :raises StateUnavailable: the file cannot be read.
    """
    path = folder / NAME
    try:
        content = read_private(path, _MOST) or b""
    except OSError as failure:
        raise StateUnavailable(f"{path} cannot be read: {failure.strerror or failure}; remove it") from failure
    try:
        found = json.loads(content.partition(b"\n")[0])
        if found["boot"] != boot():
            return []
        processes = [SessionProcess(str(app), int(pid), int(began)) for app, pid, began in found["sessions"]]
    except (ValueError, OverflowError, RecursionError, LookupError, TypeError):  # it was not written to its end
        return []
    return [each for each in processes if 0 <= each.pid <= _MAX_PID]


class SessionsFile:
    """Keeps the processes that have sessions, or are still to come back.

    :param folder: the state folder.
    :param returning: knows them.
    """

    def __init__(self, folder: Path, returning: ReturningProcesses) -> None:
        self._path = folder / NAME
        self._returning = returning
        self._written: list[SessionProcess] | None = None
        self._is_failing = False
        self._turn = anyio.Lock()

    async def run(self) -> None:
        """Write them down whenever they have changed, until cancelled."""
        while True:
            await self.write()
            await self._returning.changed.wait()

    async def meet(self, session: str, app: str, pid: int) -> None:
        """Note that a process has come with a session, and write that down; ``pid`` is 0 where the system does not tell it."""
        self._returning.met(session, app, pid)
        await self.write()

    async def write(self) -> None:
        """Write them down as they are now; that it cannot be done is said once."""
        async with self._turn:
            processes = self._returning.processes
            if processes == self._written:  # those that came together are written together
                return
            try:
                await anyio.to_thread.run_sync(_write, self._path, processes)
            except OSError as failure:
                if not self._is_failing:
                    words = "%s cannot be written (%s): an agent after this one would not know which apps still run"
                    logger.warning(words, self._path, failure.strerror or failure)
                self._is_failing = True
            else:
                self._written, self._is_failing = processes, False


def _write(path: Path, processes: list[SessionProcess]) -> None:
    line = json.dumps({"boot": boot(), "sessions": [astuple(each) for each in processes]}).encode() + b"\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | NO_LINKS, PRIVATE)
    with os.fdopen(descriptor, "wb") as file:
        file.write(line)
        file.flush()
        file.truncate()
