"""What a commit of the inbox says to SQLite: few long statements instead of one a row.

Each execution gives Python's lock away and takes it back, for which it may have to wait while an event loop is busy. So a
statement carries many rows, and what ends in a run of sequence numbers is deleted as a run.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from json.encoder import encode_basestring_ascii as quoted
from typing import Any

from tocsin.persistence.sqlite_connection import Statement
from tocsin.persistence.store import HELD, MAY_BE_TAKEN, PARKED, REMEMBERED, Changes
from tocsin.protocol.delivery.plain_rows import PlainRow, id_of, sequence_of

FORGET_EVERY = 512
"""After how many payloads older ids are forgotten: keeping a few longer costs less than a statement in each commit."""

# Rows of one statement: any number needs few, and the driver has all prepared. Before 3.32, SQLite takes 999 values in one.
_SIZES = (110, 64, 32, 16, 8, 4, 2, 1)
_INSERT = "INSERT INTO inbox (sequence, id, type, body, attempt, expires, channel, label, received) VALUES "
_ACCEPT = {size: _INSERT + ", ".join(["(?, ?, ?, ?, ?, ?, ?, ?, ?)"] * size) for size in _SIZES}
_REMEMBER = "INSERT INTO remembered (last, ids) VALUES (?, ?)"
_FORGET = "DELETE FROM remembered WHERE last <= ?"
_SET_OPEN = "UPDATE inbox SET open = ? WHERE sequence = ?"
_BURY = (
    "INSERT OR IGNORE INTO dead_letter (sequence, channel, id, type, body, attempt, reason, detail, at, label)"
    " SELECT sequence, channel, id, type, body, attempt, ?, ?, ?, label FROM inbox WHERE sequence = ?"
)
_END = "DELETE FROM inbox WHERE sequence BETWEEN ? AND ?"
_COUNT_DROPPED = (
    "INSERT INTO dead_letter_let_go SELECT reason, 1 FROM dead_letter WHERE sequence = ?"
    " ON CONFLICT (reason) DO UPDATE SET count = count + 1"
)
_UNBURY = "DELETE FROM dead_letter WHERE sequence = ?"


def statements_of(changes: Changes) -> list[Statement]:
    """Return the statements that make these changes, in the order of their fields."""
    statements: list[Statement] = []
    if changes.accepted:
        statements += _accept(changes.accepted)
    if changes.gated or changes.parked or changes.released:
        moved = [(HELD, sequence) for sequence in changes.gated]
        moved += [(PARKED, sequence) for sequence in changes.parked]
        moved += [(MAY_BE_TAKEN, sequence) for sequence in changes.released]
        statements.append((_SET_OPEN, moved))
    ended = changes.handled
    if changes.dead:
        statements.append((_BURY, [(str(d.reason), d.detail, d.at, d.sequence) for d in changes.dead]))
        ended = [*ended, *(dead.sequence for dead in changes.dead)]
    if ended:
        statements.append((_END, list(runs(ended))))
    if changes.retried:
        statements.append((_UNBURY, [(sequence,) for sequence in changes.retried]))
    for sequence in changes.dropped:  # one that is named twice counts once
        statements += [(_COUNT_DROPPED, [(sequence,)]), (_UNBURY, [(sequence,)])]
    return statements


def remembered_ids(texts: Iterable[str], waiting: Iterable[tuple[int, str]]) -> tuple[str, ...]:
    """Return the newest ids, the newest last, of what was remembered and what is still in the inbox."""
    numbered = dict(waiting)
    for text in texts:
        numbered.update((number, id_) for number, id_ in json.loads(text))
    return tuple(numbered[number] for number in sorted(numbered)[-REMEMBERED:])


def runs(numbers: Iterable[int]) -> Iterator[tuple[int, int]]:
    """Yield the first and last of each run of numbers that follow each other."""
    first = last = None
    for number in sorted(set(numbers)):
        if first is None or last is None:
            first = last = number
        elif number == last + 1:
            last = number
        else:
            yield first, last
            first = last = number
    if first is not None and last is not None:
        yield first, last


def _accept(payloads: Sequence[PlainRow]) -> Iterator[Statement]:
    start, count = 0, len(payloads)
    for size in _SIZES:
        if count - start < size:
            continue
        rows: list[tuple[Any, ...]] = []
        while count - start >= size:
            rows.append(tuple(chain.from_iterable(payloads[start : start + size])))
            start += size
        yield _ACCEPT[size], rows
    # A service that did not see the acknowledgement sends again: it must be recognised, also when it has long ended.
    numbers = list(map(sequence_of, payloads))
    newest = max(numbers)
    ids = [f"[{number}, {quoted(id_)}]" for number, id_ in zip(numbers, map(id_of, payloads), strict=True)]
    yield _REMEMBER, [(newest, f"[{', '.join(ids)}]")]  # JSON, in a third of the time that its encoder takes
    if newest // FORGET_EVERY > (numbers[0] - 1) // FORGET_EVERY:
        yield _FORGET, [(newest - REMEMBERED,)]
