"""One-for-one restart: when an actor begins anew, and when it is given up."""

from __future__ import annotations

import math
from collections import deque
from itertools import accumulate
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tocsin.protocol.kernel.restart import TABLE, Effect, Event, Phase, RestartPolicy

GAPS = st.lists(st.floats(0.0, 8.0), min_size=1, max_size=40)
"""Seconds between one failure and the next."""


class TestTable(Law):
    """An actor's life keeps the law."""

    table = TABLE
    start = Phase.STARTING
    events = Event
    effects = Effect
    ends = frozenset({Phase.STOPPED, Phase.GIVEN_UP})

    def test_it_may_fail_at_any_time(self) -> None:
        """While it starts as while it runs, and it begins from the start, unless it fails too often."""
        for phase in (Phase.STARTING, Phase.RUNNING):
            assert TABLE[phase, Event.FAILED][0] is Phase.STARTING
            assert TABLE[phase, Event.FAILED_TOO_OFTEN][0] is Phase.GIVEN_UP


class Life(AnyEvent):
    """Anything happens to an actor at any time."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """A failure restarts the actor or escalates, never both."""
        failed = event in {Event.FAILED, Event.FAILED_TOO_OFTEN}
        assert len({Effect.BEGIN_ANEW, Effect.ESCALATE} & set(effects)) == failed

    @invariant()
    def it_serves_only_while_it_runs(self) -> None:
        """Every instance serves once at most, and what serves is running, has stopped or has failed."""
        assert self.count(Effect.SERVE) <= self.count(Effect.BEGIN_ANEW) + 1
        if self.phase is Phase.RUNNING:
            assert self.journal[-1] is Effect.SERVE

    @invariant()
    def giving_up_is_told_once(self) -> None:
        """The last failure is not swallowed."""
        assert self.count(Effect.ESCALATE) == (self.phase is Phase.GIVEN_UP)


TestAnyEvent = Life.TestCase


class TestRestartPolicy:
    """How many failures are too many."""

    def test_five_failures_in_ten_seconds_are_restarted_and_the_sixth_is_not(self) -> None:
        """The default allows five restarts within ten seconds."""
        moments = [100.0, 100.1, 100.2, 100.3, 100.4, 100.5]
        verdicts = [RestartPolicy().classify(moments[: n + 1], moments[n]) for n in range(6)]
        assert verdicts == [Event.FAILED] * 5 + [Event.FAILED_TOO_OFTEN]
        assert RestartPolicy().classify([*moments[:5], 109.9], 109.9) is Event.FAILED_TOO_OFTEN
        assert RestartPolicy().classify([*moments[:5], 110.0], 110.0) is Event.FAILED

    def test_a_failure_as_old_as_the_window_is_forgotten(self) -> None:
        """The window is open at its far end."""
        policy = RestartPolicy(intensity=1, window=10.0)
        assert policy.classify([0.0, 10.0], 10.0) is Event.FAILED
        assert policy.classify([0.5, 10.0], 10.0) is Event.FAILED_TOO_OFTEN

    def test_an_intensity_of_none_gives_up_at_once(self) -> None:
        """Then no failure is restarted."""
        assert RestartPolicy(intensity=0).classify([7.0], 7.0) is Event.FAILED_TOO_OFTEN

    @given(GAPS, st.integers(0, 6), st.floats(0.5, 20.0))
    def test_no_window_sees_more_restarts_than_the_intensity(
        self, gaps: list[float], intensity: int, window: float
    ) -> None:
        """However failures fall, restarts are few within any window, and an actor that fails less is never given up."""
        policy = RestartPolicy(intensity, window)
        moments = list(accumulate(gaps))
        restarts: list[float] = []
        for count, now in enumerate(moments, 1):
            if policy.classify(moments[:count], now) is Event.FAILED_TOO_OFTEN:
                assert sum(now - moment < window for moment in moments[:count]) == intensity + 1
                break
            restarts.append(now)
            assert sum(now - moment < window for moment in restarts) <= intensity

    @given(GAPS, st.integers(0, 6), st.floats(0.5, 20.0))
    def test_the_newest_failures_are_enough_to_decide(self, gaps: list[float], intensity: int, window: float) -> None:
        """The newest failures, one more than the intensity, give the same verdict as all of them."""
        policy = RestartPolicy(intensity, window)
        moments = list(accumulate(gaps))
        newest: deque[float] = deque(maxlen=intensity + 1)
        for count, now in enumerate(moments, 1):
            newest.append(now)
            assert policy.classify(newest, now) is policy.classify(moments[:count], now)

    @pytest.mark.parametrize("wrong", [{"intensity": -1}, {"window": 0.0}, {"window": math.nan}])
    def test_a_policy_that_means_nothing_is_refused(self, wrong: dict[str, Any]) -> None:
        """An intensity is no debt, and a window has a length."""
        with pytest.raises(ValueError, match=next(iter(wrong))):
            RestartPolicy(**wrong)
