"""A call at its service, by its table."""

from __future__ import annotations

from typing import Any

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.calling.call_at_service import ENDINGS, TABLE, Effect, Event, Phase


class TestTable(Law):
    """A call keeps the law."""

    table = TABLE
    start = Phase.RINGING
    events = Event
    effects = Effect
    ends = frozenset({Phase.ENDED})


class Calling(AnyEvent):
    """Anything happens to a call at any time."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """Both sides are told of each step, and what rang is told once that it rings no more, before all else."""
        assert Effect.TELL_SIDES in effects, event
        assert self.count(Effect.STOP_RINGING) == (self.phase is not Phase.RINGING)


TestCalling = Calling.TestCase


def test_each_step_that_ends_a_call_has_its_reason() -> None:
    """No step into the end is without one, and no other step has one."""
    assert set(ENDINGS) == {pair for pair, (after, _) in TABLE.items() if after is Phase.ENDED}


def test_a_call_that_was_not_answered_was_not_hung_up() -> None:
    """Before it is answered, a loss of the caller is a cancellation; afterwards the two losses are told apart by the set-up."""
    assert ENDINGS[Phase.RINGING, Event.CALLER_LOST] == ENDINGS[Phase.RINGING, Event.CANCELLED]
    assert ENDINGS[Phase.CONNECTING, Event.CALLEE_LOST] == ENDINGS[Phase.CONNECTING, Event.TIMED_OUT]
    assert ENDINGS[Phase.CONNECTED, Event.CALLEE_LOST] == ENDINGS[Phase.CONNECTED, Event.CALLER_LOST]
