"""The lines before the foreground handlers: who is first, and whose budget begins."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.persistence.payloads import payload
from tests.strategies import channel_names
from tocsin.protocol.delivery.handler_queues import HandlerQueue, HandlerQueues
from tocsin.protocol.messages import PayloadRow

SESSIONS = st.sampled_from(["", "s", "t"])


def rows(channel: str, sequences: Iterable[int]) -> list[PayloadRow]:
    """Build payloads of a channel."""
    return [payload(sequence, channel, attempt=1) for sequence in sequences]


class LinesAndModel(RuleBasedStateMachine):
    """Payloads come and go in any order; the first of each line is told once."""

    def __init__(self) -> None:
        super().__init__()
        self.lines = HandlerQueues()
        self.model: dict[tuple[str, str], list[int]] = {}
        self.told: set[int] = set()
        self.last = 0

    @rule(channel=channel_names(), session=SESSIONS, count=st.integers(1, 4))
    def payloads_come(self, channel: str, session: str, count: int) -> None:
        """They stand behind those that are there of their session."""
        several = [self.last + n for n in range(1, count + 1)]
        self.last += count
        self.model.setdefault((channel, session), []).extend(several)
        self.lines.enqueue(f"app of {channel}", rows(channel, several), session)

    @rule(channel=channel_names(), session=SESSIONS, places=st.sets(st.integers(0, 5), min_size=1))
    def some_leave_for_good(self, channel: str, session: str, places: set[int]) -> None:
        """The first ones, or any from the midst."""
        line = self.model.get((channel, session), [])
        self.model[channel, session] = [sequence for place, sequence in enumerate(line) if place not in places]
        self.lines.note_ended([channel])

    @rule(channel=channel_names(), session=SESSIONS, place=st.integers(0, 5), again=st.booleans())
    def one_leaves(self, channel: str, session: str, place: int, *, again: bool) -> None:
        """It may come again, and then stands behind the others and is told anew; who is not in line changes nothing."""
        line = self.model.get((channel, session), [])
        leaving = line[place] if place < len(line) else 0
        self.lines.remove(channel, leaving)
        if leaving:
            line.remove(leaving)
            self.told.discard(leaving)
            if again:
                line.append(leaving)
                self.lines.enqueue(f"app of {channel}", rows(channel, [leaving]), session)

    @rule()
    def budgets_begin(self) -> None:
        """Those that have become the first since the last time, and are still; then no line is empty."""
        firsts = {line[0] for line in self.model.values() if line}
        standing = {sequence for line in self.model.values() for sequence in line}
        new = [self.begin(line) for line in self.lines.new_heads(standing)]
        assert set(new) <= firsts - self.told
        self.told.update(new)
        assert firsts <= self.told, "a first without a budget would never be cancelled"
        assert bool(self.lines) == bool(firsts)
        for (channel, _), line in self.model.items():
            assert [self.lines.is_head(channel, sequence) for sequence in line] == [True, *[False] * len(line)][
                : len(line)
            ]

    def begin(self, line: HandlerQueue) -> int:
        """Begin the budget of a line's first, and return which it is: that of the one before it has ended."""
        assert line.head is not None
        assert line.deadline == 0.0
        line.deadline = 30.0
        return line.head

    @invariant()
    def each_knows_its_app(self) -> None:
        """As long as a payload is in line."""
        assert all(
            self.lines.app_of(channel) == f"app of {channel}" for (channel, _), line in self.model.items() if line
        )


TestLinesAndModel = LinesAndModel.TestCase


def test_cleared_lines_are_empty() -> None:
    """No payload is a head any more, and no deadline runs."""
    lines = HandlerQueues()
    lines.enqueue("mail", rows("c1", [1]))
    (line,) = lines.new_heads({1})
    line.deadline = 30.0
    lines.clear()
    assert (bool(lines), line.head, line.deadline) == (False, 1, 0.0)
    assert list(lines.new_heads({1})) == []
