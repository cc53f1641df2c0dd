"""The head of an answer, however much of it came."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.network.answer_head import AnswerHead, read_head

WHOLE = b"HTTP/1.0 503 Busy\r\nRetry-After: 7\r\nX: y\r\n\r\nRetry-After: 9\r\n"


@pytest.mark.parametrize(
    ("data", "head"),
    [
        (WHOLE, AnswerHead(503, {"retry-after": "7", "x": "y"})),
        (WHOLE[:30], AnswerHead(503, {})),
        (WHOLE[:19], AnswerHead(503, {})),
        (WHOLE[:18], None),
        (b"HTTP/1.1 503\nA:1\na: 2\nno header\n\n", AnswerHead(503, {"a": "1"})),
        (b"HTTP/1.1 503 \xff\r\nA: \xe9\r\n\r\n", AnswerHead(503, {"a": "é"})),
        (b"HTTP/2 503\r\n\r\n", None),
        (b"HTTP/1.1 5030\r\n\r\n", None),
        (b"HTTP/1.1  503\r\n\r\n", None),
        (b"SSH-2.0\r\n\r\n", None),
        (b"", None),
    ],
)
def test_what_came_whole_is_read(data: bytes, head: AnswerHead | None) -> None:
    """A line counts once its end has come; what stands behind the head does not."""
    assert read_head(data) == head


@given(st.binary() | st.binary().map(lambda rest: WHOLE[:20] + rest))
def test_no_answer_is_too_odd(data: bytes) -> None:
    """Whatever a peer sends: a status of three digits, or none."""
    head = read_head(data)
    assert head is None or 100 <= head.status <= 999
