"""The rows of what was answered lately."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from tocsin.protocol.delivery.payload_events import PayloadEvent, Stage
from tocsin.service.page.push_rows import KEPT, PushRow, PushRows, newest_first, said


def event(at: float = 0.0, stage: Stage = Stage.RECEIVED, reason: str = "", detail: str = "") -> PayloadEvent:
    """Make an answer."""
    return PayloadEvent(at, stage, app="contoso", type="raw", size=1_234, reason=reason, detail=detail)


def numbers(rows: Iterable[PushRow]) -> list[int]:
    """Return the numbers of rows."""
    return [row.number for row in rows]


def test_a_viewer_gets_what_came_behind_what_it_has() -> None:
    """The oldest first, and once."""
    rows = PushRows()
    rows.add([event(), event()], 0)
    assert numbers(rows.after(0)[0]) == [1, 2]
    assert numbers(rows.after(1)[0]) == [2]
    assert rows.after(2) == ([], 0)
    assert rows.after(99) == ([], 0)


@given(batches=st.lists(st.tuples(st.integers(0, KEPT + 9), st.integers(0, 5)), max_size=6), seen=st.integers(0, 500))
def test_what_a_viewer_does_not_get_is_counted(batches: list[tuple[int, int]], seen: int) -> None:
    """What it gets and what it is told of are all that came behind what it has seen."""
    rows = PushRows()
    for came, lost in batches:
        rows.add([event()] * came, lost)
    assert rows.latest == sum(came + lost for came, lost in batches)
    for got, missed in (rows.after(seen), rows.news(seen)):
        assert len(got) + missed == max(rows.latest - seen, 0)
        assert len(got) <= KEPT
        assert numbers(got) == sorted(number for number in numbers(got) if number > seen)


def test_of_a_crowd_half_is_told() -> None:
    """The newest; all of what fits is told."""
    rows = PushRows()
    rows.add([event()] * KEPT, 0)
    assert rows.news(0) == rows.after(0)
    rows.add([event()] * (2 * KEPT), 0)
    told, missed = rows.news(0)
    assert (len(told), missed, told[-1].number) == (KEPT // 2, 2 * KEPT + KEPT // 2, 3 * KEPT)
    assert len(rows.after(0)[0]) == KEPT


def test_rows_from_before_are_forgotten() -> None:
    """Their numbers are not used again."""
    rows = PushRows()
    rows.add([event()], 0)
    rows.forget()
    rows.add([event()], 0)
    assert numbers(rows.after(1)[0]) == [2]


def test_a_row_says_what_was_answered() -> None:
    """With time, app, type, status, reason and bytes; what is of others is text."""
    row = PushRow(1, event(3_661.5, Stage.REFUSED, reason="<script>alert(1)</script>", detail="HTTP 400"))
    assert ">01:01:01</time>" in row.markup
    assert '<span class="stage refused">refused, HTTP 400</span>' in row.markup
    assert "&lt;script&gt;" in row.markup
    assert "<script" not in row.markup
    assert ">1,234</td>" in row.markup
    both = newest_first([PushRow(1, event()), row])
    assert both.index("refused") < both.index("received")


def test_what_came_is_said_in_a_few_words() -> None:
    """Counted by what became of it."""
    rows = [PushRow(number, event(stage=stage)) for number, stage in enumerate((Stage.RECEIVED, Stage.DROPPED) * 2)]
    assert said(rows, 0) == "2 received, 2 dropped"
    assert said([], 7) == "7 not shown"
