"""What a calling service keeps and does: rows, effects, and the turn that each event comes to."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, unique
from typing import Final, TypeAlias

from attrs import evolve, field, frozen

from tocsin.protocol.calling.call_at_service import Phase
from tocsin.protocol.messages.base import Message
from tocsin.protocol.messages.calling import CallRefused


@frozen(order=True)
class Endpoint:
    """One device of a user: the user's raw id, and the device's own id."""

    user: str
    device: str


@frozen
class PushRegistration:
    """A channel by which an endpoint is rung until it ``expires``; an endpoint has one at most, and a channel rings one endpoint."""

    endpoint: Endpoint
    uri: str = field(repr=False)
    expires: float
    """Seconds on the service's clock, as all moments here."""


@frozen
class Side:
    """One of the two users of a call; ``device`` is empty for the callee until a device has accepted."""

    user: str
    device: str
    name: str
    video: bool
    muted: bool = False
    held: bool = False

    @property
    def endpoint(self) -> Endpoint:
        """The endpoint that is in the call; that of no device where it has none yet."""
        return Endpoint(self.user, self.device)


@frozen
class CallRow:
    """A call, open or ended; ``answered`` and ``ended`` are 0 until then.

    ``context`` is what pushes have as ``cp``.
    """

    call: str
    phase: Phase
    caller: Side
    callee: Side
    context: str = field(repr=False)
    began: float
    rings_until: float
    answered: float = 0.0
    ended: float = 0.0
    code: int = 0
    subcode: int = 0

    @property
    def silent_since(self) -> float:
        """The moment from which it has not rung any more; 0 while it rings."""
        return self.answered or self.ended

    def not_ahead_of(self, now: float) -> CallRow:
        """Return it as it is where the clock was set back since it was kept: what lies ahead would hold for as long again."""
        began = min(self.began, now)
        return evolve(
            self,
            began=began,
            rings_until=min(self.rings_until, began + (self.rings_until - self.began)),
            answered=min(self.answered, now),
            ended=min(self.ended, now),
        )


# Effects

STOP_FOR: Final = 120.0
"""Seconds for which a push is tried again that tells that a call rings no more."""


@frozen
class Tell:
    """Tell a connected endpoint something; one that is not connected any more misses it, and is told when it comes back."""

    endpoint: Endpoint
    message: Message


@frozen
class Part:
    """Say a last word to a connected endpoint, and end its connection."""

    endpoint: Endpoint
    last_word: CallRefused


@frozen
class RingByPush:
    """Ring an endpoint by a push, again and again until it is taken, while the call rings."""

    registration: PushRegistration
    row: CallRow

    @property
    def until(self) -> float:
        """Until when it is of use."""
        return self.row.rings_until


@frozen
class StopByPush:
    """Tell an endpoint by a push that a call rings no more; what is under way to ring it for that call is given up."""

    registration: PushRegistration
    row: CallRow

    @property
    def until(self) -> float:
        """Until when it is of use."""
        return self.row.silent_since + STOP_FOR


Push: TypeAlias = RingByPush | StopByPush
Effect: TypeAlias = Tell | Part | RingByPush | StopByPush


@unique
class Pushed(Enum):
    """What a push has come to."""

    ACCEPTED = "accepted"
    DROPPED = "dropped"
    """The device is not connected, and what the push service has taken will never reach it."""
    GONE = "gone"
    """There is no such channel any more."""
    FAILED = "failed"
    """The push service could not take it now; the same push later may do better."""


@frozen
class TurnRows:
    """What is to be written in one transaction, each row in place of the one that is there; the forgotten ones first."""

    calls: tuple[CallRow, ...] = ()
    forgotten_calls: tuple[str, ...] = ()
    registrations: tuple[PushRegistration, ...] = ()
    forgotten_registrations: tuple[Endpoint, ...] = ()

    def __bool__(self) -> bool:
        """Tell whether there is something to write."""
        return bool(self.calls or self.forgotten_calls or self.registrations or self.forgotten_registrations)


@frozen
class Standing:
    """How an endpoint is connected; ``away_since`` is None while it is."""

    name: str = ""
    quiet: bool = False
    away_since: float | None = None


@frozen
class Turn:
    """What an event comes to: nothing of it is so before it was written and installed, and it is not told before that either."""

    answer: Message | None = None
    rows: TurnRows = TurnRows()
    effects: tuple[Effect, ...] = ()
    standings: Mapping[Endpoint, Standing | None] = field(factory=dict)
    """How endpoints are connected from then on; None: not at all, and nothing waits for them. Not written."""
    unreached: Mapping[str, frozenset[Endpoint]] = field(factory=dict)
    """The endpoints that no push reaches for a call that rings. Not written."""
