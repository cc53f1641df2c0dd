"""A channel window: the payloads of one channel on their way from the inbox to their handler, in order and bounded.

A payload that finds its window caught up goes on from memory. Else it stays on disk, and the window fetches a page when its
window has room again: memory is bounded by the window, whatever is stored.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import auto

from attrs import Factory, define

from tocsin.protocol.delivery.recipients import RECIPIENTS
from tocsin.protocol.kernel.machine import Label, step

WINDOW = 2048
"""How many payloads of one channel may be on their way at a time: twice as many as a service has out, since those that it has
acknowledged may still be with their handler; so a channel that has all the load need not read them back."""


ALL = frozenset(RECIPIENTS)
"""All types of payload."""


class Phase(Label):
    """Where a window stands."""

    CLOSED = auto()
    """No session takes its payloads."""
    CAUGHT_UP = auto()
    """All that is stored is on its way: the next payload may follow at once."""
    BEHIND = auto()
    """There is, or may be, more in the store."""
    REWINDING = auto()
    """Payloads were given back unhandled: when nothing is on its way any more, the window begins again with the first."""


class Event(Label):
    """What happens to a window."""

    OPENED = auto()
    CLOSED = auto()
    STORED = auto()
    """A payload was stored that did not go on from memory."""
    FETCHED = auto()
    """A whole page came from the store."""
    EXHAUSTED = auto()
    """The store has no further payload."""
    GIVEN_BACK = auto()
    EMPTIED = auto()
    """Nothing is on its way any more."""


class Effect(Label):
    """What happens to the cursor."""

    REWIND = auto()
    """It goes back before the first."""


TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.CLOSED, Event.OPENED): (Phase.REWINDING, ()),
    (Phase.CLOSED, Event.CLOSED): (Phase.CLOSED, ()),
    (Phase.CLOSED, Event.STORED): (Phase.CLOSED, ()),
    (Phase.CLOSED, Event.GIVEN_BACK): (Phase.CLOSED, ()),
    (Phase.CLOSED, Event.EMPTIED): (Phase.CLOSED, ()),
    (Phase.CAUGHT_UP, Event.OPENED): (Phase.CAUGHT_UP, ()),
    (Phase.CAUGHT_UP, Event.CLOSED): (Phase.CLOSED, ()),
    (Phase.CAUGHT_UP, Event.STORED): (Phase.BEHIND, ()),
    (Phase.CAUGHT_UP, Event.GIVEN_BACK): (Phase.REWINDING, ()),
    (Phase.CAUGHT_UP, Event.EMPTIED): (Phase.CAUGHT_UP, ()),
    (Phase.BEHIND, Event.OPENED): (Phase.BEHIND, ()),
    (Phase.BEHIND, Event.CLOSED): (Phase.CLOSED, ()),
    (Phase.BEHIND, Event.STORED): (Phase.BEHIND, ()),
    (Phase.BEHIND, Event.FETCHED): (Phase.BEHIND, ()),
    (Phase.BEHIND, Event.EXHAUSTED): (Phase.CAUGHT_UP, ()),
    (Phase.BEHIND, Event.GIVEN_BACK): (Phase.REWINDING, ()),
    (Phase.BEHIND, Event.EMPTIED): (Phase.BEHIND, ()),
    (Phase.REWINDING, Event.OPENED): (Phase.REWINDING, ()),
    (Phase.REWINDING, Event.CLOSED): (Phase.CLOSED, ()),
    (Phase.REWINDING, Event.STORED): (Phase.REWINDING, ()),
    (Phase.REWINDING, Event.GIVEN_BACK): (Phase.REWINDING, ()),
    (Phase.REWINDING, Event.EMPTIED): (Phase.BEHIND, (Effect.REWIND,)),
}


# Members that every payload meets: up to Python 3.11 looking one up in its class costs as much as a table step.
_CAUGHT_UP, _BEHIND, _EMPTIED = Phase.CAUGHT_UP, Phase.BEHIND, Event.EMPTIED


@define(eq=False)
class AppShare:
    """How many payloads of one app are on their way, over all of its channels."""

    in_flight: int = 0


@define(eq=False)
class ChannelWindow:
    """One channel's place between inbox and handler; ``cursor`` is the last sequence number that was handed on."""

    channel: str
    phase: Phase = Phase.CLOSED
    cursor: int = 0
    in_flight: int = 0
    share: AppShare = Factory(AppShare)
    """That of its app."""
    types: frozenset[str] = ALL
    """The types of payload that go through; others stay in the store."""

    @property
    def is_whole(self) -> bool:
        """Whether payloads of every type go through."""
        return self.types is ALL

    @property
    def is_behind(self) -> bool:
        """Whether there is, or may be, more in the store."""
        return self.phase is _BEHIND

    @property
    def room(self) -> int:
        """How many payloads to fetch now: none before half of the window is free, so that pages are not small."""
        free = WINDOW - self.in_flight
        return free if self.phase is _BEHIND and free * 2 >= WINDOW else 0

    def open(self) -> None:
        """A session takes its payloads from now on."""
        self._step(Event.OPENED)
        self._look_whether_empty()

    def close(self) -> None:
        """No session takes its payloads any more."""
        self._step(Event.CLOSED)

    def begin_anew(self) -> None:
        """Look at the whole inbox again, when nothing is on its way any more: payloads it has passed are open again."""
        self._step(Event.GIVEN_BACK)
        self._look_whether_empty()

    def accept(self, sequence: int) -> bool:
        """Let a payload go on from memory, if the window is caught up and has room, and tell whether it does."""
        if self.phase is not _CAUGHT_UP or self.in_flight >= WINDOW:
            return False
        self.cursor = sequence
        self.in_flight += 1
        self.share.in_flight += 1
        return True

    def fall_behind(self) -> None:
        """Note a payload that was stored and did not go on from memory."""
        self._step(Event.STORED)

    def catch_up(self) -> None:
        """Note that the store has no further payload, as is known without a look."""
        self._step(Event.EXHAUSTED)

    def fetched(self, sequences: Sequence[int], wanted: int) -> None:
        """Note a page from the store; one that is shorter than wanted was the last."""
        self._step(Event.EXHAUSTED if len(sequences) < wanted else Event.FETCHED)
        if sequences:
            self.cursor = sequences[-1]
            self.in_flight += len(sequences)
            self.share.in_flight += len(sequences)

    def settle(self, count: int = 1, *, given_back: bool) -> None:
        """Note that payloads are no longer on their way; those that were given back will be handed on again."""
        self.in_flight -= count
        self.share.in_flight -= count
        if given_back:
            self._step(Event.GIVEN_BACK)
        if self.in_flight == 0:
            self._step(_EMPTIED)

    def _look_whether_empty(self) -> None:
        if self.in_flight == 0:
            self._step(Event.EMPTIED)

    def _step(self, event: Event) -> None:
        self.phase, effects = step(TABLE, self.phase, event)
        if effects and Effect.REWIND in effects:  # most steps have none
            self.cursor = 0
