"""One SQLite file: one writer, one reader, ordered migrations, errors in sentences."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiosqlite
import anyio

from tocsin.persistence.failure_words import in_words
from tocsin.persistence.place import Place
from tocsin.persistence.sqlite_connection import ReaderConnection, Statement, WriterConnection, connect
from tocsin.persistence.writer import Writer
from tocsin.protocol.errors import StateUnavailable
from tocsin.tasks import task_group

# At its most talkative the driver logs the parameters of every statement: channel URIs, keys and payloads.
logging.getLogger("aiosqlite").setLevel(logging.INFO)

APPLICATION_ID = 0x544F4353  # "TOCS"; SQLite keeps it in the header of the file
_QUICK_CHECK_PAGES = 8192  # checking a larger file would delay the start


class Database:
    """An open database; made by :func:`open_database` or :func:`read_database`."""

    def __init__(
        self, path: Path, reader: ReaderConnection, writer: Writer | None, patience: float | None = None
    ) -> None:
        self._path = path
        self._reader = reader
        self._writer = writer
        self._patience = patience

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

        :raises StateUnavailable: the database cannot be read, or not within its patience.
        """
        with in_words(self._path), anyio.move_on_after(self._patience):
            return await self._reader.read(sql, parameters)
        raise StateUnavailable(f"{self._path} could not be read within {self._patience:g} s")

    async def write(self, *statements: Statement) -> None:
        """Run the statements in one transaction; when this returns, they are on disk.

        Writes that wait at the same time share a transaction, unless one of them is wrong. After a failure that may
        pass, such as a full disk, this waits until it is known whether the statements are there, and runs them again if
        they are not.

        :raises StateUnavailable: a statement is wrong, the file is corrupt, it was closed during a failure, or it took
            longer than its patience; ``in_doubt`` tells whether the statements may be there all the same.
        """
        if self._writer is None:
            raise StateUnavailable(f"{self._path} was opened for reading only")
        await self._writer.write(statements)


@asynccontextmanager
async def open_database(
    path: Path,
    migrations: Sequence[Sequence[str]],
    *,
    patience: float | None = None,
) -> AsyncIterator[Database]:
    """Open the file, or make it (mode 0600), and bring its schema to the newest version.

    :param migrations: for each version, in order, the statements that lead to it; COMMIT_COUNTER is among them.
    :param patience: seconds that a query or a write waits at most; what comes while nothing can be written is then
        refused at once. None: all wait as long as it takes.
    :raises StateUnavailable: the file is unreadable, corrupt, not ours, locked, a link, or of a newer version; it was not
        changed.
    """
    with in_words(path):
        place = Place(path)
    path = place.path  # absolute: the program may change its working directory
    writer, reader = WriterConnection(path, place), ReaderConnection(path)
    try:
        # Shielded, and bounded by SQLite's own patience: the driver's thread goes on whatever becomes of who waits.
        with in_words(path), anyio.CancelScope(shield=True):
            await _prepare(path, migrations)
            await writer.open()
            await writer.fold_log()  # what a failed fsync left readable is not on disk yet
            await reader.open()
        with Writer(path, place, writer, reader, patience) as groups:
            async with task_group() as tasks:
                tasks.start_soon(groups.run, name=f"writer of {path.name}")
                try:
                    yield Database(path, reader, groups, patience)
                finally:
                    groups.close()
    finally:
        with anyio.CancelScope(shield=True):  # a connection that is left open keeps its thread
            try:
                await reader.close()
            finally:  # asyncio's own cancellation goes through the shield
                try:
                    await writer.close()
                finally:
                    place.close()


@asynccontextmanager
async def read_database(path: Path, newest: int) -> AsyncIterator[Database]:
    """Open a file that is there, for reading only, also while another process writes it.

    :param newest: the newest version of its schema that is understood.
    :raises StateUnavailable: the file is unreadable, corrupt, not ours, or of a newer version.
    """
    reader = ReaderConnection(path)
    try:
        with in_words(path):
            with anyio.CancelScope(shield=True):
                await reader.open()
            await _inspect(path, reader.read, newest)
        yield Database(path, reader, None)
    finally:
        with anyio.CancelScope(shield=True):  # as above
            await reader.close()


async def _prepare(path: Path, migrations: Sequence[Sequence[str]]) -> None:
    """Look at the file before anything is changed in it, bring it to the newest version, and see that it can be written."""
    connection = await connect(path)
    try:

        async def ask(sql: str) -> list[tuple[Any, ...]]:
            return [tuple(row) for row in await connection.execute_fetchall(sql)]

        version = await _inspect(path, ask, len(migrations))
        await connection.execute("PRAGMA journal_mode = WAL")
        await connection.execute("PRAGMA synchronous = FULL")
        for number, statements in enumerate(migrations[version:], version + 1):
            await _migrate(connection, number, statements)
        await connection.execute(
            "BEGIN IMMEDIATE"
        )  # who has the lock is to be found out now, not by the first to write
        await connection.rollback()
    finally:
        await connection.close()


async def _inspect(path: Path, ask: Callable[[str], Awaitable[list[tuple[Any, ...]]]], newest: int) -> int:
    """Return the version of the schema, 0 for a new file, having changed nothing."""

    async def pragma(name: str) -> Any:
        rows = await ask(f"PRAGMA {name}")
        return rows[0][0] if rows else None

    application = await pragma("application_id")
    tables = await pragma("schema_version")
    if tables and application != APPLICATION_ID:
        raise StateUnavailable(f"{path} is a database of another program; move it away or give another --state")
    version = int(await pragma("user_version"))
    if version > newest:
        raise StateUnavailable(
            f"{path} was written by a newer Tocsin (schema {version}, this one knows {newest}); upgrade Tocsin"
        )
    pages = int(await pragma("page_count"))
    if pages <= _QUICK_CHECK_PAGES:
        verdict = await pragma("quick_check(1)")
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
