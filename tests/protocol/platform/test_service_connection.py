"""The device's connection: its attempts, its greeting, its loss, and the time between attempts."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tests.strategies import fractions
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.platform.service_connection import (
    MAX_RETRY_AFTER,
    POLICIES,
    TABLE,
    Course,
    Effect,
    Event,
    Phase,
    ReconnectPolicy,
    loss,
)


class TestTable(Law):
    """A connection keeps the law."""

    table = TABLE
    start = Phase.DOWN
    events = Event
    effects = Effect
    ends = frozenset({Phase.CLOSED})

    def test_it_can_be_closed_at_any_time(self) -> None:
        """Closing is the end, whatever was going on."""
        closing = {phase: TABLE[phase, event][0] for phase, event in TABLE if event is Event.CLOSE}
        assert closing == dict.fromkeys(set(Phase) - self.ends, Phase.CLOSED)

    def test_it_can_be_lost_at_any_time_since_the_attempt(self) -> None:
        """A loss leads back to where it began."""
        lost = {phase: TABLE[phase, event][0] for phase, event in TABLE if event is Event.LOST}
        assert lost == dict.fromkeys([Phase.CONNECTING, Phase.GREETING, Phase.UP], Phase.DOWN)

    def test_a_device_that_was_replaced_stands_back(self) -> None:
        """Whatever else ends a connection is waited after as usual; to be replaced takes a service that was spoken to."""
        ways = {(phase, event): {*effects} & {*POLICIES} for (phase, event), (_, effects) in TABLE.items()}
        assert {at for at, way in ways.items() if way == {Effect.STAND_BACK}} == {
            (Phase.GREETING, Event.REPLACED),
            (Phase.UP, Event.REPLACED),
        }
        assert {event for (_, event), way in ways.items() if way == {Effect.BACK_OFF}} == {Event.LOST}

    def test_what_went_wrong_is_forgotten_only_when_a_connection_has_lasted(self) -> None:
        """A welcome alone is no success."""
        assert [at for at, (_, effects) in TABLE.items() if Effect.FORGET_FAILURES in effects] == [
            (Phase.UP, Event.LASTED)
        ]

    def test_finished_it_only_waits_for_its_end(self) -> None:
        """What is not up has nothing to say, and ends at once; what is up reads no more, and cannot come up again."""
        finished = {phase: TABLE[phase, event] for phase, event in TABLE if event is Event.FINISH}
        still = {Phase.UP, Phase.FINISHING, Phase.LEAVING}
        assert {effects for phase, (_, effects) in finished.items() if phase not in still} == {(Effect.GIVE_UP,)}
        assert finished[Phase.LEAVING] == (Phase.FINISHING, ())  # it is on its way out already
        assert finished[Phase.UP] == (Phase.FINISHING, (Effect.STOP_READING,))
        assert {TABLE[phase, event][0] for phase, event in TABLE if phase is Phase.FINISHING} == {
            Phase.FINISHING,
            Phase.CLOSED,
        }

    def test_it_can_be_forbidden_at_any_time(self) -> None:
        """Then it is left, if there is one, and only a permission leads on to another attempt."""
        forbidden = {phase: TABLE[phase, event] for phase, event in TABLE if event is Event.FORBIDDEN}
        assert forbidden.keys() == set(Phase) - self.ends
        over = {phase for phase, (after, _) in forbidden.items() if after is phase}
        assert over == {Phase.FINISHING, Phase.LEAVING, Phase.FORBIDDEN}
        assert {after for phase, (after, _) in forbidden.items() if phase not in over} == {Phase.LEAVING}
        ways_out = {event: after for (phase, event), (after, _) in TABLE.items() if phase is Phase.FORBIDDEN}
        assert ways_out == {
            Event.FORBIDDEN: Phase.FORBIDDEN,
            Event.ALLOWED: Phase.CONNECTING,
            Event.FINISH: Phase.FORBIDDEN,
            Event.CLOSE: Phase.CLOSED,
        }

    def test_nothing_is_opened_on_the_way_out(self) -> None:
        """What is being left opens no wire, says no hello and waits for no attempt."""
        on_the_way = {
            effect for (phase, _), (_, effects) in TABLE.items() if phase is Phase.LEAVING for effect in effects
        }
        assert on_the_way == {Effect.REPORT_FORBIDDEN, Effect.AWAIT_PERMISSION}


class Connection(AnyEvent):
    """Anything happens to a connection at any time."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """A loss is reported and waited after, a ban too, a success is reported, and nothing else is."""
        chosen = bool({*effects} & {*POLICIES})
        assert (
            (Effect.REPORT_DOWN in effects)
            == (Effect.WAIT in effects)
            == chosen
            == (event in {Event.LOST, Event.REPLACED})
        )
        assert (Effect.REPORT_FORBIDDEN in effects) == (Effect.AWAIT_PERMISSION in effects) == (event is Event.LEFT)
        assert (Effect.REPORT_UP in effects) == (Effect.CARRY_FRAMES in effects) == (event is Event.WELCOMED)

    @invariant()
    def the_last_report_says_whether_it_is_up(self) -> None:
        """The last report says whether there is a connection, and REPORT_UP never comes twice in a row."""
        kinds = {Effect.REPORT_UP, Effect.REPORT_DOWN, Effect.REPORT_FORBIDDEN}
        reports = [effect for effect in self.journal if effect in kinds]
        assert (Effect.REPORT_UP, Effect.REPORT_UP) not in pairwise(reports)
        if self.phase not in {Phase.CLOSED, Phase.FINISHING, Phase.LEAVING}:  # which say nothing of themselves
            assert (reports[-1:] == [Effect.REPORT_UP]) == (self.phase is Phase.UP)
            assert (reports[-1:] == [Effect.REPORT_FORBIDDEN]) >= (self.phase is Phase.FORBIDDEN)

    @invariant()
    def at_most_one_wire_is_open(self) -> None:
        """A new wire is opened only when the one before was lost, or failed to open."""
        opened = {Phase.CONNECTING, Phase.GREETING, Phase.UP}
        over = Effect.BACK_OFF, Effect.STAND_BACK, Effect.REPORT_FORBIDDEN
        ends = [each for each in self.journal if each is Effect.OPEN_WIRE or each in over]
        assert (Effect.OPEN_WIRE, Effect.OPEN_WIRE) not in pairwise(ends)
        if self.phase in opened | {Phase.DOWN, Phase.FORBIDDEN}:
            assert (ends[-1:] == [Effect.OPEN_WIRE]) == (self.phase in opened)

    @invariant()
    def the_greeting_comes_first(self) -> None:
        """No connection is up before the device has said hello on it."""
        assert self.count(Effect.REPORT_UP) <= self.count(Effect.SEND_HELLO) <= self.count(Effect.OPEN_WIRE)


TestAnyEvent = Connection.TestCase


class TestReconnectPolicy:
    """How long until the next attempt to connect."""

    def test_the_span_doubles_up_to_the_longest(self) -> None:
        """A quarter of a second, twice as long each time, half a minute at most."""
        policy = ReconnectPolicy()
        waits = [policy.wait(failures, 1.0) for failures in range(1, 11)]
        assert waits == [0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]

    @given(st.integers(1, 10**9), fractions())
    def test_at_least_half_of_the_span_is_waited(self, failures: int, fraction: float) -> None:
        """Chance spreads devices over the upper half, however long the service has been away."""
        span = ReconnectPolicy().wait(failures, 1.0)
        assert span / 2 <= ReconnectPolicy().wait(failures, fraction) <= span <= 30.0

    @given(st.integers(1, 100), fractions())
    def test_the_wait_never_shrinks_with_more_failures(self, failures: int, fraction: float) -> None:
        """The same chance gives no shorter wait later."""
        policy = ReconnectPolicy()
        assert policy.wait(failures, fraction) <= policy.wait(failures + 1, fraction)

    @given(st.floats(1e-3, 1e3), st.floats(1e-3, 1e3), st.integers(1, 1000), fractions())
    def test_any_policy_keeps_its_longest(self, first: float, longest: float, failures: int, fraction: float) -> None:
        """No wait is longer than the longest, even where the first would be."""
        assert 0 < ReconnectPolicy(first, longest).wait(failures, fraction) <= longest

    @pytest.mark.parametrize("wrong", [{"first": 0.0}, {"longest": -1.0}, {"longest": math.nan}])
    def test_a_policy_without_waits_is_refused(self, wrong: dict[str, float]) -> None:
        """A device that does not wait would storm its service."""
        with pytest.raises(ValueError, match=next(iter(wrong))):
            ReconnectPolicy(**wrong)


WAYS = st.sampled_from([Effect.BACK_OFF, Effect.STAND_BACK])


def lived(course: Course, held: float) -> Course:
    """Return what is left of a course after a connection that was up for so long."""
    return Course() if held >= course.lasting() else course


class TestCourse:
    """What is remembered of failures, and what follows from it."""

    @given(st.lists(st.tuples(st.floats(0, 29.9), fractions()), max_size=60))
    def test_a_service_that_welcomes_and_cuts_is_not_hammered(self, holds: list[tuple[float, float]]) -> None:
        """Connections that do not last count as failures, so that the waits grow as if there had been none."""
        course = Course()
        for count, (held, fraction) in enumerate(holds, start=1):
            if count > 1:
                course = lived(course, held)
            assert course.failed(Effect.BACK_OFF, None, fraction) == ReconnectPolicy().wait(count, fraction)

    @given(st.lists(st.tuples(st.floats(0, 4000), WAYS, fractions()), min_size=1, max_size=200))
    def test_however_a_service_behaves_it_is_not_called_too_often(
        self, life: list[tuple[float, Effect, float]]
    ) -> None:
        """At most twelve attempts a minute in the long run: after half a minute's peace six short waits may follow, not more."""
        course, now, attempts = Course(), 0.0, []
        for held, way, fraction in life:
            attempts.append(now)
            course = lived(course, held)
            now += held + course.failed(way, None, fraction)
        for first in attempts:
            assert sum(first <= each < first + 1800 for each in attempts) <= 30 * 12

    @given(st.lists(st.tuples(st.floats(0, 3599), fractions()), min_size=2, max_size=50))
    def test_two_devices_with_one_identity_come_less_and_less(self, holds: list[tuple[float, float]]) -> None:
        """Each is up for as long as the other waits, which is no success for either."""
        course = Course()
        waits: list[float] = []
        for held, fraction in holds:
            course = lived(course, held) if waits else course
            waits.append(course.failed(Effect.STAND_BACK, None, fraction))
        assert all(150 <= wait <= 3600 for wait in waits)
        assert all(wait >= 1800 for wait in waits[4:])

    @given(WAYS, st.floats(0, 1e30), fractions())
    def test_a_service_is_not_asked_before_it_wants_to_be(self, way: Effect, told: float, fraction: float) -> None:
        """What it asks for is waited, but not for longer than can be right."""
        wait = Course().failed(way, told, fraction)
        assert min(told, MAX_RETRY_AFTER) <= wait
        assert wait <= max(POLICIES[way].first, 1.1 * MAX_RETRY_AFTER)

    def test_a_cause_is_news_once(self) -> None:
        """Until a connection has lasted, the log hears of each cause once, in whatever order they come and go."""
        course = Course()
        causes = [ConnectionCause.LOST, ConnectionCause.REFUSED] * 3
        assert [course.is_news(cause) for cause in causes] == [True, True, *[False] * 4]
        course.failed(Effect.BACK_OFF, None, 0)
        assert lived(course, 29).said == set(causes)
        assert lived(course, 30).is_news(ConnectionCause.LOST)

    @pytest.mark.parametrize("cause", ConnectionCause)
    def test_only_one_cause_is_more_than_a_loss(self, cause: ConnectionCause) -> None:
        """That another process uses the same identity."""
        assert loss(cause) is (Event.REPLACED if cause is ConnectionCause.REPLACED else Event.LOST)
