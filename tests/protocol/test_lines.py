"""The lines before the foreground handlers: who is first, and whose budget begins."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.strategies import channel_names
from tocsin.protocol.delivery import Phase, Tracked
from tocsin.protocol.lines import Lines


def tracked(sequence: int, channel: str) -> Tracked:
    """Build a payload in the foreground."""
    return Tracked(sequence, "mail", channel, 1, None, ())


class LinesAndModel(RuleBasedStateMachine):
    """Payloads come and go in any order; the first of each line is told once."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = Lines()
        self.model: dict[str, list[Tracked]] = {}
        self.told: list[Tracked] = []
        self.last = 0

    @rule(channel=channel_names(), count=st.integers(1, 4))
    def payloads_come(self, channel: str, count: int) -> None:
        """They stand behind those that are there."""
        several = [tracked(self.last + n, channel) for n in range(1, count + 1)]
        self.last += count
        self.lines.join(channel, several)
        self.model.setdefault(channel, []).extend(several)

    @rule(channel=channel_names(), place=st.integers(0, 5))
    def one_leaves(self, channel: str, place: int) -> None:
        """The first, or one from the midst; one that does not stand there changes nothing."""
        line = self.model.get(channel, [])
        leaving = line[place] if place < len(line) else tracked(0, channel)
        self.lines.leave(leaving)
        if leaving in line:
            line.remove(leaving)

    @rule()
    def budgets_begin(self) -> None:
        """Those that have become the first since the last time, and are still."""
        for first in self.lines.new_firsts():
            assert first is self.model[first.channel][0]
            assert first not in self.told
            self.told.append(first)
        for line in self.model.values():
            assert not line or line[0] in self.told, "a first without a budget would never be cancelled"

    @invariant()
    def they_agree_on_whether_anybody_waits(self) -> None:
        """No line is empty."""
        assert bool(self.lines) == any(self.model.values())


TestLinesAndModel = LinesAndModel.TestCase


def test_one_that_is_being_cancelled_gets_no_budget() -> None:
    """Its grace runs already."""
    lines = Lines()
    first, second = tracked(1, "c1"), tracked(2, "c1")
    lines.join("c1", [first, second])
    first.phase = Phase.CANCELING
    assert list(lines.new_firsts()) == []
    lines.leave(first)
    assert list(lines.new_firsts()) == [second]


def test_cleared_lines_are_empty() -> None:
    """Nobody is first any more."""
    lines = Lines()
    lines.join("c1", [tracked(1, "c1")])
    lines.clear()
    assert not lines
    assert list(lines.new_firsts()) == []
