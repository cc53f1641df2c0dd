"""Whose turn it is in the background of each app, and which session takes it."""

from __future__ import annotations

from collections import Counter, defaultdict

from tocsin.actors.sessions import Sessions
from tocsin.protocol.delivery.background_queue import BackgroundQueue
from tocsin.protocol.delivery.payload_life import Event, Phase, Tracked, event_of_death
from tocsin.protocol.values import DropReason


class BackgroundTurns:
    """The background work of all apps, the sessions that are still at some of it, and how often it has killed one."""

    def __init__(self, sessions: Sessions) -> None:
        self.apps: defaultdict[str, BackgroundQueue] = defaultdict(BackgroundQueue)
        self._sessions = sessions
        self._holding: dict[int, str] = {}
        self._crashes: Counter[int] = Counter()

    def hold(self, session: str, sequences: tuple[int, ...]) -> None:
        """Note payloads at which a session is at work since before this supervisor: no other is to begin with them."""
        self._holding |= dict.fromkeys(sequences, session)

    def drop_session(self, session: str) -> None:
        """Forget what a session was at."""
        self._holding = {each: holder for each, holder in self._holding.items() if holder != session}

    def session_for(self, tracked: Tracked) -> str:
        """Return the session that takes a payload: one that is at it already, or the one that serves; empty where none does."""
        holder = self._holding.pop(tracked.sequence, "")
        return holder if self._sessions.app_of(holder) == tracked.app else self.apps[tracked.app].session

    def died(self, tracked: Tracked) -> Event:
        """Count the death of a session that had a payload, and decide which event it is."""
        if tracked.phase is Phase.ACTIVATED:
            self._crashes[tracked.sequence] += 1
        crashes = self._crashes[tracked.sequence]
        event = event_of_death(tracked.phase, crashes)
        if event is Event.CRASHED_AGAIN:
            tracked.reason, tracked.detail = DropReason.CRASH_LOOP, f"{crashes} processes have died with it"
        return event

    def forget(self, tracked: Tracked) -> None:
        """Count no more for a payload that has ended."""
        del self._crashes[tracked.sequence]
