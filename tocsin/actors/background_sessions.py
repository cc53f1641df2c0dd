"""Which session takes a payload in the background of each app, and how many have died with it.

Whose turn it is, is decided by ``LifeSteps.next_turn``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from tocsin.actors.sessions import Sessions
from tocsin.protocol.delivery.background_queue import BackgroundQueue
from tocsin.protocol.delivery.life_events import event_of_death, event_of_failed_launch
from tocsin.protocol.delivery.payload_life import Event, Tracked
from tocsin.protocol.values import DropReason

MAX_COUNTED = 4_096
"""Payloads whose deaths are counted at most, the last ones; one that expires in the inbox meanwhile is not heard of."""


class BackgroundSessions:
    """The background work of all apps, the sessions that are still at some of it, and how often it has killed one."""

    def __init__(self, sessions: Sessions) -> None:
        self.apps: defaultdict[str, BackgroundQueue] = defaultdict(BackgroundQueue)
        self._sessions = sessions
        self._holding: dict[tuple[str, int], str] = {}  # by app: what one says of another's payloads takes no place
        self._crashes: dict[int, int] = {}

    def hold(self, app: str, session: str, sequences: tuple[int, ...]) -> None:
        """Note payloads at which a session of an app is at work since before this supervisor: no other is to begin with them."""
        self._holding |= {(app, sequence): session for sequence in sequences}

    def drop_session(self, session: str) -> None:
        """Forget what a session was at."""
        self._holding = {each: holder for each, holder in self._holding.items() if holder != session}

    def session_for(self, tracked: Tracked) -> str:
        """Return the session that takes a payload: one that is at it already, or the one that serves; empty where none does."""
        holder = self._holding.pop((tracked.app, tracked.sequence), "")
        return holder if self._sessions.app_of(holder) == tracked.app else self.apps[tracked.app].session

    def died(self, tracked: Tracked, *, is_head: bool) -> Event:
        """Count the death of a session that was at work on a payload, and decide which event it is.

        :param is_head: whether a foreground handler of the session had it; the payloads behind it are not to blame.
        """
        in_background = self.apps[tracked.app].running is tracked
        if not (in_background or is_head):
            return Event.GIVEN_BACK
        crashes = self._count(tracked)
        event = event_of_death(crashes, in_background=in_background)
        if event is Event.CRASHED_AGAIN:
            tracked.reason, tracked.detail = DropReason.CRASH_LOOP, f"{crashes} processes have died with it"
        return event

    def launch_failed(self, tracked: Tracked, detail: str, *, was_killed: bool) -> Event:
        """Count the process of a launch that was killed before it took its payload, and decide which event it is."""
        event = event_of_failed_launch(self._count(tracked) if was_killed else 0, was_killed=was_killed)
        if event is Event.LAUNCH_FAILED:
            tracked.reason, tracked.detail = DropReason.LAUNCH_FAILED, detail
        return event

    def _count(self, tracked: Tracked) -> int:
        crashes = self._crashes[tracked.sequence] = self._crashes.pop(tracked.sequence, 0) + 1
        if len(self._crashes) > MAX_COUNTED:
            del self._crashes[next(iter(self._crashes))]
        return crashes

    def forget(self, sequences: Sequence[int]) -> None:
        """Count no more for payloads that have ended."""
        if self._crashes:
            for sequence in sequences:
                self._crashes.pop(sequence, None)
