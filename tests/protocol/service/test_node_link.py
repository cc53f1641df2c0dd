"""The connection of a node to another, from the side that dials."""

from __future__ import annotations

from typing import Any

from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.service.node_link import CONNECTED, SENDING, TABLE, TAKING, Effect, Event, Phase


class TestTable(Law):
    """A link keeps the law."""

    table = TABLE
    start = Phase.IDLE
    events = Event
    effects = Effect
    ends = frozenset({Phase.CLOSED})

    def test_what_is_given_is_taken_in_just_these_phases(self) -> None:
        """In the others its callers are told at once that the node cannot be reached."""
        assert {phase for phase, event in TABLE if event is Event.WANTED} == set(TAKING)

    def test_it_can_be_lost_and_cut_where_it_is_connected(self) -> None:
        """And what was sent is given up then, whatever was to become of the link."""
        for event in (Event.LOST, Event.SILENT):
            assert {phase for phase, legal in TABLE if legal is event} == set(CONNECTED)
        for phase in CONNECTED:
            for event in (Event.LOST, Event.SILENT, Event.CUT):
                assert Effect.GIVE_UP in TABLE[phase, event][1]

    def test_nothing_waits_where_nothing_will_be_sent(self) -> None:
        """Whatever leads from where something may wait to where it cannot be sent tells its callers."""
        may_wait = {Phase.DIALING, *SENDING}
        for (before, event), (after, effects) in TABLE.items():
            if before in may_wait and after not in {*may_wait, Phase.IDLE} and event is not Event.SETTLED:
                assert Effect.REFUSE in effects, (before, event)


class AnyLink(AnyEvent):
    """Anything happens to a link at any time."""

    law = TestTable

    def __init__(self) -> None:
        super().__init__()
        self.made = self.gone = 0

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """It is dialled only when it is wanted, and rests only where it is not wanted for a while."""
        assert Effect.DIAL not in effects or event is Event.WANTED
        assert (Effect.REST in effects) == (self.phase is Phase.RESTING)
        self.made += Effect.DIAL in effects
        self.gone += event in {Event.LOST, Event.FAILED} or bool({Effect.PART, Effect.HANG_UP} & {*effects})

    @invariant()
    def there_is_one_connection_at_most(self) -> None:
        """Each that was made has ended by itself, or was ended, but for the one that there is."""
        assert self.made - self.gone == (self.phase in {Phase.DIALING, *CONNECTED})


TestAnyLink = AnyLink.TestCase
