"""The traceback of any error can be had as text."""

from __future__ import annotations

import pytest

from tests.api.hostile import ERRORS
from tocsin.actors.bad_frames import BadFrames
from tocsin.protocol.messages.unpacking import MAX_FRAME
from tocsin.traces import MAX_TRACE, trace


@pytest.mark.parametrize("error", ERRORS)
def test_any_error_has_a_trace(error: str) -> None:
    """It can be encoded, and is no longer than it may be."""
    text = trace(ERRORS[error]())
    assert 0 < len(text) <= MAX_TRACE
    assert text.encode()


def test_a_trace_has_the_lines_and_the_words() -> None:
    """As Python shows it."""
    with pytest.raises(ValueError, match="planted") as planted:
        raise ValueError("planted \udc80")
    text = trace(planted.value)
    assert "test_traces.py" in text
    assert text.endswith("ValueError: planted \\udc80")


def test_a_trace_gives_no_orders_and_forges_no_line() -> None:
    """A handler's error may quote a payload."""
    text = trace(ValueError("bad \x1b[31m payload\n2026 CRITICAL forged"))
    assert "\x1b" not in text
    assert text.endswith("\n  2026 CRITICAL forged")


def test_a_long_trace_keeps_its_begin_and_its_end() -> None:
    """The words, which stand there, among them."""
    error = ValueError("last words")
    error.__cause__ = ValueError("x" * 2 * MAX_TRACE)
    text = trace(error)
    assert text.startswith("ValueError: xxx")
    assert text.endswith("ValueError: last words")
    assert len(text) <= MAX_TRACE


def test_a_dead_frame_is_kept_up_to_the_longest_that_a_peer_may_send() -> None:
    """And its reason as long as a trace."""
    letters = BadFrames(keep=1)
    letters.add("router", bytes(2 * MAX_FRAME), "x" * 2 * MAX_TRACE)
    (letter,) = letters
    assert (len(letter.frame), len(letter.reason)) == (MAX_FRAME, MAX_TRACE)
