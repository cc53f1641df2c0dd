"""Deadlines: what is due is returned once and in order, and what was stopped never is."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.persistence import payloads
from tocsin.protocol.delivery.payload_life import Tracked
from tocsin.protocol.kernel.deadlines import Deadlines


def payload(sequence: int = 1) -> Tracked:
    """Make a payload without a deadline."""
    return Tracked(sequence, "app", "c1", 1, None, payloads.payload(sequence, attempt=1))


class QueueAndModel(RuleBasedStateMachine):
    """A queue beside a plain dict of who is due when."""

    def __init__(self) -> None:
        super().__init__()
        self.payloads = [payload(sequence) for sequence in range(5)]
        self.due: dict[int, float] = {}
        self.now = 0.0
        self.length = 0.0
        self.deadlines = Deadlines[Tracked](0.0)

    @initialize(now=st.sampled_from([0.0, 1000.25]), length=st.sampled_from([0.5, 3.0, 30.0]))
    def time_begins(self, now: float, length: float) -> None:
        """Clocks begin anywhere."""
        self.now, self.length = now, length
        self.deadlines = Deadlines[Tracked](length)

    @rule(which=st.integers(0, 4))
    def one_starts(self, which: int) -> None:
        """For the first time, or anew before its deadline has come."""
        self.deadlines.start(self.payloads[which], self.now)
        self.due[which] = self.now + self.length
        assert self.payloads[which].deadline == self.now + self.length

    @precondition(lambda self: self.due)
    @rule(data=st.data())
    def one_stops(self, data: st.DataObject) -> None:
        """It came to its end in time."""
        which = data.draw(st.sampled_from(sorted(self.due)), label="which")
        self.payloads[which].deadline = 0.0
        del self.due[which]

    @rule(seconds=st.sampled_from([0.25, 0.5, 1.0, 7.5, 40.0]))
    def time_passes(self, seconds: float) -> None:
        """Steps that a float holds exactly, so that moments meet."""
        self.now += seconds

    @rule()
    def the_due_are_taken(self) -> None:
        """All of them, each once, the earliest first; they have no deadline any more."""
        expected = {which for which, moment in self.due.items() if moment <= self.now}
        taken = self.deadlines.take_due(self.now)
        numbers = [tracked.sequence for tracked in taken]
        assert (len(numbers), set(numbers)) == (len(expected), expected)
        moments = [self.due.pop(number) for number in numbers]
        assert moments == sorted(moments)
        assert all(tracked.deadline == 0.0 for tracked in taken)
        assert self.deadlines.take_due(self.now) == []

    @precondition(lambda self: self.due)
    @rule()
    def the_alarm_rings(self) -> None:
        """At the moment that ``next`` gave, at least one deadline is due."""
        moment = self.deadlines.next()
        assert moment is not None
        self.now = max(self.now, moment)
        before = len(self.due)
        self.the_due_are_taken()
        assert len(self.due) < before

    @invariant()
    def the_next_is_the_earliest_in_force(self) -> None:
        """One alarm for it serves them all; None means that no alarm is needed."""
        assert self.deadlines.next() == min(self.due.values(), default=None)

    @invariant()
    def every_deadline_in_force_is_held(self) -> None:
        """None is forgotten, and a queue of which nothing is in force holds nothing back."""
        assert len(self.deadlines) >= len(self.due)
        if not self.due:
            self.deadlines.next()
            assert len(self.deadlines) == 0


TestQueueAndModel = QueueAndModel.TestCase


class TestDeadlines:
    """The moments at which it matters."""

    def test_it_is_due_at_its_deadline_and_not_before(self) -> None:
        """The moment itself counts, so that an alarm set for it finds it."""
        deadlines, tracked = Deadlines[Tracked](5.0), payload()
        deadlines.start(tracked, 10.0)
        assert deadlines.take_due(14.999) == []
        assert tracked.deadline == deadlines.next() == 15.0
        assert deadlines.take_due(15.0) == [tracked]
        assert (deadlines.next(), tracked.deadline, len(deadlines)) == (None, 0.0, 0)

    def test_started_anew_at_the_same_moment_it_is_due_once(self) -> None:
        """Two entries with one deadline are one deadline."""
        deadlines, tracked = Deadlines[Tracked](5.0), payload()
        deadlines.start(tracked, 10.0)
        tracked.deadline = 0.0
        deadlines.start(tracked, 10.0)
        assert deadlines.take_due(99.0) == [tracked]

    def test_a_payload_that_waits_elsewhere_is_passed_over(self) -> None:
        """Work that has got its time of grace does not run out of its budget as well."""
        budgets, graces, tracked = Deadlines[Tracked](30.0), Deadlines[Tracked](5.0), payload()
        budgets.start(tracked, 0.0)
        graces.start(tracked, 29.0)
        assert (budgets.next(), graces.next()) == (None, 34.0)
        assert budgets.take_due(34.0) == []
        assert graces.take_due(34.0) == [tracked]

    def test_the_same_moment_in_two_queues_is_due_in_one(self) -> None:
        """A grace that ends when the budget would have ended is taken by the first of the two queues, and once."""
        budgets, graces, tracked = Deadlines[Tracked](30.0), Deadlines[Tracked](5.0), payload()
        budgets.start(tracked, 0.0)
        graces.start(tracked, 25.0)
        assert graces.take_due(30.0) == [tracked]
        assert budgets.take_due(30.0) == []


def test_what_was_stopped_does_not_pile_up_behind_what_runs() -> None:
    """One piece of work that hangs does not keep thousands that have ended in memory."""
    deadlines = Deadlines[Tracked](30.0)
    hung = payload(0)
    deadlines.start(hung, 0.0)
    for number in range(1, 20_000):
        ended = payload(number)
        deadlines.start(ended, number / 1000)
        ended.deadline = 0.0
    assert len(deadlines) <= 1025
    assert deadlines.take_due(30.0) == [hung]
