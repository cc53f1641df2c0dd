"""The connections to PostgreSQL that queries are run on, each one's in its own task: a caller that has gone leaves it to its end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from anyio.abc import TaskGroup
from attrs import Factory, define, field, frozen

from tocsin.durations import Durations
from tocsin.persistence.postgres_connection import bounded
from tocsin.persistence.postgres_line import PostgresLine
from tocsin.persistence.postgres_text import from_kept, to_kept
from tocsin.persistence.postgres_words import FAILURES, is_lost
from tocsin.protocol.errors import StateUnavailable

READERS: Final = 4
"""Connections that are opened at most, when that many queries are run at once."""

Rows = list[tuple[Any, ...]]


@frozen(eq=False)
class _Query:
    sql: str
    parameters: Sequence[Any]
    rows: asyncio.Future[Rows]

    def end(self, result: Rows | Exception) -> None:
        """Let its caller go on, if it still waits."""
        if self.rows.done():
            return
        if isinstance(result, Exception):
            self.rows.set_exception(result)
        else:
            self.rows.set_result(result)


@define(eq=False)
class Readers:
    """Runs queries, until its tasks are cancelled.

    :param patience: seconds after which a connection without an answer counts as broken.
    """

    _url: str
    _patience: float
    durations: Durations = Factory(Durations)
    """How long queries took, those that failed as well."""
    _waiting: deque[_Query] = Factory(deque)
    _lines: list[PostgresLine] = field(init=False)
    _idle: deque[asyncio.Future[None]] = Factory(deque)
    """What wakes those that have nothing to do, who was at work last of all first: the others' connections are not needed."""

    def __attrs_post_init__(self) -> None:
        settings = {"statement_timeout": f"{round(self._patience * 1_000)}"}
        self._lines = [PostgresLine(self._url, settings) for _ in range(READERS)]

    def start(self, tasks: TaskGroup) -> None:
        """Begin to run queries."""
        for number, line in enumerate(self._lines):
            tasks.start_soon(self._serve, line, name=f"reader {number} of PostgreSQL")

    async def read(self, sql: str, parameters: Sequence[Any]) -> Rows:
        """Run a query and return all of its rows.

        :raises StateUnavailable: the URL cannot be read.
        :raises asyncpg.PostgresError: it cannot be run.
        :raises OSError: the server cannot be reached.
        """
        query = _Query(sql, parameters, asyncio.get_running_loop().create_future())
        self._waiting.append(query)
        while self._idle:
            idle = self._idle.pop()
            if not idle.done():
                idle.set_result(None)
                break
        return await query.rows

    def break_off(self) -> None:
        """Break all connections, before the tasks are cancelled: else the driver would ask servers to stop what they do."""
        for line in self._lines:
            line.drop()

    async def _serve(self, line: PostgresLine) -> None:
        try:
            while True:
                while not self._waiting:
                    idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._idle.append(idle)
                    await idle
                query = self._waiting.popleft()
                if not query.rows.done():
                    await self._answer(query, line)
        finally:
            line.drop()

    async def _answer(self, query: _Query, line: PostgresLine) -> None:
        """Run a query and, where its connection turns out to be broken, once more on a new one."""
        for is_last in (line.link is None, True):
            try:
                link = await line.connected()
                with bounded(link, self._patience, self.durations):
                    rows = await link.fetch(query.sql, *map(to_kept, query.parameters))
            except (*FAILURES, StateUnavailable) as failure:
                if is_lost(failure):
                    line.drop()
                if is_last or not is_lost(failure):
                    query.end(failure)
                    return
            else:
                query.end([from_kept(row) for row in rows])
                return
