"""Has the desktop open links, by the program that each desktop has for that, such as ``xdg-open``.

Which links are opened is decided before (``tocsin.protocol.toasts.links``). No shell reads a link, and what opens it lives on
when this process ends: it may be the browser itself.
"""

from __future__ import annotations

import os
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import anyio
from anyio.abc import TaskGroup
from attrs import frozen

from tocsin.child_process import ChildProcess
from tocsin.protocol.errors import FrameError
from tocsin.protocol.platform.command import Command
from tocsin.tasks import Signal, task_group

PATIENCE: Final = 10.0
"""Seconds that a program has to say that it cannot open a link; one that still runs then is taken to have opened it."""

PROGRAMS: Final = ("open",) if sys.platform == "darwin" else ("xdg-open", "gio open")
"""What opens links, each with its words: the first that is there does."""

OF_DESKTOP: Final = frozenset(
    b"DISPLAY WAYLAND_DISPLAY XAUTHORITY DBUS_SESSION_BUS_ADDRESS DESKTOP_SESSION XDG_CURRENT_DESKTOP XDG_RUNTIME_DIR"
    b" XDG_SESSION_TYPE XDG_DATA_DIRS XDG_CONFIG_DIRS".split()
)
"""Variables that tell where the desktop is: one that this process lacks, as a service of the system does, is taken from the
command of the app."""


@frozen
class _Link:
    number: int
    link: str
    command: bytes


class LinkOpener:
    """Opens links, each by a process of its own; elsewhere than on Linux it is untried.

    :param opened: called with the number of a link and with why it could not be opened, which is empty where it was.
    :param programs: what opens links; the first that can be started does.
    """

    def __init__(
        self, opened: Callable[[int, str], None], *, programs: Sequence[str] = PROGRAMS, patience: float = PATIENCE
    ) -> None:
        self._opened = opened
        self._programs = programs
        self._patience = patience
        self._links: deque[_Link] = deque()
        self._asked = Signal()
        self._threads = anyio.CapacityLimiter(4)  # a file system that hangs takes no other's threads
        self._tasks: TaskGroup

    def open(self, number: int, link: str, command: bytes = b"") -> None:
        """Have a link opened, and never wait.

        :param command: that of the app, packed, whose desktop it is; empty where it is not known.
        """
        self._links.append(_Link(number, link, command))
        self._asked.set()

    async def run(self) -> None:
        """Open links until cancelled; what opens them lives on."""
        way = self._open_by_system if sys.platform == "win32" else self._open
        async with task_group() as self._tasks:
            while True:
                await self._asked.wait()
                while self._links:
                    self._tasks.start_soon(way, self._links.popleft(), name="link")

    async def _open_by_system(self, link: _Link) -> None:
        """Open a link on Windows, which has a call for that."""
        failed = ""
        if sys.platform == "win32":
            try:
                await anyio.to_thread.run_sync(os.startfile, link.link, limiter=self._threads)
            except (OSError, RuntimeError) as failure:
                failed = getattr(failure, "strerror", None) or str(failure)
        self._opened(link.number, failed)

    async def _open(self, link: _Link) -> None:
        environment = _environment(link.command)
        failures = []
        for program in self._programs:
            words = tuple(map(os.fsencode, (*program.split(), link.link)))
            try:
                process = await anyio.to_thread.run_sync(_start, words, environment, limiter=self._threads)
            except (OSError, RuntimeError) as failure:  # no thread, the latter
                failures.append(f"{program}: {getattr(failure, 'strerror', None) or failure}")
            else:
                await self._watch(link.number, program, process)
                return
        self._opened(link.number, f"nothing here opens links; install xdg-utils ({'; '.join(failures)})")

    async def _watch(self, number: int, program: str, process: ChildProcess) -> None:
        """Tell how it went, and take leave of the process when it ends."""
        try:
            with anyio.move_on_after(self._patience) as patience:
                await process.wait()
            if patience.cancelled_caught:
                self._opened(number, "")
                await process.wait()
        except anyio.get_cancelled_exc_class():
            process.release()
            raise
        end = process.reap()
        if not patience.cancelled_caught:
            self._opened(number, "" if end.code == 0 else f"{program} {end}")


def _start(words: tuple[bytes, ...], environment: Mapping[bytes, bytes]) -> ChildProcess:
    return ChildProcess.start(words, b"/", environment)


def _environment(command: bytes) -> dict[bytes, bytes]:
    """Return the environment of this process, with what it lacks of that of the desktop."""
    try:
        entries = Command.unpack(command).environment if command else ()
    except FrameError:  # it cannot start its app either, and that is said where it is tried
        entries = ()
    of_app = (entry.partition(b"=") for entry in entries)
    return {name: value for name, _, value in of_app if name in OF_DESKTOP} | dict(os.environb)
