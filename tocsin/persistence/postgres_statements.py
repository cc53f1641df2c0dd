"""What is run in a transaction of PostgreSQL, and how the statements of many callers become few."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Iterable, Sequence
from typing import Any, TypeAlias

import asyncpg
from attrs import field, frozen

from tocsin.persistence.postgres_text import to_kept

Link: TypeAlias = "asyncpg.Connection[asyncpg.Record]"  # a type with parameters where it is looked at only
"""A connection to the server."""

Row = Sequence[Any]


@frozen(eq=False)
class Statement:
    """SQL that is run with each of its rows of parameters, in their order."""

    sql: str
    rows: Sequence[Row]

    async def run(self, link: Link) -> None:
        """Run it."""
        rows = [tuple(to_kept(value) for value in row) for row in self.rows]
        if len(rows) == 1:
            await link.execute(self.sql, *rows[0])
        else:
            await link.executemany(self.sql, rows)


@frozen(eq=False)
class ArrayStatement:
    """SQL that takes each column of its rows as one array, so that it is run once for all of them.

    ``keys`` name the rows of the database that it touches: those of several callers become one statement where what lies
    between them touches others.
    """

    sql: str
    rows: Sequence[Row]
    keys: frozenset[Hashable] = field(factory=frozenset)

    async def run(self, link: Link) -> None:
        """Run it."""
        await link.execute(self.sql, *(to_kept(list(column)) for column in zip(*self.rows, strict=True)))


@frozen(eq=False)
class Work:
    """What reads what it changes: called with the connection, within the transaction."""

    do: Callable[[Link], Awaitable[None]]

    async def run(self, link: Link) -> None:
        """Do it."""
        await self.do(link)


Step = Statement | ArrayStatement | Work


def joined(steps: Iterable[Step]) -> list[Step]:
    """Return fewer statements that do the same: one joins an earlier one like it that it need not come behind."""
    plan: list[Step] = []
    rows: list[list[Row]] = []
    keys: list[set[Hashable]] = []
    for step in steps:
        if not isinstance(step, Work) and not step.rows:
            continue
        if not isinstance(step, ArrayStatement):
            plan.append(step)
            rows.append([])
            keys.append(set())
            continue
        place = _place(step, plan, keys)
        if place is None:
            plan.append(step)
            rows.append(list(step.rows))
            keys.append(set(step.keys))
        else:
            rows[place] += step.rows
            keys[place] |= step.keys
    return [
        ArrayStatement(step.sql, rows[place]) if isinstance(step, ArrayStatement) else step
        for place, step in enumerate(plan)
    ]


def _place(step: ArrayStatement, plan: Sequence[Step], keys: Sequence[set[Hashable]]) -> int | None:
    """Return which statement of a plan another may join, None: it has to come behind all."""
    if not step.keys:
        return None
    for place in range(len(plan) - 1, -1, -1):
        other = plan[place]
        if not isinstance(other, ArrayStatement) or not keys[place].isdisjoint(step.keys):
            return None
        if other.sql == step.sql:
            return place
    return None
