"""Sending: which answers are tried again and when, and which error ends it."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import invariant

from tests.protocol.tables import AnyEvent, Law
from tests.strategies import fractions
from tocsin.protocol import errors
from tocsin.protocol.send_result import SendResult
from tocsin.protocol.sending.attempts import TABLE, Effect, Event, Phase, SendPolicy, classify, failure


class TestTable(Law):
    """Sending keeps the law."""

    table = TABLE
    start = Phase.NEW
    events = Event
    effects = Effect
    ends = frozenset({Phase.ENDED})


class Sending(AnyEvent):
    """Anything happens to a notification at any time."""

    law = TestTable

    def happened(self, event: Any, effects: tuple[Any, ...]) -> None:
        """Every answer leads to one more attempt, to a wait, or to the end."""
        assert len({Effect.POST, Effect.BACK_OFF, Effect.RETURN_RESULT, Effect.RAISE_ERROR} & set(effects)) == 1
        assert (Effect.RENEW_TOKEN in effects) == (event is Event.STALE_TOKEN)

    @invariant()
    def it_ends_once(self) -> None:
        """There is one result or one error, and only at the end."""
        assert self.count(Effect.RETURN_RESULT, Effect.RAISE_ERROR) == (self.phase is Phase.ENDED)


TestAnyEvent = Sending.TestCase

policies = st.builds(
    SendPolicy,
    retries=st.integers(0, 6),
    first=st.floats(0.01, 10),
    longest=st.floats(0.01, 100),
    total=st.floats(0.1, 1000),
)


class TestWait:
    """How long until the next attempt."""

    def test_it_doubles_up_to_the_longest(self) -> None:
        """With the jitter at its upper end, each wait is twice the one before."""
        policy = SendPolicy(retries=8)
        waits = [policy.wait(failures, None, 0.0, 1.0) for failures in range(1, 10)]
        assert waits == [1, 2, 4, 8, 16, 32, 60, 60, None]

    @given(policies, st.integers(1, 8), st.none() | st.floats(0, 500), st.floats(0, 1000), fractions())
    def test_a_wait_is_never_shorter_than_told_and_never_past_the_end(
        self, policy: SendPolicy, failures: int, told: float | None, elapsed: float, fraction: float
    ) -> None:
        """Whatever the jitter."""
        wait = policy.wait(failures, told, elapsed, fraction)
        if wait is None:
            assert failures > policy.retries or elapsed + max(policy.longest, 1.1 * (told or 0)) >= policy.total
        else:
            assert failures <= policy.retries
            assert wait >= (told or 0)
            assert elapsed + wait < policy.total

    def test_jitter_goes_down_to_half_and_up_from_what_was_told(self) -> None:
        """Those who were sent away together come back one by one."""
        policy = SendPolicy()
        assert [policy.wait(3, None, 0, fraction) for fraction in (0.0, 0.5, 1.0)] == [2, 3, 4]
        assert [policy.wait(1, 10, 0, fraction) for fraction in (0.0, 1.0)] == [10, 11]

    def test_a_wait_that_would_pass_the_end_is_not_begun(self) -> None:
        """Better to fail now than at the end of a wait for nothing."""
        assert SendPolicy(total=30).wait(1, 30, 0, 0.0) is None
        assert SendPolicy(total=30).wait(1, 29, 0, 0.0) == 29
        assert SendPolicy(total=30).wait(1, 29, 1, 0.0) is None

    @pytest.mark.parametrize("wrong", [{"retries": -1}, {"first": 0}, {"longest": 0}, {"total": 0}])
    def test_a_policy_that_cannot_be_kept_is_refused(self, wrong: dict[str, Any]) -> None:
        """Numbers have their limits."""
        with pytest.raises(ValueError, match=next(iter(wrong))):
            SendPolicy(**wrong)


class TestClassify:
    """Which event an answer is."""

    @pytest.mark.parametrize("status", [None, 406, 408, 500, 502, 503, 504])
    def test_what_may_pass_is_tried_again_while_there_is_time(self, status: int | None) -> None:
        """And refused once the policy has no wait left."""
        assert classify(SendResult(status), 1.0, renewed=False) is Event.TRY_LATER
        assert classify(SendResult(status), None, renewed=False) is Event.REFUSED

    @pytest.mark.parametrize("status", [301, 400, 403, 404, 405, 410, 413, 429, 501])
    def test_what_will_not_pass_is_refused_at_once(self, status: int) -> None:
        """The same request would get the same answer."""
        assert classify(SendResult(status), 1.0, renewed=False) is Event.REFUSED

    def test_the_first_401_renews_the_token_and_the_second_is_the_end(self) -> None:
        """A renewed token that is refused too was not the problem."""
        assert classify(SendResult(401), 1.0, renewed=False) is Event.STALE_TOKEN
        assert classify(SendResult(401), 1.0, renewed=True) is Event.REFUSED

    @pytest.mark.parametrize("status", ["received", "dropped", "channelthrottled"])
    def test_200_is_the_end_whatever_became_of_it(self, status: str) -> None:
        """A drop is told, not tried again: the device would still be away."""
        assert classify(SendResult(200, status), 1.0, renewed=False) is Event.ACCEPTED

    def test_who_gets_no_token_does_not_try_again(self) -> None:
        """It is refused although there was no answer."""
        assert classify(SendResult(), 1.0, renewed=False, denied=True) is Event.REFUSED


class TestFailure:
    """Which error an answer is."""

    @pytest.mark.parametrize(
        ("status", "kind"),
        [
            (None, errors.ServiceUnavailable),
            (301, errors.NotificationRefused),
            (400, errors.NotificationRefused),
            (401, errors.SenderNotAllowed),
            (403, errors.SenderNotAllowed),
            (404, errors.ChannelGone),
            (405, errors.NotificationRefused),
            (406, errors.Throttled),
            (408, errors.ServiceUnavailable),
            (410, errors.ChannelGone),
            (413, errors.NotificationRefused),
            (429, errors.Throttled),
            (500, errors.ServiceUnavailable),
            (503, errors.ServiceUnavailable),
            (599, errors.ServiceUnavailable),
        ],
    )
    def test_each_status_has_its_error(self, status: int | None, kind: type[errors.SendFailed]) -> None:
        """The class says what to do, the text what was answered, and the answer is with it."""
        result = SendResult(status, description="why", attempts=2)
        error = failure(result)
        assert type(error) is kind
        assert error.result is result
        assert "why" in str(error)
        assert "2 attempts" in str(error)

    def test_a_blocked_sender_must_not_forget_its_channels(self) -> None:
        """With 410, only the words tell it from a channel that is gone."""
        assert isinstance(failure(SendResult(410, description="Domain Blocked")), errors.SenderNotAllowed)

    def test_who_gets_no_token_is_not_allowed(self) -> None:
        """It is not the service that is away."""
        error = failure(SendResult(description="no access token: invalid_client"), denied=True)
        assert isinstance(error, errors.SenderNotAllowed)
        assert str(error) == "no access token: invalid_client"
