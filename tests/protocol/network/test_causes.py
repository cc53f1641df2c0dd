"""Why there is no connection: the table of causes, and how they are said."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tocsin.protocol.network.causes import (
    CAUSES,
    CLOSE_CODES,
    LASTING,
    OTHER_VERSION,
    REPLACED,
    ConnectionCause,
    cause_of_proxy_status,
    cause_of_status,
    explain,
    hresult_of,
)
from tocsin.protocol.platform.retry_schedule import RETRYABLE
from tocsin.protocol.text import MAX_SENTENCE


class TestCauses:
    """The table."""

    def test_each_cause_has_its_own_sentence(self) -> None:
        """A reader can tell it from every other, and knows where it was."""
        sentences = [explain(cause, "push.example:443") for cause in ConnectionCause]
        assert len(set(sentences)) == len(CAUSES) == len(ConnectionCause)
        assert all("push.example:443" in sentence for sentence in sentences)

    @pytest.mark.parametrize("cause", ConnectionCause)
    def test_a_request_goes_on_if_the_cause_may_pass_by_itself(self, cause: ConnectionCause) -> None:
        """A request is not to wait a quarter of an hour for what only a person can mend."""
        assert (hresult_of(cause) not in RETRYABLE) == (cause in LASTING)

    @pytest.mark.parametrize(
        ("status", "cause"),
        [
            (200, ConnectionCause.NO_PUSH_SERVICE),
            (301, ConnectionCause.NO_PUSH_SERVICE),
            (400, ConnectionCause.NO_PUSH_SERVICE),
            (401, ConnectionCause.DENIED),
            (403, ConnectionCause.DENIED),
            (404, ConnectionCause.NO_PUSH_SERVICE),
            (429, ConnectionCause.BUSY),
            (500, ConnectionCause.BUSY),
            (502, ConnectionCause.BUSY),
            (503, ConnectionCause.BUSY),
            (504, ConnectionCause.BUSY),
        ],
    )
    def test_a_status_in_place_of_a_websocket_is_a_cause(self, status: int, cause: ConnectionCause) -> None:
        """What cannot serve just now is a push service that may come back; most others are none."""
        assert cause_of_status(status) is cause

    @pytest.mark.parametrize(
        ("status", "cause"),
        [
            (401, ConnectionCause.PROXY_DENIED),
            (403, ConnectionCause.PROXY_DENIED),
            (407, ConnectionCause.PROXY_DENIED),
            (500, ConnectionCause.PROXY_FAILED),
            (502, ConnectionCause.PROXY_FAILED),
        ],
    )
    def test_a_proxys_status_is_a_cause(self, status: int, cause: ConnectionCause) -> None:
        """It lets nothing through, or has found no way."""
        found, words = cause_of_proxy_status(status)
        assert found is cause
        assert str(status) in words
        assert ("credentials" in words) == (status in {401, 407})

    def test_close_codes_are_causes(self) -> None:
        """Those of the RFC that a service may send, those of the registry, and two of our own."""
        assert set(CLOSE_CODES) == {1001, 1002, 1003, *range(1007, 1011), 1012, 1013, 4001, 4002}
        assert CLOSE_CODES[REPLACED] is ConnectionCause.REPLACED
        assert CLOSE_CODES[OTHER_VERSION] is ConnectionCause.OTHER_VERSION


class TestExplain:
    """The sentence."""

    @given(st.sampled_from(ConnectionCause), st.text(), st.text(st.characters(), max_size=2000))
    @example(ConnectionCause.LOST, "{place} {0}", "\ud800\x1b[2J\r\nforged line")
    def test_whatever_a_peer_says_it_is_one_line_that_can_be_shown(
        self, cause: ConnectionCause, place: str, detail: str
    ) -> None:
        """It goes to logs, terminals and other processes: nothing in it may break them, or look like another line."""
        sentence = explain(cause, place, detail)
        assert sentence.isprintable()
        assert sentence.encode()
        assert 0 < len(sentence) <= MAX_SENTENCE

    def test_details_are_told_besides(self) -> None:
        """Where something more is known."""
        assert explain(ConnectionCause.BUSY, "a:1", "it answered 503") == "a:1 cannot serve just now (it answered 503)"
