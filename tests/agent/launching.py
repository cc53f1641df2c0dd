"""A launcher with a supervisor and sessions that a test plays, and processes that call the test."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import SocketListener, SocketStream
from anyio.streams.buffered import BufferedByteStream

from tests.helpers import PATIENCE, next_messages
from tocsin.actors.sessions import Sessions
from tocsin.agent.launcher import Launcher
from tocsin.mailbox import Mailbox
from tocsin.protocol.messages import ClaimPayload, Failed, Launch, Message, StopLaunch
from tocsin.protocol.platform.command import Command
from tocsin.protocol.platform.launches import CLAIM_ARGUMENTS, LaunchPurpose

PYTHON = (os.fsencode(sys.executable), b"-IS", b"-c")

CALL = b"""
import os, signal, socket, sys
line = socket.socket(socket.AF_UNIX)
line.connect(os.environ["TOCSIN_SOCKET"])
def call(word):
    line.sendall(b"%s %d %s;" % (word, os.getpid(), os.fsencode(sys.argv[-1])))
"""
"""The begin of a program that calls the test and says its number and its claim."""

WAIT = CALL + b"call(b'up'); line.recv(1)"
"""A program that calls the test, and ends when the test hangs up."""

DEAF = CALL + b"signal.signal(signal.SIGTERM, lambda *_: call(b'term')); call(b'up')\nwhile line.recv(1): pass"
"""As ``WAIT``, but it only says that it is asked to end."""


def command(*words: bytes, folder: bytes = b"/", environment: tuple[bytes, ...] = ()) -> Command:
    """Make a command."""
    return Command(words, folder, environment)


class Caller:
    """A process that has called, and its first word."""

    def __init__(self, stream: SocketStream) -> None:
        self._stream = BufferedByteStream(stream)
        self.pid = 0
        self.claim = ""
        self.purpose: LaunchPurpose | None = None

    async def says(self) -> str:
        """Wait for the next word; empty when it, and what has the call from it, is gone."""
        with anyio.fail_after(PATIENCE):
            try:
                said = await self._stream.receive_until(b";", 1000)
            except (anyio.IncompleteRead, anyio.BrokenResourceError):
                return ""
        word, pid, argument = said.decode().split(" ")
        for purpose, prefix in CLAIM_ARGUMENTS.items():
            if argument.startswith(prefix):
                self.purpose, self.claim = purpose, argument.removeprefix(prefix)
        self.pid = int(pid)
        return word

    async def hang_up(self) -> None:
        """Let it end."""
        await self._stream.aclose()


class World:
    """A launcher, and what is around it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.socket = folder / "s"
        self.supervisor = Mailbox("supervisor")
        self.shell = Mailbox("shell")
        self.session = Mailbox("s1")
        self.sessions = Sessions()
        self.sessions.add("mail", self.session)
        settings = {"shell": self.shell} | settings
        self.launcher = Launcher(Mailbox("launcher"), self.supervisor, self.sessions, self.socket, **settings)
        self._listener: SocketListener
        self._callers: list[Caller] = []
        self._left: list[int] = []

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the launcher while the block runs; it ends in order."""
        self._listener = await anyio.create_unix_listener(self.socket)
        async with self._listener, anyio.create_task_group() as tasks:
            tasks.start_soon(self.launcher.run)
            try:
                yield
            finally:
                self._left = self.processes()
                self.launcher.mailbox.close()

    async def aclose(self) -> None:
        """Let all processes end that have called, and take leave of those that the launcher has left."""
        for caller in self._callers:
            await caller.hang_up()
        for pid in self._left:
            with suppress(ChildProcessError):
                take_leave(pid)

    def processes(self) -> list[int]:
        """Return the numbers of the processes that the launcher has."""
        return [each.process.pid for each in self.launcher._launches.values() if each.process is not None]

    def launch(
        self, ordered: Command, sequence: int = 1, app: str = "mail", purpose: LaunchPurpose = LaunchPurpose.PUSH
    ) -> None:
        """Order a launch."""
        self.launcher.mailbox.send_nowait(Launch(app, sequence, 1, ordered.pack(), purpose))

    def stop(self, sequence: int = 1, purpose: LaunchPurpose = LaunchPurpose.PUSH) -> None:
        """Have a launch stopped."""
        self.launcher.mailbox.send_nowait(StopLaunch("mail", sequence, 1, purpose))

    async def told(self, asker: Mailbox | None = None) -> Message:
        """Wait for what the supervisor, or another that has ordered a launch, is told next."""
        (message,) = await next_messages(asker or self.supervisor)
        return message

    async def called(self) -> Caller:
        """Wait for the next process that calls."""
        with anyio.fail_after(PATIENCE):
            stream = await self._listener.accept()
        caller = Caller(stream)
        self._callers.append(caller)
        assert await caller.says() == "up"
        return caller

    async def refused(self, claim: str, app: str = "mail") -> bool:
        """Claim, and tell whether the session was told that there is nothing."""
        self.launcher.claim("s1", app, ClaimPayload(7, claim))
        assert self.supervisor.statistics().depth == 0
        (answer,) = await next_messages(self.session)
        return isinstance(answer, Failed) and (answer.request, answer.error) == (7, "TimedOut")


def take_leave(pid: int) -> int:
    """Wait for the end of a child, and return its status."""
    return os.waitpid(pid, 0)[1]


def is_child(pid: int) -> bool:
    """Tell whether a process is a child of this one that has not been taken leave of."""
    try:
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return False
    return True
