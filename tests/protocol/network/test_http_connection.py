"""The server's side of an HTTP connection."""

from __future__ import annotations

from typing import Any

from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.network.http_connection import READING, TABLE, Effect, Event, Phase

BUSY = {Phase.TAKING, Phase.ANSWERING, Phase.BEHIND, Phase.LAST, Phase.REFUSED}
"""The phases in which a request is being answered."""


class TestTable(Law):
    """A connection keeps the law."""

    table = TABLE
    start = Phase.AWAITED
    events = Event
    effects = Effect
    ends = frozenset({Phase.CLOSED, Phase.WEBSOCKET})

    def test_the_peer_and_the_server_may_end_it_at_any_time(self) -> None:
        """Whatever a connection is about, it may be lost, half closed, and left by its server."""
        for phase in set(Phase) - self.ends:
            assert {Event.LOST, Event.HALF_CLOSED, Event.LEAVING} <= {
                event for before, event in TABLE if before is phase
            }

    def test_what_cannot_be_read_may_come_whenever_it_is_read(self) -> None:
        """Exactly where bytes are read they may be wrong."""
        assert {phase for phase, event in TABLE if event is Event.WRONG} == READING

    def test_an_answer_may_end_whatever_is_answered(self) -> None:
        """It may be the last of its connection in every phase in which there is one to come."""
        assert {phase for phase, event in TABLE if event is Event.ANSWERED_LAST} == BUSY

    def test_an_answer_that_is_the_last_has_no_words_behind_it(self) -> None:
        """Where there may be last words already, they are forgotten."""
        for phase in (Phase.LAST, Phase.REFUSED):
            assert Effect.HUSH in TABLE[phase, Event.ANSWERED_LAST][1]

    def test_a_half_closed_connection_is_answered_before_it_ends(self) -> None:
        """What came whole is answered; a body that did not is told to be torn."""
        for phase in BUSY - {Phase.LAST, Phase.REFUSED}:
            after, effects = TABLE[phase, Event.HALF_CLOSED]
            assert (after is Phase.LAST) == (phase is not Phase.TAKING)
            assert (Effect.TEAR in effects) == (phase is not Phase.ANSWERING)


class AnyConnection(AnyEvent):
    """Anything happens to a connection at any time, as far as requests have come."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """A request begins once, at its head or at its turn; an answer that is due reaches its end or is dismissed."""
        assert (Effect.BEGIN in effects or Effect.QUEUE in effects) == (event is Event.HEAD)
        assert (Effect.NEXT in effects) == (event in {Event.TURN_OF_WHOLE, Event.TURN_OF_COMING})
        assert Effect.HEARD not in effects or Effect.BEGIN in effects
        if event is Event.LOST:
            assert effects in {(), (Effect.DISMISS,)}

    @invariant()
    def it_parts_once(self) -> None:
        """The last words are said once, and then the connection is closed, or cut."""
        parted = self.count(Effect.PART, Effect.ABORT)
        assert parted <= 1
        assert (self.phase is Phase.PARTING) <= (parted == 1)

    @invariant()
    def it_begins_what_it_answers(self) -> None:
        """Where a request is being answered, it was begun; after the end, none is."""
        if self.phase in BUSY:
            assert self.count(Effect.BEGIN) > 0
            assert self.count(Effect.DISMISS) == 0


TestAnyConnection = AnyConnection.TestCase
