"""What an answer says and means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.send_result import SendResult
from tocsin.protocol.sending.results import read_answer
from tocsin.protocol.values import OFFLINE_NO_CACHE


class TestReading:
    """From headers to a result."""

    def test_every_field_has_its_header(self) -> None:
        """A whole answer is read whole."""
        headers = {
            "x-wns-status": "dropped",
            "x-wns-msg-id": "0A1B",
            "x-wns-error-description": "why",
            "x-wns-debug-trace": "trace",
            "x-wns-deviceconnectionstatus": "disconnected",
            "retry-after": "7",
        }
        assert read_answer(200, headers, 3, 0.0) == SendResult(
            200, "dropped", "0A1B", "why", "trace", "disconnected", 7.0, attempts=3
        )

    @pytest.mark.parametrize("name", ["x-wns-status", "x-wns-notificationstatus"])
    def test_either_spelling_of_the_status_will_do(self, name: str) -> None:
        """Real answers carry both, or one of the two."""
        assert read_answer(200, {name: "received"}, 1, 0.0).received

    def test_a_status_that_is_not_known_is_kept(self) -> None:
        """It is no success, and the sentence shows it."""
        result = read_answer(200, {"x-wns-status": "Postponed"}, 1, 0.0)
        assert not result.received
        assert "'postponed'" in result.explanation

    @pytest.mark.parametrize(
        ("retry_after", "continue_after", "seconds", "unclear"),
        [
            ("5", None, 5.0, None),
            (None, "6", 6.0, None),
            ("5", "6", 6.0, None),
            (" 5 ", "3", 5.0, None),
            ("Wed, 21 Oct 2026 07:29:00 GMT", None, 60.0, None),
            (None, "Wed, 21 Oct 2026 07:29:00 GMT", 60.0, None),
            ("99999999", None, 99999999.0, None),
            ("9" * 20, None, 1e10, None),
            ("9" * 5000, None, 1e10, None),
            ("", None, None, ""),
            ("", "7", 7.0, ""),
            ("-1", "7", 7.0, "-1"),
            ("soon" * 50, None, None, "soon" * 16),
            ("٣", None, None, "٣"),
            (None, None, None, None),
        ],
    )
    def test_the_longest_wait_counts(
        self, retry_after: str | None, continue_after: str | None, seconds: float | None, unclear: str | None
    ) -> None:
        """Both headers may ask for one, in every form; what is not understood is told apart from what was not said."""
        given_headers = {"retry-after": retry_after, "x-wns-continue-after": continue_after}
        headers = {name: value for name, value in given_headers.items() if value is not None}
        result = read_answer(503, headers | {"date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 1, 0.0)
        assert (result.retry_after, result.retry_unclear) == (seconds, unclear)

    @given(st.integers(100, 599), st.dictionaries(st.sampled_from(["x-wns-status", "retry-after"]), st.text()))
    def test_no_answer_is_too_odd(self, status: int, headers: dict[str, str]) -> None:
        """Whatever a service sends, there is a result with a sentence."""
        assert read_answer(status, headers, 1, 0.0).explanation


class TestExplanation:
    """What it means, for people."""

    @pytest.mark.parametrize(
        ("result", "words"),
        [
            (SendResult(200, "received"), "taken it on"),
            (SendResult(200, "dropped", description=OFFLINE_NO_CACHE), "cache policy 'cache'"),
            (SendResult(200, "dropped", device_connection_status="disconnected"), "cache policy 'cache'"),
            (SendResult(200, "dropped", description="because"), "discarded it: because."),
            (SendResult(200, "dropped", device_connection_status="connected"), "without a reason"),
            (SendResult(200, "dropped"), "without a reason"),
            (SendResult(200, "channelthrottled"), "less often"),
            (SendResult(406, "channelthrottled"), "less often"),
            (SendResult(406, "channelthrottled", description="Too many of this app"), "of this app"),
            (SendResult(410, description="Revoked channel URL"), "Revoked channel URL"),
            (SendResult(500), "answered 500"),
            (SendResult(200), "without X-WNS-Status"),
            (SendResult(200, "new"), "not known here"),
            (SendResult(description="host cannot be reached"), "host cannot be reached"),
            (SendResult(), "no answer"),
        ],
    )
    def test_each_outcome_has_its_sentence(self, result: SendResult, words: str) -> None:
        """A drop says what to do about it where that is known."""
        assert words in result.explanation
