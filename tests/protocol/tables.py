"""What every state machine's table promises, written once: a test file names its table and inherits the tests."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum
from typing import Any, ClassVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tocsin.protocol.kernel.machine import IllegalEvent, step

Table = Mapping[tuple[Any, Any], tuple[Any, tuple[Any, ...]]]


def reachable(table: Table, start: Enum) -> set[Enum]:
    """Return the phases that some series of events leads to."""
    found: set[Enum] = {start}
    fresh = [start]
    while fresh:
        phase = fresh.pop()
        following = {after for (before, _), (after, _) in table.items() if before is phase} - found
        found |= following
        fresh.extend(following)
    return found


def erase(monkeypatch: pytest.MonkeyPatch, table: Any, effect: Enum) -> None:
    """Take an effect out of a table, everywhere, for one test."""
    rows = [(pair, after, effects) for pair, (after, effects) in table.items() if effect in effects]
    assert rows, f"no row of the table has {effect}"
    for pair, after, effects in rows:
        monkeypatch.setitem(table, pair, (after, tuple(each for each in effects if each is not effect)))


class Law:
    """The tests of one table; a subclass whose name begins with ``Test`` is collected."""

    table: ClassVar[Table]
    start: ClassVar[Enum]
    events: ClassVar[type[Enum]]
    effects: ClassVar[type[Enum]]
    ends: ClassVar[frozenset[Enum]] = frozenset()
    """The phases in which it is over."""

    def test_every_phase_can_be_reached(self) -> None:
        """Some series of events leads from the start to each phase."""
        assert reachable(self.table, self.start) == set(type(self.start))

    def test_every_event_is_legal_somewhere(self) -> None:
        """No event is without a meaning."""
        assert {event for _, event in self.table} == set(self.events)

    def test_every_effect_is_used(self) -> None:
        """No effect waits for an event that never causes it."""
        assert {effect for _, effects in self.table.values() for effect in effects} == set(self.effects)

    def test_no_effect_is_asked_for_twice_at_once(self) -> None:
        """One event causes each effect once at most."""
        for effects in (effects for _, effects in self.table.values()):
            assert len(set(effects)) == len(effects)

    def test_an_end_accepts_nothing(self) -> None:
        """Exactly the ends have no legal event."""
        assert set(type(self.start)) - {phase for phase, _ in self.table} == self.ends
        for phase in self.ends:
            for event in self.events:
                with pytest.raises(IllegalEvent):
                    step(self.table, phase, event)

    def test_no_phase_is_a_trap(self) -> None:
        """From every phase it can still end; what never ends can always come back to its start."""
        homes = self.ends or {self.start}
        for phase in type(self.start):
            assert reachable(self.table, phase) & homes, phase


class AnyEvent(RuleBasedStateMachine):
    """Any event may come at any time: a legal one does what the table says, an illegal one changes nothing."""

    law: ClassVar[type[Law]]

    def __init__(self) -> None:
        super().__init__()
        self.before = dict(self.law.table)
        self.phase: Any = self.law.start
        self.journal: list[Any] = []
        """All effects so far, in order."""

    @rule(data=st.data())
    def anything_happens(self, data: st.DataObject) -> None:
        """Any event takes the step that its table has, or is refused and changes nothing."""
        event: Any = data.draw(st.sampled_from(self.law.events), label="event")
        if (self.phase, event) in self.before:
            self._go_on(event)
        else:
            with pytest.raises(IllegalEvent) as refused:
                step(self.law.table, self.phase, event)
            assert (refused.value.phase, refused.value.event) == (self.phase, event)

    @precondition(lambda self: self.phase not in self.law.ends)
    @rule(data=st.data())
    def something_legal_happens(self, data: st.DataObject) -> None:
        """So that long lives are not rare."""
        legal = [event for phase, event in self.before if phase is self.phase]
        self._go_on(data.draw(st.sampled_from(legal), label="event"))

    @precondition(lambda self: self.phase in self.law.ends)
    @rule()
    def another_one_begins(self) -> None:
        """What has ended makes room."""
        self.phase = self.law.start
        self.journal.clear()

    @invariant()
    def the_table_stays_as_it_was(self) -> None:
        """No step writes into the law."""
        assert self.law.table == self.before

    def count(self, *effects: Enum) -> int:
        """Count how often these effects were asked for so far."""
        return sum(self.journal.count(effect) for effect in effects)

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """Look at a legal event after it; a subclass checks here what each event must do."""

    def _go_on(self, event: Any) -> None:
        after, effects = step(self.law.table, self.phase, event)
        assert (after, effects) == self.before[self.phase, event]
        self.phase = after
        self.journal.extend(effects)
        self.happened(event, effects)
