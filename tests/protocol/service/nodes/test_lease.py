"""A node's lease: its table, and that its node never relies on it for longer than the database does."""

from __future__ import annotations

from typing import Any

import pytest
from attrs import evolve
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.service.nodes import lease_row
from tocsin.protocol.service.nodes.lease import HOLDING, TABLE, Effect, Event, Lease, LeaseTerms, Others, Phase
from tocsin.protocol.service.nodes.lease_row import Joining, LeaseRow, NotGranted

TERMS = LeaseTerms(length=3.0, drift=0.01, hold=90.0)


class TestTable(Law):
    """A node keeps the law."""

    table = TABLE
    start = Phase.JOINING
    events = Event
    effects = Effect
    ends = frozenset({Phase.LEFT})

    def test_a_node_may_be_told_to_drain_at_any_time(self) -> None:
        """And more than once."""
        assert {phase for phase, event in TABLE if event is Event.DRAIN} == set(Phase) - {Phase.LEFT}

    def test_what_may_be_at_other_nodes_is_written_down_before_it_is_served(self) -> None:
        """A lease that follows one that is over reclaims the connections, and opens then."""
        assert TABLE[Phase.LAPSED, Event.GRANTED][1] == (Effect.RECLAIM, Effect.OPEN)


class AnyNode(AnyEvent):
    """Anything happens to a node at any time."""

    law = TestTable
    acts = False

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """It acts only with a lease, and looks at what others have changed whenever it gets more of it."""
        for effect in effects:
            self.acts = effect is Effect.OPEN or (self.acts and effect is not Effect.HOLD)
        assert (Effect.LOOK in effects) == (event is Event.GRANTED and Effect.OPEN not in effects)

    @invariant()
    def it_acts_with_a_lease_only(self) -> None:
        """And always then, until it gives the lease back."""
        assert self.acts == (self.phase in {Phase.SERVING, Phase.DRAINING})


TestAnyNode = AnyNode.TestCase


class Leased(RuleBasedStateMachine):
    """A node, the database, and the way between them, on clocks that go as differently as is allowed for."""

    @initialize(rate=st.sampled_from([0.99, 1.0, 1.01]))
    def begin(self, rate: float) -> None:
        """Start the node; its clock goes slower or faster than the database's."""
        self.lease = Lease(TERMS)
        self.rate = rate
        self.now = 1000.0
        self.row: LeaseRow | None = None
        self.number = 0
        self.held = row(0)
        self.asked: list[tuple[float, Effect, LeaseRow, int]] = []
        self.answers: list[tuple[float, LeaseRow | NotGranted, bool]] = []

    @property
    def clock(self) -> float:
        """The node's clock."""
        return 7.0 + self.now * self.rate

    def _perform(self, effects: tuple[Effect, ...]) -> None:
        asking = {Effect.JOIN, Effect.RENEW}.intersection(effects)
        self.asked += [(self.clock, each, self.held, self.lease.number) for each in asking]

    @rule(seconds=st.sampled_from([0.001, 0.1, 0.5, 1.0, 4.0]))
    def time_passes(self, seconds: float) -> None:
        """The process may stand still for all of it."""
        self.now += seconds

    @rule()
    def the_alarm_rings(self) -> None:
        """Late, or in time; as often as there is something due."""
        for _ in range(3):
            self._perform(self.lease.ring(self.clock))
        alarm = self.lease.alarm
        assert alarm is None or alarm > self.clock

    @precondition(lambda self: self.asked)
    @rule(data=st.data())
    def the_database_answers(self, data: st.DataObject) -> None:
        """Questions come late and in any order."""
        at, effect, held, last = self.asked.pop(data.draw(st.integers(0, len(self.asked) - 1)))
        self.number += 1
        if effect is Effect.JOIN:
            answer = lease_row.join(self.row, Joining("n", "r", "n:1", "1", last), self.number, self.now, TERMS.length)
        else:
            answer = lease_row.renew(self.row, held, self.now, TERMS.length, draining=False)
        if isinstance(answer, LeaseRow):
            self.row = answer
        self.answers.append((at, answer, effect is Effect.JOIN))

    @precondition(lambda self: self.answers)
    @rule(data=st.data(), lost=st.booleans())
    def an_answer_comes(self, data: st.DataObject, lost: bool) -> None:
        """Late, in any order, or not at all."""
        at, answer, joined = self.answers.pop(data.draw(st.integers(0, len(self.answers) - 1)))
        if lost:
            self.lease.failed(at, self.clock, 0.5)
        elif isinstance(answer, LeaseRow):
            self._perform(self.lease.granted(at, answer.number, self.clock, joined=joined))
            self.held = answer if answer.number == self.lease.number else self.held
        else:
            assert answer is NotGranted.OVER, "there is no other process"
            self._perform(self.lease.refused(at, Event.REFUSED, self.clock, 0.5))

    @precondition(lambda self: self.asked)
    @rule()
    def its_patience_ends(self) -> None:
        """The question is on its way still, and may be answered yet."""
        self.lease.failed(self.asked[-1][0], self.clock, 0.5)

    @invariant()
    def it_relies_on_what_the_database_holds(self) -> None:
        """While the node acts, no other takes what it holds."""
        if self.lease.is_good(self.clock):
            assert self.row is not None
            assert self.row.number == self.lease.number
            assert self.row.is_good(self.now)


TestLeased = Leased.TestCase


def granted(lease: Lease, now: float, number: int = 1) -> tuple[Effect, ...]:
    """Let a node ask, and be given a lease at once."""
    joined = lease.phase not in HOLDING
    lease.ring(now)
    return lease.granted(now, number, now, joined=joined)


def test_two_renewals_may_fail() -> None:
    """A node asks after a third of its lease, and again soon where there was no answer."""
    lease = Lease(TERMS)
    assert granted(lease, 10.0) == (Effect.OPEN,)
    assert lease.alarm == 11.0
    assert lease.ring(11.0) == (Effect.RENEW,)
    assert lease.alarm == pytest.approx(12.97)
    lease.failed(11.0, 11.5, 1.0)
    assert lease.alarm == pytest.approx(11.6)
    assert lease.ring(11.6) == (Effect.RENEW,)
    assert lease.ring(13.0) == (Effect.HOLD, Effect.JOIN)
    assert not lease.is_good(13.0)


def test_a_grant_that_comes_after_its_end_is_none() -> None:
    """Its node asks again."""
    lease = Lease(TERMS)
    lease.ring(10.0)
    assert lease.granted(10.0, 1, 13.0, joined=True) == (Effect.JOIN,)
    assert lease.phase is Phase.JOINING


def test_a_renewal_that_comes_after_the_end_of_what_it_renews_is_none() -> None:
    """Another may have seen the end in the database, while the renewal was being committed, and taken what the node held."""
    lease = Lease(TERMS)
    granted(lease, 10.0)
    lease.ring(12.5)
    assert lease.granted(12.5, 1, 13.0, joined=False) == (Effect.HOLD, Effect.JOIN)


def test_a_renewal_of_what_has_lapsed_is_passed_over() -> None:
    """Others may have taken what the node held: only a new lease counts."""
    lease = Lease(TERMS)
    granted(lease, 10.0)
    lease.ring(11.0)
    lease.ring(13.5)
    assert lease.granted(11.0, 1, 13.6, joined=False) == ()
    assert lease.granted(13.5, 2, 13.6, joined=True) == (Effect.RECLAIM, Effect.OPEN)
    assert lease.number == 2


def test_a_node_asks_again_soon_however_often_it_has_failed() -> None:
    """What it has waited for is a lease, and a database that is there again answers at once."""
    assert [TERMS.again(failures, 1.0) for failures in (1, 2, 3, 100)] == pytest.approx([0.1, 0.2, 0.3, 0.3])


def test_devices_stay_while_the_database_is_gone_for_all() -> None:
    """They are closed where another node has a lease, or when it has lasted for long."""
    lease = Lease(TERMS)
    granted(lease, 10.0)
    lease.ring(20.0)
    assert lease.look_at_others(79.9, Others.NONE, 5) == ()
    assert lease.look_at_others(110.0, Others.NONE, 0) == ()
    assert lease.look_at_others(110.0, Others.NONE, 5) == (Effect.CLOSE_DEVICES,)


def test_devices_do_better_elsewhere_where_only_this_node_is_cut_off() -> None:
    """It asks again at once, and closes them when that has not helped within a moment."""
    lease = Lease(TERMS)
    granted(lease, 10.0)
    lease.ring(20.0)
    lease.failed(20.0, 20.5, 1.0)
    lease.ring(20.6)
    lease.failed(20.6, 60.0, 1.0)
    assert lease.look_at_others(60.01, Others.SERVE, 5) == ()
    assert lease.ring(60.01) == (Effect.JOIN,)
    lease.failed(60.01, 60.02, 1.0)
    assert lease.alarm == pytest.approx(60.12)
    assert lease.look_at_others(61.2, Others.SERVE, 5) == ()
    assert lease.look_at_others(61.3, Others.SERVE, 0) == ()
    assert lease.look_at_others(61.3, Others.SERVE, 5) == (Effect.CLOSE_DEVICES,)
    assert lease.look_at_others(61.4, Others.NONE, 5) == ()


def asked_in_vain() -> Lease:
    """Return a lease that was granted at 10.0, and of which no more was to be had at 11.0."""
    lease = Lease(TERMS)
    granted(lease, 10.0)
    assert not lease.is_in_doubt
    lease.ring(11.0)
    lease.failed(11.0, 11.9, 1.0)
    assert lease.is_in_doubt
    return lease


def test_one_that_nothing_reaches_lets_its_devices_go_soon_after_its_lease() -> None:
    """That no other node answers counts from before, since it is asked as soon as the database does not answer."""
    lease = asked_in_vain()
    assert lease.look_at_others(11.9, Others.SILENT, 5) == ()
    assert lease.look_at_others(12.9, Others.SILENT, 5) == ()
    assert lease.ring(13.0) == (Effect.HOLD, Effect.JOIN)
    assert lease.is_in_doubt
    assert lease.look_at_others(13.0, Others.SILENT, 5) == ()
    assert lease.look_at_others(13.15, Others.SILENT, 5) == (Effect.CLOSE_DEVICES,)


def test_that_others_still_have_leases_proves_nothing_before_this_one_is_over() -> None:
    """Where the database is gone for all they end within a moment, and devices stay."""
    lease = asked_in_vain()
    assert lease.look_at_others(11.9, Others.SERVE, 5) == ()
    assert lease.ring(13.0) == (Effect.HOLD, Effect.JOIN)
    assert lease.look_at_others(14.1, Others.SERVE, 5) == ()
    assert lease.look_at_others(14.25, Others.NONE, 5) == ()
    assert lease.look_at_others(80.0, Others.NONE, 5) == ()


def test_a_word_of_another_node_begins_the_time_anew() -> None:
    """The link was only slow, then."""
    lease = asked_in_vain()
    lease.look_at_others(11.9, Others.SILENT, 5)
    lease.ring(13.0)
    assert lease.look_at_others(13.05, Others.NONE, 5) == ()
    assert lease.look_at_others(13.1, Others.SILENT, 5) == ()
    assert lease.look_at_others(14.2, Others.SILENT, 5) == ()
    assert lease.look_at_others(14.4, Others.SILENT, 5) == (Effect.CLOSE_DEVICES,)


def test_a_node_leaves_when_its_devices_have() -> None:
    """It holds its lease until then, and gives it back."""
    lease = Lease(TERMS)
    granted(lease, 10.0)
    assert lease.empty(10.0) == ()
    assert lease.happened(Event.DRAIN, 10.5) == (Effect.RENEW, Effect.SEND_AWAY)
    assert lease.granted(10.5, 1, 10.6, joined=False) == (Effect.LOOK,)
    assert lease.is_good(11.0)
    assert lease.empty(11.0) == (Effect.HOLD, Effect.RELEASE)
    assert not lease.is_good(11.0)
    assert lease.ring(13.6) == ()
    assert lease.phase is Phase.LEFT


def test_a_process_that_is_replaced_ends() -> None:
    """Else two processes of one name would take it from each other for ever."""
    lease = Lease(TERMS)
    granted(lease, 10.0)
    lease.ring(11.0)
    assert lease.refused(11.0, Event.REPLACED, 11.1, 0.5) == (Effect.HOLD, Effect.CLOSE_DEVICES)
    assert lease.granted(11.0, 1, 11.2, joined=False) == ()
    assert lease.empty(11.3) == ()
    assert lease.phase is Phase.LEFT


def row(number: int = 5, granted: float = 100.0, run: str = "r") -> LeaseRow:
    """Make a lease of three seconds."""
    return LeaseRow(number, "n", run, "n:1", "1", granted, granted + 3)


def test_a_lease_is_renewed_while_it_is_good_only() -> None:
    """Also not where the database's clock was set back behind it."""
    renewed = lease_row.renew(row(), row(), 102.0, 3.0, draining=True)
    assert renewed == evolve(row(), granted=102.0, until=105.0, draining=True)
    for held, now in [(row(), 103.0), (row(), 99.0), (None, 101.0), (row(4), 101.0), (row(6), 101.0)]:
        assert lease_row.renew(held, row(), now, 3.0, draining=False) is NotGranted.OVER
    assert lease_row.renew(row(6, run="s"), row(), 101.0, 3.0, draining=False) is NotGranted.REPLACED


def test_who_starts_takes_its_name_over() -> None:
    """Who had a lease does not take it back from a later process."""
    given = lease_row.join(row(), Joining("n", "s", "n:2", "2"), 9, 101.0, 3.0)
    assert given == LeaseRow(9, "n", "s", "n:2", "2", 101.0, 104.0)
    assert lease_row.join(row(), Joining("n", "s", "n:1", "1", last=4), 9, 101.0, 3.0) is NotGranted.REPLACED


def test_a_process_has_its_lease_again() -> None:
    """Where it does not know of it, since an answer was lost; one that it has had, or that is over, is none any more."""
    assert lease_row.join(row(), Joining("n", "r", "n:1", "1"), 9, 101.0, 3.0) == evolve(row(), granted=101, until=104)
    for last, now in [(5, 101.0), (4, 104.0)]:
        given = lease_row.join(row(), Joining("n", "r", "n:1", "1", last), 9, now, 3.0)
        assert isinstance(given, LeaseRow)
        assert given.number == 9
