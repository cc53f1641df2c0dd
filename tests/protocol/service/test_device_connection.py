"""The service's end of a device's connection."""

from __future__ import annotations

from typing import Any

from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.service.device_connection import ENDING, SERVING, TABLE, Effect, Event, Phase

MAY_HAPPEN = set(Event) - {Event.GREETED, Event.NEWEST, Event.ENDED}
"""What may happen to a connection that gets what comes: its device, its queue, a newer connection and the service act when they like."""


class TestTable(Law):
    """A connection keeps the law."""

    table = TABLE
    start = Phase.GREETING
    events = Event
    effects = Effect
    ends = frozenset({Phase.CLOSED})

    def test_any_serving_phase_takes_whatever_may_happen(self) -> None:
        """Nothing is illegal but a second greeting, and to be the newest again."""
        for phase in SERVING:
            assert {event for before, event in TABLE if before is phase} == MAY_HAPPEN

    def test_one_that_is_overtaken_sends_nothing(self) -> None:
        """It neither looks at what is stored nor sends what waited, until it is the newest again."""
        overtaken = {event: after for (before, event), after in TABLE.items() if before is Phase.OVERTAKEN}
        assert set(overtaken) == {Event.BEHIND, Event.CAUGHT_UP, Event.NEWEST, Event.LEFT}
        assert [event for event, (_, effects) in overtaken.items() if Effect.LOOK in effects] == [Event.NEWEST]

    def test_what_is_closing_does_nothing_but_end(self) -> None:
        """What tells of stored payloads late changes nothing and asks for nothing; what a device says is not heard."""
        for event in (Event.BEHIND, Event.CAUGHT_UP):
            assert TABLE[Phase.CLOSING, event] == (Phase.CLOSING, ())
        assert {event for before, event in TABLE if before in ENDING} == {Event.BEHIND, Event.CAUGHT_UP, Event.ENDED}


class AnyConnection(AnyEvent):
    """Anything happens to a connection at any time."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """Only what waited behind stored payloads is sent by catching up; what a device cannot store is given back."""
        assert (Effect.GIVE_BACK in effects) == (event is Event.SUSPENDED and self.phase is Phase.SUSPENDED)
        assert (Effect.PASS_ON in effects) == (event is Event.OVERTAKEN)
        assert Effect.SEND not in effects or (event is Event.CAUGHT_UP and self.phase is Phase.UP)

    @invariant()
    def it_is_admitted_and_stopped_once(self) -> None:
        """A device is admitted and welcomed once, and a connection ends once."""
        assert self.count(Effect.ADMIT) == self.count(Effect.WELCOME) <= 1
        assert self.count(Effect.STOP) == (self.phase in ENDING)
        assert self.count(Effect.FORGET) == (self.phase is Phase.CLOSED)

    @invariant()
    def none_who_was_admitted_is_forgotten(self) -> None:
        """What ends was dismissed if it was admitted."""
        assert self.count(Effect.DISMISS) == self.count(Effect.ADMIT) * (self.phase in ENDING)


TestAnyConnection = AnyConnection.TestCase
