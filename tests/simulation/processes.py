"""All processes of apps, those that are launched among them; they outlive agents."""

from __future__ import annotations

import errno
import signal
import socket
from collections.abc import Awaitable, Callable, Mapping
from itertools import count
from typing import TYPE_CHECKING, cast

import anyio
from anyio.abc import SocketStream, TaskGroup
from attrs import define

from tests.simulation.app_process import AWAY, AppProcess, PlayedStream
from tests.simulation.record import Work
from tocsin.actors.returning_processes import ReturningProcesses
from tocsin.actors.supervisor import Supervisor
from tocsin.agent.process_starter import Started
from tocsin.child_process import ProcessEnd
from tocsin.protocol.delivery.plain_rows import attempt_of
from tocsin.protocol.platform.command import Command
from tocsin.protocol.platform.launches import CLAIM_ARGUMENTS, LaunchPurpose
from tocsin.protocol.platform.reunion import SessionProcess

if TYPE_CHECKING:
    from tests.simulation.runner import Simulation

LAUNCHES = (
    "completes",
    "defers for long",
    "cannot be started",
    "starts slowly",
    "starts after its time",
    "ends before it claims",
    "is killed before it claims",
    "crashes",
    "claims never",
    "ignores stop",
    "hangs",
)
"""What a process that was launched may do."""

_ENDS = {"ends before it claims": ProcessEnd(1), "is killed before it claims": ProcessEnd(-signal.SIGKILL)}

SLOW, TOO_SLOW = 4.0, 40.0
"""Seconds that a start takes: some, and more than the budget of the payload."""


def _counts(supervisor: Supervisor, work: Work) -> bool:
    """Tell whether the budget of some work counts: that of an attempt of which the supervisor knows."""
    row = supervisor._payloads._rows.get(work.call.sequence)
    return row is not None and attempt_of(row) == work.args.attempt


@define(eq=False)
class PlayedChild:
    """A process as the launcher has it."""

    pid: int
    process: AppProcess | None
    over: anyio.Event
    ignores: bool
    end: ProcessEnd | None

    async def wait(self) -> None:
        """Wait until it has ended."""
        await (self.over if self.process is None else self.process.ended).wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal: it ends at once, unless it ignores that."""
        if number == signal.SIGKILL or not self.ignores:
            self.over.set()
            if self.process is not None:
                self.process.die()

    def reap(self) -> ProcessEnd:
        """Take leave of it."""
        return self.end or ProcessEnd(None)

    def release(self) -> None:
        """Watch it no longer."""


class Processes:
    """All processes of apps, and how those behave that are launched; ``working`` says so by app."""

    def __init__(self, sim: Simulation) -> None:
        self.sim = sim
        self.living: list[AppProcess] = []
        self.children: list[PlayedChild] = []
        self.working = dict.fromkeys(AWAY, "completes")
        self._number = 0
        self._claims = count(1)

    def new_claim(self) -> str:
        """Make a secret; no other agent has made the same."""
        return f"claim {next(self._claims)}"

    def begin(self, app: str, work: str, claim: str = "") -> AppProcess:
        """Start a process."""
        self._number += 1
        process = AppProcess(self, f"{app}#{self._number}", app, work, claim)
        self.living.append(process)
        self.sim.record.say("process begins", process.name, "launched" if claim else "", work)
        self.tasks.start_soon(process.run)
        return process

    async def start(self, _command: Command, words: tuple[bytes, ...], _environment: Mapping[bytes, bytes]) -> Started:
        """Start a process as the launcher wants it."""
        app, claim = words[1].decode(), words[-1].decode().removeprefix(CLAIM_ARGUMENTS[LaunchPurpose.PUSH])
        mode = self.working[app]
        self.sim.record.counts[f"launch: {mode}"] += 1
        if mode == "cannot be started":
            raise FileNotFoundError(errno.ENOENT, "")
        if mode.startswith("starts"):
            await anyio.sleep(SLOW if mode == "starts slowly" else TOO_SLOW)
        end = _ENDS.get(mode)
        claims = end is None and mode != "claims never"
        process = self.begin(app, mode, claim) if claims else None
        child = PlayedChild(-len(self.children), process, anyio.Event(), mode == "ignores stop", end)
        if end is not None:
            child.over.set()
        self.children.append(child)
        return {}, child

    def connect(self) -> PlayedStream:
        """Connect to the agent that serves.

        :raises ConnectionRefusedError: none does.
        """
        life = self.sim.life
        if life.door is None or life.serving is None or life.killed:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "")
        ours, theirs = map(PlayedStream, socket.socketpair())
        life.streams.append(theirs)
        life.serving.start_soon(self._serve, life.door.serve, theirs)
        return ours

    async def _serve(self, serve: Callable[[SocketStream], Awaitable[None]], stream: PlayedStream) -> None:
        async with stream:
            await serve(cast(SocketStream, stream))

    def returning(self) -> ReturningProcesses:
        """Return the processes that have had a session with the agent before, as a system has them that does not tell their numbers."""
        before = (process for process in self.living if process.manager is not None and not process.is_dead)
        return ReturningProcesses([SessionProcess(process.app, 0) for process in before], [LaunchPurpose.PUSH])

    def note_unsupervised(self) -> None:
        """Let the time of work that goes on for no agent begin when one has it again, as that attempt or a later one."""
        supervisor = self.sim.life.actors.get("supervisor")
        for work in self.sim.record.works:
            if work.call.process and isinstance(supervisor, Supervisor):
                supervised = _counts(supervisor, work)
                if not (supervised and work.supervised):
                    work.began = self.sim.record.awake()
                work.supervised = supervised

    def all_die(self) -> None:
        """Let the machine be switched off."""
        for process in list(self.living):
            process.die()
        for child in self.children:
            child.over.set()
        self.children.clear()

    @property
    def tasks(self) -> TaskGroup:
        """Where they live: outside of each life of the platform."""
        return self.sim.outside
