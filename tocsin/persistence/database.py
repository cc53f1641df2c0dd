"""One SQLite file with one connection: durable commits, ordered migrations, errors in sentences."""

from __future__ import annotations

import logging
import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import anyio

from tocsin.protocol.errors import StateUnavailable

# At its most talkative the driver logs the parameters of every statement: channel URIs, keys and payloads.
logging.getLogger("aiosqlite").setLevel(logging.INFO)

Statement = tuple[str, Sequence[Sequence[Any]]]
"""SQL and the rows of parameters that it is to be run with."""

APPLICATION_ID = 0x544F4353  # "TOCS"; SQLite keeps it in the header of the file
_QUICK_CHECK_PAGES = 8192  # checking a larger file would delay the start


class Database:
    """An open database; made by :func:`open_database`."""

    def __init__(self, path: Path, connection: aiosqlite.Connection) -> None:
        self._path = path
        self._connection = connection
        self._one_writer = anyio.Lock(fast_acquire=True)

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query and return all of its rows.

        :raises StateUnavailable: the database cannot be read.
        """
        with _in_words(self._path):
            async with self._connection.execute(sql, parameters) as cursor:
                return [tuple(row) for row in await cursor.fetchall()]

    async def write(self, *statements: Statement) -> None:
        """Run the statements in one transaction; when this returns, they are on disk.

        :raises StateUnavailable: the commit failed; none of them may be taken as done.
        """
        with _in_words(self._path):
            async with self._one_writer:
                await self._commit(statements)

    async def _commit(self, statements: Iterable[Statement]) -> None:
        try:
            for sql, rows in statements:
                await self._connection.executemany(sql, rows)
            await self._connection.commit()
        except BaseException:
            with anyio.CancelScope(shield=True):  # the next transaction must not begin inside this one
                await self._connection.rollback()
            raise

    async def aclose(self) -> None:
        """Close the file; the write-ahead log is folded into it."""
        with anyio.CancelScope(shield=True):  # a connection that is left open keeps its thread
            await self._connection.close()


async def open_database(path: Path, migrations: Sequence[Sequence[str]]) -> Database:
    """Open the file, or make it (mode 0600), and bring its schema to the newest version.

    :param migrations: for each version, in order, the statements that lead to it.
    :raises StateUnavailable: the file is unreadable, corrupt, not ours, or of a newer version; it was not changed.
    """
    # Shielded, and bounded by SQLite's own patience: the driver's thread goes on whatever becomes of who waits for it.
    with _in_words(path), anyio.CancelScope(shield=True):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # its log files take over the mode
        connection = await aiosqlite.connect(path)
        try:
            version = await _inspect(path, connection, len(migrations))
            await connection.execute("PRAGMA journal_mode = WAL")
            await connection.execute("PRAGMA synchronous = FULL")
            for number, statements in enumerate(migrations[version:], version + 1):
                await _migrate(connection, number, statements)
        except BaseException:
            await connection.close()
            raise
    return Database(path, connection)


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


@contextmanager
def _in_words(path: Path) -> Iterator[None]:
    """Say in a sentence what SQLite or the system said in a code."""
    try:
        yield
    except (sqlite3.Error, UnicodeDecodeError) as failure:
        if type(failure) is sqlite3.DatabaseError or isinstance(failure, UnicodeDecodeError):
            raise StateUnavailable(f"{path} is corrupt ({failure}); move it away to begin anew") from failure
        raise StateUnavailable(f"{path} cannot be used: {failure}") from failure
    except OSError as failure:
        raise StateUnavailable(f"{path} cannot be opened: {failure.strerror or failure}") from failure
