"""The processes of apps around the end of an agent and the start of the next: who has a session, and who is still to come back.

Which are waited for, and how long, is decided in ``tocsin.protocol.platform.reunion``.
"""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Iterable

import anyio
from attrs import define

from tocsin.child_process import open_end
from tocsin.process_session import began
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.platform.reunion import PATIENCE, UNSEEN_PATIENCE, Reunion, SessionProcess
from tocsin.protocol.text import harmless
from tocsin.tasks import Signal, task_group

logger = logging.getLogger(__name__)


@define(eq=False)
class _Session:
    """A session, until it has ended and all has been taken in that it has told."""

    process: SessionProcess
    untold: set[LaunchPurpose]
    """For which purposes it has not told yet what it brings from the agent before."""
    open: set[LaunchPurpose]
    """For which purposes its end has not been taken in."""
    has_left: bool = False


class ReturningProcesses:
    """Knows the processes that have sessions, and those of before that have none yet.

    :param expected: a process for each session that the agent before had.
    :param purposes: for which processes are launched at all.
    """

    def __init__(
        self, expected: Iterable[SessionProcess] = (), purposes: Iterable[LaunchPurpose] = tuple(LaunchPurpose)
    ) -> None:
        self.changed = Signal()
        """Set when :attr:`processes` are others."""
        self.over = anyio.Event()
        """Set when none is waited for."""
        self._purposes = frozenset(purposes)
        self._reunion = Reunion(expected, self._purposes)
        self._awaited = self._reunion.awaited
        self._sessions: dict[str, _Session] = {}
        self._ended: set[int] = set()
        self.on_return: Callable[[LaunchPurpose, str], None] | None = None
        """Is called when an app is waited for no longer, for a purpose."""

    @property
    def processes(self) -> list[SessionProcess]:
        """Those that the next agent would have to wait for, each as often as it has sessions."""
        # One that has come back is still expected until it has told all: it has its sessions once.
        present = Counter(each.process for each in self._sessions.values() if not each.has_left)
        return list((present | Counter(self._reunion.expected)).elements())

    def awaits(self, purpose: LaunchPurpose, app: str) -> bool:
        """Tell whether a process of an app is still to come, so that nothing of that purpose is begun with."""
        return (purpose, app) in self._awaited

    def met(self, session: str, app: str, pid: int) -> None:
        """Note that a process has come with a session; ``pid`` is 0 where the system does not tell it."""
        process = SessionProcess(app, pid, began(pid) if pid else 0)
        self._sessions[session] = _Session(process, set(self._purposes), set(self._purposes))
        self.changed.set()

    def left(self, session: str) -> None:
        """Note that a session has ended; what it said last may still be on its way."""
        self._sessions[session].has_left = True
        self.changed.set()

    def resumed(self, purpose: LaunchPurpose, session: str, *, has_ended: bool = False) -> None:
        """Note that all has been taken in that a session has told of what counts for a purpose.

        :param has_ended: whether its end has been, too.
        """
        known = self._sessions.get(session)
        if known is None:  # of no process, but one of the agent's own
            return
        if purpose in known.untold:
            known.untold.discard(purpose)
            self._reunion.resumed(purpose, known.process.app, known.process.pid)
        if has_ended:
            known.open.discard(purpose)
            if not known.open:
                del self._sessions[session]
        self._give_up_ended(known.process.pid)

    async def run(self) -> None:
        """Wait for those that are to come, until all are there or have ended, or have had their time."""
        async with task_group() as tasks:
            for process in {each.pid: each for each in self._reunion.expected if each.pid}.values():
                tasks.start_soon(self._watch, process)
            tasks.start_soon(self._lose_patience)
            self._note()
            await self.over.wait()
            tasks.cancel_scope.cancel()

    async def _watch(self, process: SessionProcess) -> None:
        try:
            end = open_end(process.pid)
        except OSError:  # it has ended before, or cannot be watched
            self._reunion.give_up(pid=process.pid)
            self._note()
            return
        try:
            if began(process.pid) == process.began:  # else it is another of that number
                await anyio.wait_readable(end)
        finally:
            os.close(end)
        self._ended.add(process.pid)
        self._give_up_ended(process.pid)

    def _give_up_ended(self, pid: int) -> None:
        """Wait no longer for a process that has ended, once its sessions have, and all has been taken in that they have told."""
        if pid in self._ended and all(each.process.pid != pid for each in self._sessions.values()):
            self._reunion.give_up(pid=pid)
        self._note()

    async def _lose_patience(self) -> None:
        await anyio.sleep(UNSEEN_PATIENCE)
        self._reunion.give_up(pid=0)
        self._note()
        await anyio.sleep(PATIENCE - UNSEEN_PATIENCE)
        for process in set(self._reunion.expected):
            words = "%s: process %d has not come back within %g s; it is waited for no longer"
            logger.warning(words, harmless(process.app), process.pid, PATIENCE)
        self._reunion.give_up()
        self._note()

    def _note(self) -> None:
        self.changed.set()
        before, self._awaited = self._awaited, self._reunion.awaited
        if self.on_return is not None:
            for purpose, app in before - self._awaited:
                self.on_return(purpose, app)
        if not self._awaited:
            self.over.set()
