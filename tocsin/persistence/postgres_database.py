"""One PostgreSQL database: one writer, a few readers, ordered migrations, errors in sentences."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import anyio

from tocsin.durations import Durations
from tocsin.persistence.postgres_connection import OPEN_FOR, bounded, check_server, connect
from tocsin.persistence.postgres_medium import PostgresMedium
from tocsin.persistence.postgres_migrations import migrate, version_of
from tocsin.persistence.postgres_readers import Readers, Rows
from tocsin.persistence.postgres_statements import GuardedSteps, Link, Statement, Step
from tocsin.persistence.postgres_words import in_words, name_of
from tocsin.persistence.writer import Writer
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.changed_meanwhile import ChangedMeanwhile
from tocsin.tasks import task_group

logger = logging.getLogger(__name__)


class PostgresDatabase:
    """An open database; made by :func:`open_postgres`."""

    def __init__(self, name: str, readers: Readers, writer: Writer, patience: float) -> None:
        self.name = name
        """What it is called in a sentence."""
        self._readers = readers
        self._writer = writer
        self._patience = patience
        self.durations: dict[str, Durations] = {"read": readers.durations, "write": writer.durations}
        """How long queries and transactions take."""

    @property
    def fault(self) -> str | None:
        """Why nothing can be written just now, as a sentence; None while all is well."""
        return self._writer.fault

    def watch(self, on_fault: Callable[[str | None], None]) -> None:
        """Call this whenever :attr:`fault` changes, with its new value."""
        self._writer.on_fault = on_fault

    async def read(self, sql: str, *parameters: Any) -> Rows:
        """Run a query and return all of its rows; this goes on while nothing can be written.

        :raises StateUnavailable: the database cannot be read, or not within its patience.
        """
        with in_words(self.name), anyio.move_on_after(self._patience):
            return await self._readers.read(sql, parameters)
        raise StateUnavailable(f"{self.name} could not be read within {self._patience:g} s")

    async def write(self, *statements: Step) -> None:
        """Run the statements in one transaction; when this returns, they are on the server's disk.

        Writes that wait at the same time share a transaction, unless one of them is wrong. After a failure that may
        pass this waits until it is known whether the statements are there, and runs them again if they are not.

        :raises StateUnavailable: a statement is wrong, or it took longer than its patience; ``in_doubt`` tells whether
            the statements may be there all the same.
        """
        await self._writer.write(statements)

    async def write_where(self, holds: Callable[[Link], Awaitable[object]], *statements: Statement) -> None:
        """Run the statements in one transaction as :meth:`write` does, where what they were decided from is still so.

        :param holds: as of :class:`GuardedSteps`.
        :raises ChangedMeanwhile: it is not so any more; nothing was written.
        :raises StateUnavailable: as with :meth:`write`.
        """
        guarded = GuardedSteps(holds, [statement for statement in statements if statement.rows])
        await self.write(guarded)
        if not guarded.is_done:
            raise ChangedMeanwhile


@asynccontextmanager
async def open_postgres(
    url: str, migrations: Sequence[Sequence[str]], *, patience: float
) -> AsyncIterator[PostgresDatabase]:
    """Connect, and bring the schema to the newest version.

    :param migrations: for each version, in order, the statements that lead to it; WRITERS is among them.
    :param patience: seconds that a query or a write waits at most; what comes while nothing can be written is refused at
        once.
    :raises StateUnavailable: the server cannot be reached, does not let the user in, or is too old; the database is not
        there, not in UTF-8, or of a newer version. It was not changed.
    """
    name = name_of(url)
    medium = PostgresMedium(url, name, uuid4())
    try:
        with in_words(name):
            await _enter(await connect(url), name, migrations, medium)
        writer, readers = Writer(medium, 0, patience), Readers(url, patience)
        async with task_group() as tasks:
            tasks.start_soon(writer.tell_faults, name=f"faults of {name}")
            try:
                async with task_group() as reading:
                    readers.start(reading)
                    try:
                        yield PostgresDatabase(name, readers, writer, patience)
                    finally:
                        with anyio.CancelScope(shield=True):
                            await writer.close()
                        readers.break_off()
                        reading.cancel_scope.cancel()
            finally:  # asyncio's own cancellation goes through the shield
                writer.abandon()
    finally:
        with anyio.CancelScope(shield=True):
            await medium.leave()


async def _enter(link: Link, name: str, migrations: Sequence[Sequence[str]], medium: PostgresMedium) -> None:
    try:
        with bounded(link, OPEN_FOR):
            await check_server(link, name)
            if await link.fetchval("SHOW fsync") == "off":
                logger.warning("%s does not wait for its disk (fsync is off): what it has taken may be lost", name)
        await migrate(link, name, migrations)
        with bounded(link, OPEN_FOR):
            await medium.enter(link)
    except BaseException:
        link.terminate()
        raise


@asynccontextmanager
async def read_postgres(url: str, newest: int) -> AsyncIterator[Link]:
    """Connect for reading only, also while services use the database.

    :param newest: the newest version of the schema that is understood.
    :raises StateUnavailable: the server or the database cannot be used, or has no tables of Tocsin, or newer ones.
    """
    name = name_of(url)
    with in_words(name):
        link = await connect(url, default_transaction_read_only="on")
        try:
            with bounded(link, OPEN_FOR):
                await check_server(link, name)
                if not await version_of(link, name, newest):
                    raise StateUnavailable(f"{name} has no tables of Tocsin yet")
            yield link
        finally:
            link.terminate()
