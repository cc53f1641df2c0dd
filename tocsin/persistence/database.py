"""One SQLite file: one writer, one reader, ordered migrations, errors in sentences."""

from __future__ import annotations

import logging
import os
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import anyio

from tocsin.persistence.connection import Statement, WriterConnection, connect
from tocsin.persistence.words import in_words
from tocsin.persistence.writer import Writer
from tocsin.protocol.errors import StateUnavailable
from tocsin.tasks import task_group

# At its most talkative the driver logs the parameters of every statement: channel URIs, keys and payloads.
logging.getLogger("aiosqlite").setLevel(logging.INFO)

APPLICATION_ID = 0x544F4353  # "TOCS"; SQLite keeps it in the header of the file
_QUICK_CHECK_PAGES = 8192  # checking a larger file would delay the start


class Database:
    """An open database; made by :func:`open_database` or :func:`read_database`."""

    def __init__(self, path: Path, reader: aiosqlite.Connection, writer: Writer | None) -> None:
        self._path = path
        self._reader = reader
        self._writer = writer

    @property
    def fault(self) -> str | None:
        """Why nothing can be written just now, as a sentence; None while all is well."""
        return None if self._writer is None else self._writer.fault

    def watch(self, on_fault: Callable[[str | None], None]) -> None:
        """Call this whenever :attr:`fault` changes, with its new value."""
        if self._writer is not None:
            self._writer.on_fault = on_fault

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query and return all of its rows; this goes on while nothing can be written.

        :raises StateUnavailable: the database cannot be read.
        """
        with in_words(self._path):
            return [tuple(row) for row in await self._reader.execute_fetchall(sql, parameters)]

    async def write(self, *statements: Statement) -> None:
        """Run the statements in one transaction; when this returns, they are on disk.

        Writes that wait at the same time share a transaction, unless one of them is wrong. After a failure that may
        pass, such as a full disk, this waits until it is known whether the statements are there, and runs them again if
        they are not.

        :raises StateUnavailable: a statement is wrong, the file is corrupt, or it was closed during a failure.
        """
        if self._writer is None:
            raise StateUnavailable(f"{self._path} was opened for reading only")
        await self._writer.write(statements)


@asynccontextmanager
async def open_database(
    path: Path,
    migrations: Sequence[Sequence[str]],
    *,
    patient: bool = True,
) -> AsyncIterator[Database]:
    """Open the file, or make it (mode 0600), and bring its schema to the newest version.

    :param migrations: for each version, in order, the statements that lead to it; COMMIT_COUNTER is among them.
    :param patient: whether writes that come while nothing can be written wait; else they are refused at once.
    :raises StateUnavailable: the file is unreadable, corrupt, not ours, or of a newer version; it was not changed.
    """
    connection = WriterConnection(path)
    try:
        # Shielded, and bounded by SQLite's own patience: the driver's thread goes on whatever becomes of who waits.
        with in_words(path), anyio.CancelScope(shield=True):
            await _prepare(path, migrations)
            await connection.open()
            await connection.fold_log()  # what a failed fsync left readable is not on disk yet
        with Writer(connection, path, patient=patient) as writer:
            async with _reading(path) as reader, task_group() as tasks:
                tasks.start_soon(writer.run, name=f"writer of {path.name}")
                try:
                    yield Database(path, reader, writer)
                finally:
                    writer.close()
    finally:
        with anyio.CancelScope(shield=True):  # a connection that is left open keeps its thread
            await connection.close()


@asynccontextmanager
async def read_database(path: Path, newest: int) -> AsyncIterator[Database]:
    """Open a file that is there, for reading only, whoever writes it meanwhile.

    :param newest: the newest version of its schema that is understood.
    :raises StateUnavailable: the file is unreadable, corrupt, not ours, or of a newer version.
    """
    async with _reading(path) as reader:
        with in_words(path):
            await _inspect(path, reader, newest)
        yield Database(path, reader, None)


@asynccontextmanager
async def _reading(path: Path) -> AsyncIterator[aiosqlite.Connection]:
    with in_words(path), anyio.CancelScope(shield=True):
        reader = await connect(path)
    try:
        with in_words(path):
            await reader.execute_fetchall("PRAGMA query_only = ON")
        yield reader
    finally:
        with anyio.CancelScope(shield=True):  # as above
            await reader.close()


async def _prepare(path: Path, migrations: Sequence[Sequence[str]]) -> None:
    """Look at the file before anything is changed in it, then bring it to the newest version."""
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # its log files take over the mode
    async with aiosqlite.connect(path) as connection:
        version = await _inspect(path, connection, len(migrations))
        await connection.execute("PRAGMA journal_mode = WAL")
        await connection.execute("PRAGMA synchronous = FULL")
        for number, statements in enumerate(migrations[version:], version + 1):
            await _migrate(connection, number, statements)


async def _inspect(path: Path, connection: aiosqlite.Connection, newest: int) -> int:
    """Return the version of the schema, 0 for a new file, having changed nothing."""
    application = await _pragma(connection, "application_id")
    tables = await _pragma(connection, "schema_version")
    if tables and application != APPLICATION_ID:
        raise StateUnavailable(f"{path} is a database of another program; move it away or give another --state")
    version = int(await _pragma(connection, "user_version"))
    if version > newest:
        raise StateUnavailable(
            f"{path} was written by a newer Tocsin (schema {version}, this one knows {newest}); upgrade Tocsin"
        )
    pages = int(await _pragma(connection, "page_count"))
    if pages <= _QUICK_CHECK_PAGES:
        verdict = await _pragma(connection, "quick_check(1)")
        if verdict != "ok":
            raise StateUnavailable(f"{path} is corrupt ({' '.join(verdict.split())}); move it away to begin anew")
    return version


async def _migrate(connection: aiosqlite.Connection, number: int, statements: Iterable[str]) -> None:
    await connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            await connection.execute(statement)
        await connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        await connection.execute(f"PRAGMA user_version = {number}")
        await connection.commit()
    except BaseException:
        await connection.rollback()
        raise


async def _pragma(connection: aiosqlite.Connection, name: str) -> Any:
    async with connection.execute(f"PRAGMA {name}") as cursor:
        row = await cursor.fetchone()
    return row[0] if row else None
