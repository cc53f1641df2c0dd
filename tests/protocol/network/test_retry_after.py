"""How long a service asks to wait, in every form of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.network.retry_after import LONGEST, parse_retry_after

DATE = "Sun, 06 Nov 1994 08:49:37 GMT"
NOW = 784111777.0  # the same moment
WEEK = 7 * 24 * 3600.0


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        (" 120 ", 120),
        ("1.5", 1.5),
        ("5, 3600", 3600),
        ("9" * 20, LONGEST),
        ("9" * 200, LONGEST),
        ("9" * 5000, LONGEST),
        ("0" * 5000 + "7", 7),
        ("1, " * 999 + "2", 2),
        ("0" * 20 + "7", 7),
        ("Sun, 06 Nov 1994 08:50:37 GMT", 60),
        ("Sunday, 06-Nov-94 08:50:37 GMT", 60),
        ("Sun Nov  6 08:50:37 1994", 60),
        ("Sun, 06 Nov 1994 09:50:37 +0100", 60),
        ("Sun, 06 Nov 1994 08:49:36 GMT", 0),
        ("Mon, 01 Jan 9999 00:00:00 GMT", LONGEST),
    ],
)
def test_what_can_be_understood_is(text: str, seconds: float) -> None:
    """Numbers of any length, lists of them, and the three forms of a date, the obsolete ones included."""
    assert parse_retry_after(text, DATE, NOW + WEEK) == seconds


@pytest.mark.parametrize(
    "text",
    [
        "Sun, 99 Nov 1994 08:50:37 GMT",
        "Wed, 31 Feb 2026 08:50:37 GMT",
        "Sun, 06 Nov 1994 25:50:37 GMT",
        "",
        "soon",
        "-1",
        "1e3",
        "0x10",
        "٣",
        "1_000",
        "inf",
        "nan",
        "5;q=1",
        "a" * 100_000,
        DATE * 2,
    ],
)
def test_what_cannot_is_not_taken_for_none_at_all(text: str) -> None:
    """The caller hears that there is an instruction, and how long to wait is not clear."""
    assert parse_retry_after(text, DATE, NOW) is None


@pytest.mark.parametrize("date", [None, "", "yesterday", "Sun, 06 Nov 99999 08:49:37 GMT"])
def test_a_date_is_relative_to_the_answers_own_date_if_that_can_be_read(date: str | None) -> None:
    """A device whose clock is a week off waits right all the same; the clock stands in for a date that is missing."""
    assert parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", DATE, NOW - WEEK) == 60
    assert parse_retry_after("Sun, 06 Nov 1994 08:50:37 GMT", date, NOW) == 60


words = st.text() | st.text("0123456789:, -+.GMTSunNovJ") | st.sampled_from([DATE, "Sun Nov  6 08:49:37 1994"])


@given(words, st.none() | words, st.floats(-1e12, 1e12))
def test_no_text_is_too_odd(text: str, date: str | None, now: float) -> None:
    """Whatever a service sends: seconds within bounds, or None."""
    seconds = parse_retry_after(text, date, now)
    assert seconds is None or 0 <= seconds <= LONGEST
