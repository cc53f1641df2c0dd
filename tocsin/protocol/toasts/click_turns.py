"""The clicks of one app: which session has them, and when one of them may start a process.

They do not wait behind background work, and are under no conditions: a user who clicks wants something now. One process is
started at a time; the other clicks wait for its session, for what takes one click may take them all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from attrs import Factory, define

from tocsin.protocol.toasts.activation_life import Click, Event, Phase

MAX_WAITING: Final = 64
"""Clicks of one app that wait at most; of more the oldest goes."""

ARRIVAL: Final = 5.0
"""Seconds that the session of a launched process has, from when it got its click, to take the others, too. Then the next click
starts another process: that program does one thing, and ends."""

RETURN: Final = 2.0
"""Seconds that sessions have to say again that they take clicks, where clicks are found in the store, before one starts a process.

That is for a shell that begins anew; those that were connected to an agent before this one are ``awaited``.
"""

_OPEN: Final = frozenset({Phase.WAITING, Phase.LAUNCHING})


@define(eq=False)
class ClickTurns:
    """The clicks of an app, in their order, and who may have them."""

    command: bytes = b""
    """What starts the app, packed; empty where nothing can."""
    clicks: dict[int, Click] = Factory(dict)
    takers: dict[str, None] = Factory(dict)
    """The sessions that take clicks; the last one has them."""
    expected: str = ""
    """The session that is expected to take them until ``expected_until``; empty for any."""
    expected_until: float = 0.0

    def take(self, session: str) -> None:
        """Let a session take the clicks from now on."""
        self.takers.pop(session, None)
        self.takers[session] = None

    def leave(self, session: str) -> None:
        """Let it take no more of them: a session that took them before does again."""
        self.takers.pop(session, None)

    def drop_session(self, session: str) -> list[Click]:
        """Note that a session has gone; return the clicks that it had."""
        self.leave(session)
        if self.expected == session:
            self.expected_until = 0.0
        return [click for click in self.clicks.values() if click.phase is Phase.OFFERED and click.session == session]

    def expect(self, session: str, until: float) -> None:
        """Let no process be started until that moment, as a session may take the clicks that wait."""
        self.expected, self.expected_until = session, until

    def taker(self, is_retired: Callable[[str], bool]) -> str:
        """Return the session that has the clicks; empty where none takes them, but for those that are to take nothing more."""
        return next((session for session in reversed(self.takers) if not is_retired(session)), "")

    def next_move(
        self, now: float, taker: str, launched_for: int, *, awaited: bool = False
    ) -> tuple[Click, Event] | None:
        """Return what happens next, to which click; None where all wait for something else.

        :param taker: the session that has the clicks, or empty.
        :param launched_for: the number of the click that its process was launched for, or 0.
        :param awaited: whether a process that had a session before is still to come back.
        """
        waiting = [click for click in self.clicks.values() if click.phase is Phase.WAITING]
        for click in waiting:
            if click.expires <= now:
                return click, Event.EXPIRED
        if len(waiting) > MAX_WAITING:
            return waiting[0], Event.OVERFLOW
        launching = [click for click in self.clicks.values() if click.phase is Phase.LAUNCHING]
        if taker:
            first = min((*waiting, *launching), key=lambda click: click.number, default=None)
            if first is None:
                return None
            is_its_own = first.phase is Phase.LAUNCHING and first.number == launched_for
            return first, Event.ARRIVED if is_its_own else Event.TAKEN
        may_launch = self.command and not launching and not awaited and now >= self.expected_until
        return (waiting[0], Event.LAUNCH) if waiting and may_launch else None

    def overdue(self, now: float) -> Click | None:
        """Return the click whose launch has taken too long, if there is one."""
        launching = (click for click in self.clicks.values() if click.phase is Phase.LAUNCHING)
        return next((click for click in launching if click.deadline <= now), None)

    def next_moment(self, now: float) -> float | None:
        """Return when it is to be looked again; None where time changes nothing."""
        moments = [click.deadline or click.expires for click in self.clicks.values() if click.phase in _OPEN]
        if moments and now < self.expected_until:
            moments.append(self.expected_until)
        return min(moments, default=None)
