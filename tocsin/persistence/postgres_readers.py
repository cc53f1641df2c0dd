"""The connections to PostgreSQL that queries are run on, each one's in its own task: a caller that has gone leaves it to its end."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, Final

from anyio.abc import TaskGroup
from attrs import Factory, define, frozen

from tocsin.persistence.postgres_connection import bounded, connect
from tocsin.persistence.postgres_statements import Link
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


@define(eq=False)
class Readers:
    """Runs queries, until its tasks are cancelled.

    :param patience: seconds after which a connection without an answer counts as broken.
    """

    _url: str
    _patience: float
    _waiting: deque[_Query] = Factory(deque)
    _idle: deque[asyncio.Future[None]] = Factory(deque)
    """What wakes those that have nothing to do, who was at work last of all first: the others' connections are not needed."""

    def start(self, tasks: TaskGroup) -> None:
        """Begin to run queries."""
        for number in range(READERS):
            tasks.start_soon(self._serve, name=f"reader {number} of PostgreSQL")

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

    async def _serve(self) -> None:
        link: Link | None = None
        try:
            while True:
                while not self._waiting:
                    idle: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                    self._idle.append(idle)
                    await idle
                query = self._waiting.popleft()
                if not query.rows.done():
                    link = await self._answer(query, link)
        finally:
            if link is not None:
                link.terminate()

    async def _answer(self, query: _Query, link: Link | None) -> Link | None:
        """Run a query on a connection or, where that is lost, on a new one; return the connection for the next."""
        for is_last in (link is None, True):
            try:
                if link is None or link.is_closed():
                    link = await connect(self._url, statement_timeout=f"{round(self._patience * 1_000)}")
                with bounded(link, self._patience):
                    rows = await link.fetch(query.sql, *map(to_kept, query.parameters))
            except (*FAILURES, StateUnavailable) as failure:
                if link is not None and is_lost(failure):
                    link.terminate()
                    link = None
                if is_last or not is_lost(failure):
                    if not query.rows.done():
                        query.rows.set_exception(failure)
                    break
            else:
                if not query.rows.done():
                    query.rows.set_result([from_kept(row) for row in rows])
                break
        return link
