"""What is run in a transaction of PostgreSQL."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from typing import Any, TypeAlias

import asyncpg
from attrs import define, frozen

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
    """SQL that takes each column of its rows as one array, so that it is run once for all of them; it ends with a condition.

    ``keys`` name the rows of the database that it touches, all of one table: statements of several callers become one where
    what lies between them touches others (:mod:`tocsin.persistence.postgres_plan`).
    """

    sql: str
    rows: Sequence[Row]
    keys: frozenset[Hashable]

    def columns(self) -> list[Any]:
        """Return its parameters."""
        return [to_kept(list(column)) for column in zip(*self.rows, strict=True)]

    async def run(self, link: Link) -> None:
        """Run it."""
        await link.execute(self.sql, *self.columns())


@frozen(eq=False)
class Procedure:
    """What reads what it changes: called with the connection, within the transaction."""

    do: Callable[[Link], Awaitable[None]]

    async def run(self, link: Link) -> None:
        """Do it."""
        await self.do(link)


@define(eq=False)
class GuardedSteps:
    """Statements that are run only where what they were decided from is still so; the others of the transaction are run all the same.

    ``holds`` sees to that with the connection, and has it stay so until the transaction has ended, by a row or a lock.
    """

    holds: Callable[[Link], Awaitable[object]]
    statements: Sequence[Statement]
    is_done: bool = False
    """Whether they were run; known once the transaction is there."""

    async def run(self, link: Link) -> None:
        """Run them, or none of them."""
        self.is_done = bool(await self.holds(link))
        for statement in self.statements if self.is_done else ():
            await statement.run(link)


def touching(sql: str, row: Row) -> Callable[[Link], Awaitable[object]]:
    """Return the condition that a change touches a row; where it does, it is made by that."""
    values = [to_kept(value) for value in row]
    return lambda link: link.fetchval(f"{sql} RETURNING true", *values)


Step = Statement | ArrayStatement | Procedure | GuardedSteps
