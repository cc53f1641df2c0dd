"""The retry schedule: what is retried, when, and how often."""

from __future__ import annotations

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import invariant
from hypothesis.strategies import SearchStrategy

from tests.protocol.tables import AnyEvent, Law
from tests.strategies import fractions, hresults
from tocsin.protocol.hresult import HResult
from tocsin.protocol.platform.retry_schedule import RETRYABLE, TABLE, Effect, Event, Phase, RetryPolicy, classify, left

DEFAULT = [60.0, 120.0, 180.0, 240.0, 300.0]
"""The waits of the Windows App SDK, in seconds."""

MAY_PASS = {
    "ERROR_TIMEOUT",
    "WNP_E_NOT_CONNECTED",
    "WNP_E_RECONNECTING",
    "WNP_E_BIND_USER_BUSY",
    "WPN_E_OUTSTANDING_CHANNEL_REQUEST",
    "RPC_S_SERVER_UNAVAILABLE",
}
"""The failures that the Windows App SDK retries."""


def policies() -> SearchStrategy[RetryPolicy]:
    """Any policy that can be kept."""
    return st.builds(RetryPolicy, st.floats(0.1, 100), st.floats(0, 100), st.floats(0.1, 1000), st.floats(0, 0.99))


class TestTable(Law):
    """A schedule keeps the law."""

    table = TABLE
    start = Phase.IDLE
    events = Event
    effects = Effect
    ends = frozenset({Phase.ENDED})

    def test_a_schedule_may_be_forgotten_at_any_time(self) -> None:
        """It ends, whether it waits or not."""
        forgotten = {phase: TABLE[phase, event][0] for phase, event in TABLE if event is Event.FORGOTTEN}
        assert forgotten == {Phase.IDLE: Phase.ENDED, Phase.WAITING: Phase.ENDED}


class Schedule(AnyEvent):
    """Anything happens to a schedule at any time."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """Every failure is answered once, with a plan or with a denial, and nothing else is."""
        answers = {Effect.TELL_PLAN, Effect.TELL_DENIAL} & set(effects)
        assert len(answers) == (event in {Event.FAILED, Event.GAVE_UP})

    @invariant()
    def the_alarm_is_set_exactly_while_it_waits(self) -> None:
        """Every alarm that is set either rings or is cleared."""
        alarms = self.count(Effect.SET_ALARM) - self.count(Effect.TELL_DUE, Effect.CLEAR_ALARM)
        assert alarms == (self.phase is Phase.WAITING)

    @invariant()
    def whoever_is_denied_waits_for_nothing_more(self) -> None:
        """A denial is the end."""
        assert self.count(Effect.TELL_DENIAL) <= (self.phase is Phase.ENDED)


TestAnyEvent = Schedule.TestCase


class TestWait:
    """How long until the next attempt."""

    def test_the_default_schedule_is_that_of_the_windows_app_sdk(self) -> None:
        """One minute, one more each time, five retries, then no more."""
        policy = RetryPolicy()
        assert [policy.wait(failures, None, 0.5) for failures in range(1, 6)] == DEFAULT
        assert [policy.wait(failures, None, 0.5) for failures in range(6, 20)] == [None] * 14

    @given(st.integers(1, 5), fractions())
    def test_jitter_stays_within_a_tenth(self, failures: int, fraction: float) -> None:
        """Whatever chance says, a wait is off by a tenth at most."""
        wait = RetryPolicy().wait(failures, None, fraction)
        assert wait is not None
        assert 0.9 * DEFAULT[failures - 1] - 1e-9 <= wait <= 1.1 * DEFAULT[failures - 1] + 1e-9

    def test_jitter_uses_its_whole_span(self) -> None:
        """The least and the greatest chance give the ends of the span."""
        assert RetryPolicy().wait(1, None, 0.0) == pytest.approx(54.0)
        assert RetryPolicy().wait(1, None, 1.0) == pytest.approx(66.0)

    @given(st.integers(6, 10**6), st.none() | st.floats(0, 1e6), fractions())
    def test_no_service_can_ask_for_a_sixth_retry(
        self, failures: int, retry_after: float | None, fraction: float
    ) -> None:
        """When the attempts are used up, a Retry-After does not bring them back."""
        assert RetryPolicy().wait(failures, retry_after, fraction) is None

    @given(st.integers(1, 5), st.floats(allow_nan=True), fractions())
    def test_retry_after_never_shortens(self, failures: int, retry_after: float, fraction: float) -> None:
        """Whatever number the service sends, the wait is not below the schedule's."""
        policy = RetryPolicy()
        wait, unasked = policy.wait(failures, retry_after, fraction), policy.wait(failures, None, fraction)
        assert wait is not None
        assert unasked is not None
        assert wait >= unasked

    @pytest.mark.parametrize("retry_after", [-1.0, -1e300, float("nan"), float("-inf")])
    def test_a_retry_after_that_is_no_time_waits_longest(self, retry_after: float) -> None:
        """It is an instruction all the same."""
        assert RetryPolicy().wait(1, retry_after, 0.5) == RetryPolicy().longest

    @given(st.integers(1, 5), st.floats(330.1, 1e6), fractions())
    def test_a_longer_retry_after_is_honoured(self, failures: int, retry_after: float, fraction: float) -> None:
        """What the service asks for is waited out, to the second."""
        assert RetryPolicy().wait(failures, retry_after, fraction) == retry_after

    @given(policies(), st.integers(1, 50), fractions())
    def test_any_policy_keeps_its_own_bounds(self, policy: RetryPolicy, failures: int, fraction: float) -> None:
        """A wait is positive, and longer than the longest by its jitter at most."""
        wait = policy.wait(failures, None, fraction)
        assert wait is None or 0 < wait <= policy.longest * (1 + policy.jitter) * (1 + 1e-9)

    def test_without_an_increment_the_attempts_never_end(self) -> None:
        """A policy may wait the same time for ever."""
        assert RetryPolicy(first=0.5, increment=0.0, jitter=0.0).wait(10**6, None, 0.3) == 0.5

    @pytest.mark.parametrize(
        "wrong",
        [{"first": 0.0}, {"first": math.nan}, {"increment": -1.0}, {"longest": 0.0}, {"jitter": -0.1}, {"jitter": 1.0}],
    )
    def test_a_policy_that_cannot_be_kept_is_refused(self, wrong: dict[str, float]) -> None:
        """Waits are positive, and jitter cannot eat the whole of one."""
        with pytest.raises(ValueError, match=next(iter(wrong))):
            RetryPolicy(**wrong)


class TestClassify:
    """Which failures are worth another attempt."""

    @pytest.mark.parametrize("hresult", HResult, ids=lambda hresult: hresult.name)
    def test_only_what_may_pass_by_itself_is_retried(self, hresult: HResult) -> None:
        """Six results are retried, every other one is final."""
        assert classify(hresult, 60.0) is (Event.FAILED if hresult.name in MAY_PASS else Event.GAVE_UP)

    @given(hresults())
    def test_without_a_wait_every_failure_is_the_last(self, hresult: int) -> None:
        """When the attempts are used up, it does not matter what failed."""
        assert classify(hresult, None) is Event.GAVE_UP

    @given(st.integers().filter(lambda code: code not in RETRYABLE))
    def test_a_code_without_a_name_is_final(self, code: int) -> None:
        """An unknown code is not retried, though there are attempts left."""
        assert classify(code, 60.0) is Event.GAVE_UP

    def test_a_wait_of_no_time_is_still_a_wait(self) -> None:
        """Zero seconds are not None."""
        assert classify(HResult.ERROR_TIMEOUT, 0.0) is Event.FAILED


class TestLeft:
    """What is left of a wait when a process goes on with it."""

    def test_time_that_has_passed_is_taken_off(self) -> None:
        """Whatever the process did meanwhile; a wait that is over is over."""
        assert left(due=160.0, planned=100.0, now=130.0) == 30.0
        assert left(due=160.0, planned=100.0, now=200.0) == 0.0

    @given(st.floats(0, 1e9), st.floats(0, 1e4), st.floats(-1e9, 2e9))
    def test_a_clock_that_was_set_back_makes_no_wait_longer(self, planned: float, wait: float, now: float) -> None:
        """At worst it is waited for once more from its begin."""
        assert 0.0 <= left(planned + wait, planned, now) <= (planned + wait) - planned
