"""One SQLite file: one writer, one reader, ordered migrations, errors in sentences."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, closing
from functools import partial
from pathlib import Path
from typing import Any

import anyio

from tocsin.durations import Durations
from tocsin.persistence.disk_thread import DiskThread
from tocsin.persistence.failure_words import in_words
from tocsin.persistence.place import Place
from tocsin.persistence.sqlite_connection import (
    ConnectionPair,
    Guarded,
    ReaderConnection,
    Statement,
    WriterConnection,
    connect,
)
from tocsin.persistence.sqlite_medium import SqliteMedium
from tocsin.persistence.writer import Writer
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.changed_meanwhile import ChangedMeanwhile
from tocsin.tasks import Completion, task_group

APPLICATION_ID = 0x544F4353  # "TOCS"; SQLite keeps it in the header of the file
_QUICK_CHECK_PAGES = 8192  # checking a larger file would delay the start


class Database:
    """An open database; made by :func:`open_database` or :func:`read_database`."""

    def __init__(
        self,
        path: Path,
        reading: DiskThread,
        reader: ReaderConnection,
        writer: Writer | None,
        patience: float | None = None,
    ) -> None:
        self._path = path
        self._reading = reading
        self._reader = reader
        self._writer = writer
        self._patience = patience
        self.durations: dict[str, Durations] = {} if writer is None else {"write": writer.durations}
        """How long transactions take."""

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
            return await self._reading.run(partial(self._reader.read, sql, parameters))
        raise StateUnavailable(f"{self._path} could not be read within {self._patience:g} s")

    async def write(self, *statements: Statement | Guarded) -> None:
        """Run the statements in one transaction; when this returns, they are on disk.

        Writes that wait at the same time share a transaction, unless one of them is wrong. After a failure that may
        pass, such as a full disk, this waits until it is known whether the statements are there, and runs them again if
        they are not.

        :raises StateUnavailable: a statement is wrong, the file is corrupt, it was closed during a failure, or it took
            longer than its patience; ``in_doubt`` tells whether the statements may be there all the same.
        """
        await self.begin_write(*statements)

    async def write_where(self, holds: Callable[[sqlite3.Cursor], object], *statements: Statement) -> None:
        """Run the statements in one transaction as :meth:`write` does, where what they were decided from is still so.

        :param holds: as of :class:`Guarded`.
        :raises ChangedMeanwhile: it is not so any more; nothing was written.
        :raises StateUnavailable: as with :meth:`write`.
        """
        guarded = Guarded(holds, statements)
        await self.write(guarded)
        if not guarded.is_done:
            raise ChangedMeanwhile

    def begin_write(self, *statements: Statement | Guarded) -> Completion:
        """Begin to run statements as :meth:`write` does, and return the end of that.

        :raises StateUnavailable: as :meth:`write`, where that is known at once.
        """
        if self._writer is None:
            raise StateUnavailable(f"{self._path} was opened for reading only")
        return self._writer.write(statements)


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
    reader = ReaderConnection(path)
    connections = ConnectionPair(place, WriterConnection(path, place), reader)
    writing, reading = DiskThread(f"writer of {path.name}"), DiskThread(f"reader of {path.name}")
    try:
        # Shielded, and bounded by SQLite's own patience: the thread goes on whatever becomes of who waits.
        with in_words(path), anyio.CancelScope(shield=True):
            last = await writing.run(partial(_open, path, migrations, connections))
        groups = Writer(SqliteMedium(writing, connections), last, patience)
        async with task_group() as tasks:
            tasks.start_soon(groups.tell_faults, name=f"faults of {path.name}")
            try:
                yield Database(path, reading, reader, groups, patience)
            finally:
                try:
                    with anyio.CancelScope(shield=True):
                        await groups.close()
                finally:  # asyncio's own cancellation goes through the shield
                    groups.abandon()
    finally:
        try:
            with anyio.CancelScope(shield=True):
                await writing.run(connections.close)
        finally:
            writing.stop()
            reading.stop()


@asynccontextmanager
async def read_database(path: Path, newest: int) -> AsyncIterator[Database]:
    """Open a file that is there, for reading only, also while another process writes it.

    :param newest: the newest version of its schema that is understood.
    :raises StateUnavailable: the file is unreadable, corrupt, not ours, or of a newer version.
    """
    reader, reading = ReaderConnection(path), DiskThread(f"reader of {path.name}")
    try:
        with in_words(path), anyio.CancelScope(shield=True):
            await reading.run(reader.open)
            await reading.run(partial(_inspect, path, reader.read, newest))
        yield Database(path, reading, reader, None)
    finally:
        try:
            with anyio.CancelScope(shield=True):  # as above
                await reading.run(reader.close)
        finally:
            reading.stop()


def _open(path: Path, migrations: Sequence[Sequence[str]], connections: ConnectionPair) -> int:
    _prepare(path, migrations)
    return connections.open()


def _prepare(path: Path, migrations: Sequence[Sequence[str]]) -> None:
    """Look at the file before anything is changed in it, bring it to the newest version, and see that it can be written."""
    with closing(connect(path)) as connection:

        def ask(sql: str) -> list[tuple[Any, ...]]:
            return connection.execute(sql).fetchall()

        version = _inspect(path, ask, len(migrations))
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        for number, statements in enumerate(migrations[version:], version + 1):
            _migrate(connection, number, statements)
        connection.execute("BEGIN IMMEDIATE")  # who has the lock is to be found out now, not by the first to write
        connection.rollback()


def _inspect(path: Path, ask: Callable[[str], list[tuple[Any, ...]]], newest: int) -> int:
    """Return the version of the schema, 0 for a new file, having changed nothing."""

    def pragma(name: str) -> Any:
        rows = ask(f"PRAGMA {name}")
        return rows[0][0] if rows else None

    application = pragma("application_id")
    tables = pragma("schema_version")
    if tables and application != APPLICATION_ID:
        raise StateUnavailable(f"{path} is a database of another program; move it away or give another --state")
    version = int(pragma("user_version"))
    if version > newest:
        raise StateUnavailable(
            f"{path} was written by a newer Tocsin (schema {version}, this one knows {newest}); upgrade Tocsin"
        )
    pages = int(pragma("page_count"))
    if pages <= _QUICK_CHECK_PAGES:
        verdict = pragma("quick_check(1)")
        if verdict != "ok":
            raise StateUnavailable(f"{path} is corrupt ({' '.join(verdict.split())}); move it away to begin anew")
    return version


def _migrate(connection: sqlite3.Connection, number: int, statements: Iterable[str]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in statements:
            connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {number}")
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
