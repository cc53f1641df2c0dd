"""The lines before the foreground handlers: who is first, and whose budget begins."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.strategies import channel_names
from tocsin.protocol.lines import Lines


class LinesAndModel(RuleBasedStateMachine):
    """Payloads come and go in any order; the first of each line is told once."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = Lines()
        self.model: dict[str, list[int]] = {}
        self.told: set[int] = set()
        self.last = 0

    @rule(channel=channel_names(), count=st.integers(1, 4))
    def payloads_come(self, channel: str, count: int) -> None:
        """They stand behind those that are there."""
        several = [self.last + n for n in range(1, count + 1)]
        self.last += count
        self.model.setdefault(channel, []).extend(several)
        self.lines.join(f"app of {channel}", channel, several)

    @rule(channel=channel_names(), places=st.lists(st.integers(0, 5), min_size=1, unique=True))
    def some_leave(self, channel: str, places: list[int]) -> None:
        """The first ones, or any from the midst; one that does not stand there changes nothing."""
        line = self.model.get(channel, [])
        leaving = [line[place] if place < len(line) else 0 for place in places]
        self.lines.leave(channel, leaving)
        self.model[channel] = [sequence for sequence in line if sequence not in leaving]

    @rule()
    def budgets_begin(self) -> None:
        """Those that have become the first since the last time, and are still."""
        firsts = {line[0] for line in self.model.values() if line}
        new = list(self.lines.new_firsts())
        assert set(new) <= firsts - self.told
        self.told.update(new)
        assert firsts <= self.told, "a first without a budget would never be cancelled"

    @invariant()
    def they_agree_on_whether_anybody_waits(self) -> None:
        """No line is empty, and each knows its app."""
        assert bool(self.lines) == any(self.model.values())
        assert all(self.lines.app_of(channel) == f"app of {channel}" for channel, line in self.model.items() if line)


TestLinesAndModel = LinesAndModel.TestCase


def test_cleared_lines_are_empty() -> None:
    """Nobody is first any more."""
    lines = Lines()
    lines.join("mail", "c1", [1])
    lines.clear()
    assert not lines
    assert list(lines.new_firsts()) == []
