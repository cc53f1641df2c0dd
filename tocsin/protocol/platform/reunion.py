"""Which processes an agent waits for at its start: those that had sessions with the agent before, and still run.

What they have in hand must not be begun a second time, and what waits is theirs. So until each of them has told the new agent
all that it must know, has ended, or has had ``PATIENCE`` seconds, nothing is handed to the background of their app, and no
process of it is launched.

Its driver is ``tocsin.actors.returning_processes``.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Final

from attrs import frozen

from tocsin.protocol.platform.launches import LaunchPurpose

PATIENCE: Final = 10.0
"""Seconds that a process has which still runs: many times those between two of its attempts. One that is stopped, or whose event
loop stands still, keeps its app waiting no longer."""

UNSEEN_PATIENCE: Final = 1.5
"""Seconds that those have together of which the system does not tell whether they still run."""


@frozen
class SessionProcess:
    """A process that has a session.

    :param app: the name of its app.
    :param pid: its number; 0 where the system does not tell.
    :param began: what tells it from a later process of that number in the same run of the machine; 0 where the system does not tell.
    """

    app: str
    pid: int
    began: int = 0


class Reunion:
    """The sessions of before that are still to come, for each purpose for which their apps may be launched.

    :param expected: a process for each session that it had.
    :param purposes: for which processes are launched at all.
    """

    def __init__(
        self, expected: Iterable[SessionProcess] = (), purposes: Iterable[LaunchPurpose] = tuple(LaunchPurpose)
    ) -> None:
        sessions = list(expected)
        self._out = {purpose: Counter(sessions) for purpose in purposes}

    @property
    def expected(self) -> list[SessionProcess]:
        """The processes that are still to come, each as often as it has sessions to bring."""
        out = Counter[SessionProcess]()
        for each in self._out.values():
            out |= each
        return list(out.elements())

    @property
    def awaited(self) -> frozenset[tuple[LaunchPurpose, str]]:
        """The purposes, each with an app of which a process is still to come."""
        return frozenset((purpose, process.app) for purpose, out in self._out.items() for process in out)

    def resumed(self, purpose: LaunchPurpose, app: str, pid: int) -> None:
        """Note that a session has told all that counts for a purpose; one that was not expected changes nothing."""
        out = self._out[purpose]
        found = next((process for process in out if (process.app, process.pid) == (app, pid)), None)
        if found is not None:
            out[found] -= 1
            self._out[purpose] = +out

    def give_up(self, *, pid: int | None = None) -> None:
        """Wait no longer for a process, which has ended or taken too long; None: for any."""
        for out in self._out.values():
            for process in [each for each in out if pid in {None, each.pid}]:
                del out[process]
