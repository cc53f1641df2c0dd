"""Moments in the text of hubs and their clients."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.hub.w3c_time import NEVER, read_time, write_time


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("1970-01-01T00:00:00Z", 0.0),
        ("1997-07-16T19:20+01:00", 869_077_200.0),
        ("1997-07-16T18:20", 869_077_200.0),
        ("1997-07-16t18:20:30.25z", 869_077_230.25),
        ("1997-07-16T18:20:00.0000000Z", 869_077_200.0),
        ("0001-01-01T00:00:00Z", -62_135_596_800.0),
        ("9999-12-31T23:59:59", None),
        ("9999-12-31T23:59:59.9999999Z", None),
        (NEVER, None),
    ],
)
def test_all_forms_are_read(text: str, moment: float | None) -> None:
    """With seconds or without, with a zone or in UTC, and the last day of all, which means never."""
    assert read_time(text) == moment


@pytest.mark.parametrize(
    "text",
    [
        "",
        "never",
        "2026-11-29",
        "2026-11-29 13:00:00",
        "2026-02-30T00:00:00Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "2026-01-01T24:00:00Z",
        "2026-01-01T00:60:00Z",
        "2026-01-01T00:00:00+15:00",
        "2026-01-01T00:00:00Z\n",
        "٢٠٢٦-01-01T00:00:00Z",
        "2026-01-01T00:00:00." + "0" * 100_000 + "Z",
    ],
)
def test_what_is_no_moment_is_refused(text: str) -> None:
    """Dates that are not in the calendar, other digits, and what is too long."""
    with pytest.raises(ValueError, match="no date and time"):
        read_time(text)


@given(st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30)))  # noqa: DTZ001  # made one of UTC below
def test_what_is_written_is_read_as_the_same(moment: datetime) -> None:
    """To the millisecond, and the calendar is that of Python."""
    moment = moment.replace(microsecond=moment.microsecond // 1000 * 1000, tzinfo=UTC)
    text = write_time(moment.timestamp())
    assert datetime.fromisoformat(text) == moment
    assert read_time(text) == pytest.approx(moment.timestamp(), abs=1e-3)


@pytest.mark.parametrize(
    ("moment", "text"),
    [(None, NEVER), (1e300, "9999-12-30T00:00:00.000Z"), (-1e300, "0001-01-01T00:00:00.000Z")],
)
def test_what_is_beyond_the_calendar_is_its_end(moment: float | None, text: str) -> None:
    """A clock that runs wild does not make a text that cannot be read."""
    assert write_time(moment) == text
