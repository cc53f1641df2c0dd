"""The step that all machines share."""

from __future__ import annotations

from enum import Enum, auto

import pytest

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.errors import PushError
from tocsin.protocol.kernel.machine import IllegalEvent, step


class Phase(Enum):
    """A door."""

    OPEN = auto()
    SHUT = auto()
    NAILED = auto()


class Event(Enum):
    """What is done to it."""

    PUSH = auto()
    PULL = auto()
    NAIL = auto()


class Effect(Enum):
    """What one hears."""

    CREAK = auto()
    BANG = auto()


TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.OPEN, Event.PUSH): (Phase.SHUT, (Effect.CREAK, Effect.BANG)),
    (Phase.SHUT, Event.PULL): (Phase.OPEN, (Effect.CREAK,)),
    (Phase.SHUT, Event.NAIL): (Phase.NAILED, ()),
}


class TestTable(Law):
    """A door keeps the law."""

    table = TABLE
    start = Phase.OPEN
    events = Event
    effects = Effect
    ends = frozenset({Phase.NAILED})


class Door(AnyEvent):
    """Anything is done to a door at any time."""

    law = TestTable


TestAnyEvent = Door.TestCase


class TestStep:
    """One look into the table."""

    def test_a_legal_event_gives_the_next_phase_and_its_effects_in_order(self) -> None:
        """What the table says is what comes back."""
        assert step(TABLE, Phase.OPEN, Event.PUSH) == (Phase.SHUT, (Effect.CREAK, Effect.BANG))

    def test_an_event_may_have_no_effects(self) -> None:
        """Then only the phase changes."""
        assert step(TABLE, Phase.SHUT, Event.NAIL) == (Phase.NAILED, ())

    @pytest.mark.parametrize(
        ("phase", "event"), [(p, e) for p in Phase for e in Event if (p, e) not in TABLE], ids=lambda each: each.name
    )
    def test_an_illegal_event_raises_and_names_both(self, phase: Phase, event: Event) -> None:
        """The error says which event was not legal in which phase, in words and as values."""
        with pytest.raises(IllegalEvent, match=rf"^{event.name} is not legal in Phase\.{phase.name}$") as refused:
            step(TABLE, phase, event)
        assert refused.value.phase is phase
        assert refused.value.event is event

    def test_the_failed_lookup_is_not_shown(self) -> None:
        """The trace ends with the sentence, not with a KeyError."""
        with pytest.raises(IllegalEvent) as refused:
            step(TABLE, Phase.NAILED, Event.PULL)
        assert refused.value.__cause__ is None
        assert refused.value.__suppress_context__

    def test_an_illegal_event_is_a_defect_and_not_an_error_of_the_user(self) -> None:
        """It is no ``PushError``, so an app that catches those does not hide it."""
        assert not issubclass(IllegalEvent, PushError)
