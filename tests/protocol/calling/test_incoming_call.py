"""A call that rings: its table, and what holds in whatever order things happen to it."""

from __future__ import annotations

from typing import Any

from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.calling.incoming_call import ENDED, TABLE, UNDECIDED, Effect, Event, Phase

ASKS = {Effect.ASK_ACCEPT, Effect.ASK_REJECT, Effect.ASK_HANG_UP}


class TestTable(Law):
    """A ring keeps the law."""

    table = TABLE
    start = Phase.NEW
    events = Event
    effects = Effect
    ends = frozenset({Phase.ACCEPTED, Phase.ENDED})

    def test_what_the_service_says_is_legal_as_long_as_it_lasts(self) -> None:
        """No report comes at a wrong time, and neither does a new connection."""
        told = {Event.RANG, Event.TAKEN, Event.GONE, Event.RECONNECTED}
        for phase in set(Phase) - {Phase.NEW} - self.ends:
            assert told <= {event for before, event in TABLE if before is phase}

    def test_the_user_decides_where_it_is_undecided(self) -> None:
        """Accepting and declining go together."""
        for event in (Event.ACCEPT, Event.REJECT):
            assert {phase for phase, each in TABLE if each is event} == UNDECIDED

    def test_the_ends_are_named(self) -> None:
        """As the record looks for them."""
        assert self.ends == ENDED


class Rings(AnyEvent):
    """One ring after the other, whatever happens to them."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """The bell stops with the user's decision, and what is asked anew is what was asked."""
        if event in {Event.ACCEPT, Event.REJECT, Event.GONE, Event.RANG_OUT}:
            assert self.count(Effect.SILENCE) == 1
        if event is Event.RECONNECTED:
            asked = [each for each in self.journal if each in ASKS]
            assert set(effects) <= {*asked[-1:]}
        assert (Effect.END in effects) == (self.phase is Phase.ENDED)
        assert (Effect.BEGIN_CALL in effects) == (self.phase is Phase.ACCEPTED)

    @invariant()
    def it_rings_once_and_is_silenced_once(self) -> None:
        """In this order; and it is silent from its end on."""
        assert self.count(Effect.RING) == (self.phase is not Phase.NEW)
        assert self.count(Effect.SILENCE) <= self.count(Effect.RING)
        assert (self.count(Effect.SILENCE) == 0) == (self.phase in {Phase.NEW, Phase.RINGING})

    @invariant()
    def it_becomes_a_call_only_where_it_was_accepted(self) -> None:
        """And where that was not taken back, nor refused."""
        if self.phase is Phase.ACCEPTED:
            assert [each for each in self.journal if each in ASKS][-1] is Effect.ASK_ACCEPT


TestAnyRing = Rings.TestCase
