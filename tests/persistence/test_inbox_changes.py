"""What a commit of the inbox says to SQLite."""

from __future__ import annotations

import json
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from tocsin.persistence.inbox_changes import remembered_ids, runs, statements_of
from tocsin.persistence.store import REMEMBERED, Changes
from tocsin.protocol.messages import PayloadRow
from tocsin.protocol.values import NotificationType


def payloads(count: int) -> list[PayloadRow]:
    """Build payloads with the numbers from 1."""
    return [PayloadRow(n, f"id{n}", NotificationType.RAW, b"ding", 0, None, "c1") for n in range(1, count + 1)]


@given(st.integers(0, 400))
def test_every_payload_is_in_exactly_one_statement(count: int) -> None:
    """Few statements, whatever their number, and all rows in their order."""
    statements = statements_of(Changes(accepted=payloads(count)))
    rows = [row for sql, rows in statements if "INTO inbox" in sql for row in rows]
    fields = [field for row in rows for field in row]
    assert [tuple(fields[n : n + 9]) for n in range(0, len(fields), 9)] == payloads(count)
    assert len(rows) <= count // 110 + 8 + 16
    assert all(sql.count("?") == len(row) for sql, rows in statements for row in rows)


@given(st.lists(st.integers(1, 60)))
def test_runs_hold_each_number_and_no_other(numbers: list[int]) -> None:
    """As few of them as can be."""
    found = list(runs(numbers))
    assert [number for first, last in found for number in range(first, last + 1)] == sorted(set(numbers))
    assert all(later[0] > earlier[1] + 1 for earlier, later in pairwise(found))


@given(st.lists(st.text(), min_size=1, max_size=5))
def test_what_is_remembered_is_json(ids: list[str]) -> None:
    """Numbers with their ids, whatever characters an id has."""
    accepted = [each._replace(id=id_) for each, id_ in zip(payloads(len(ids)), ids, strict=True)]
    ((last, text),) = dict(statements_of(Changes(accepted=accepted)))[
        "INSERT INTO remembered (last, ids) VALUES (?, ?)"
    ]
    assert json.loads(text) == [[number, id_] for number, id_ in enumerate(ids, 1)]
    assert last == len(ids)


def test_nothing_changes_nothing() -> None:
    """A commit without changes has no statement."""
    assert statements_of(Changes()) == []


def test_the_newest_ids_are_remembered_in_order() -> None:
    """Whichever commit they came with, and those that still wait too."""
    texts = ['[[3, "c"], [1, "a"]]', '[[4, "d"]]']
    assert remembered_ids(texts, [(2, "b"), (4, "d")]) == ("a", "b", "c", "d")
    many = [f'[[{n}, "id{n}"]]' for n in range(REMEMBERED + 10)]
    assert remembered_ids(many, [])[0] == "id10"
