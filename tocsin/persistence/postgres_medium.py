"""A PostgreSQL database as its writer sees it: transactions on one connection, each done once however often it is sent.

The writer has a row in a table, with the number of its last transaction. A transaction begins by raising it to its own, where
it is lower, and so takes the row's lock. What was sent on a connection that broke is either there, or not, or still
on its way in a server that does not know of the break: then it has the lock, or will find that the number is its own already.

``pg_xact_status`` would not do: a server that was killed may give a transaction's id to another one.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any, Final
from uuid import UUID

import asyncpg

from tocsin.persistence.medium import Ended
from tocsin.persistence.postgres_connection import OPEN_FOR, bounded, connect
from tocsin.persistence.postgres_plan import at_once, joined
from tocsin.persistence.postgres_statements import Link, Step
from tocsin.persistence.postgres_words import FAILURES, event_of, is_lost, sentence
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.durability import Event

WRITERS: Final = ("CREATE TABLE writers (id uuid PRIMARY KEY, last bigint NOT NULL, seen timestamptz NOT NULL)",)
"""The migration that every database has: who writes, and the number of each one's last transaction."""

RUN_FOR: Final = 30.0
"""Seconds after which a transaction's connection counts as broken; its caller may have lost patience long before."""

FORGET_AFTER: Final = "30 days"
"""After which a writer that was not heard of is forgotten; one that runs keeps the time each hour."""

_ATTEMPTS: Final = 5
"""How often a transaction is run that the server gave up in favour of another."""

_TURN: Final = "UPDATE writers SET last = $2, seen = now() WHERE id = $1 AND last < $2 RETURNING 1"
_LAST: Final = "SELECT last FROM writers WHERE id = $1"

logger = logging.getLogger(__name__)


class _Forgotten(Exception):
    """The writer's row is gone, or was raised by another one."""


class PostgresMedium:
    """What :class:`tocsin.persistence.medium.Medium` promises.

    :param name: what the database is called; :param writer: names the writer's row.
    """

    def __init__(self, url: str, name: str, writer: UUID) -> None:
        self.name = name
        """What the database is called in a sentence."""
        self._url = url
        self._writer = writer
        self._link: Link | None = None
        self._task: asyncio.Task[None] | None = None

    async def enter(self, link: Link) -> None:
        """Make the writer's row, and use this connection from now on."""
        await link.execute(f"DELETE FROM writers WHERE seen < now() - interval '{FORGET_AFTER}'")  # noqa: S608 - a constant
        await link.execute("INSERT INTO writers VALUES ($1, 0, now())", self._writer)
        self._link = link

    async def leave(self) -> None:
        """Stop what is under way, forget the writer, and disconnect."""
        if self._task is not None:
            self._drop()
            self._task.cancel()
        if self._link is not None:
            try:
                with bounded(self._link, OPEN_FOR):
                    await self._link.execute("DELETE FROM writers WHERE id = $1", self._writer)
                    await self._link.close()
            except FAILURES as failure:
                logger.info("the writer's row is left to be forgotten: %s", sentence(self.name, failure))
            finally:
                self._drop()

    def transact(self, statements: list[Step], number: int, ended: Ended) -> None:
        """Run statements as one transaction with a number."""
        self._begin(self._transact(statements, number), ended)

    def ask(self, ended: Ended) -> None:
        """Connect anew, and return the number of the last transaction that is there."""
        self._begin(self._ask(), ended)

    def judge(self, failure: BaseException) -> tuple[Event, str]:
        """Tell by the SQLSTATE what has happened."""
        if isinstance(failure, _Forgotten):
            return Event.CORRUPT, f"{self.name} has forgotten this process; start it anew"
        if isinstance(failure, StateUnavailable):
            return Event.FAILED, str(failure)
        return event_of(failure), sentence(self.name, failure)

    def settled(self) -> None:
        """Hear that a transaction is there."""

    def _begin(self, job: Coroutine[Any, Any, Any], ended: Ended) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(job, ended))

    async def _run(self, job: Coroutine[Any, Any, Any], ended: Ended) -> None:
        try:
            result = await job
        except Exception as failure:  # noqa: BLE001  # it is judged by the writer
            self._task = None
            ended(None, failure)
        else:
            self._task = None
            ended(result, None)

    async def _transact(self, statements: list[Step], number: int) -> None:
        """Run a transaction; where its connection turns out to be broken, once more on a new one: it is done once."""
        link = await self._connected()
        try:
            await self._settle(link, statements, number)
        except FAILURES as failure:
            if not is_lost(failure) or isinstance(failure, TimeoutError):
                raise
            self._drop()
            await self._settle(await self._connected(), statements, number)

    async def _settle(self, link: Link, statements: list[Step], number: int) -> None:
        """Run a transaction until the server does not give it up in favour of another one."""
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                with bounded(link, RUN_FOR):
                    await self._try(link, statements, number)
            except (asyncpg.SerializationError, asyncpg.DeadlockDetectedError):
                if attempt == _ATTEMPTS:
                    raise
            else:
                return

    async def _try(self, link: Link, statements: list[Step], number: int) -> None:
        """Run a transaction: in one message where that is possible, so that there are few to wait for."""
        plan = joined(statements)
        whole = at_once(_TURN, (self._writer, number), plan)
        try:
            if whole is not None:
                is_ours = await link.fetchval(whole[0], *whole[1])
            else:
                await link.execute("BEGIN")
                is_ours = await link.fetchval(_TURN, self._writer, number)
                if is_ours:
                    for statement in plan:
                        await statement.run(link)
                await link.execute("COMMIT")
        except FAILURES as failure:
            if not is_lost(failure) and link.is_in_transaction():
                await link.execute("ROLLBACK")
            raise
        if not is_ours:
            await self._see(link, number)

    async def _see(self, link: Link, number: int) -> None:
        """See that it is this transaction that is there already: it was sent before, on a connection that broke."""
        if await link.fetchval(_LAST, self._writer) != number:
            raise _Forgotten

    async def _ask(self) -> int:
        self._drop()
        link = await self._connected()
        with bounded(link, OPEN_FOR):
            last = await link.fetchval(_LAST, self._writer)
        if last is None:
            raise _Forgotten
        return int(last)

    async def _connected(self) -> Link:
        if self._link is None or self._link.is_closed():
            self._link = await connect(self._url)
        return self._link

    def _drop(self) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.terminate()
