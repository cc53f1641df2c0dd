"""The connections to a database file: whole transactions, and what it takes to know that they are on disk under its name."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from errno import EAGAIN
from pathlib import Path
from typing import Any

import aiosqlite
from anyio import Lock

from tocsin.persistence.failure_words import sentence
from tocsin.persistence.place import Displaced, Place

Statement = tuple[str, Sequence[Sequence[Any]]]
"""SQL and the rows of parameters that it is to be run with."""

COMMIT_COUNTER = (
    "CREATE TABLE commit_counter (last INTEGER NOT NULL)",
    "INSERT INTO commit_counter VALUES (0)",
)
"""The migration that every database has: the number of its last commit."""

LOG_LIMIT = 8_192
"""Pages of the log above which the writer itself folds it, between two groups, so that it can begin anew."""

LOCK_PATIENCE = 5.0
"""Seconds that opening and reading wait for a lock of another program."""

WRITE_PATIENCE = 2.0
"""Seconds that a transaction waits for a lock of another program, after which that counts as a fault."""

_PAGE = 4_096
_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 0",  # it would be the writer that waits for it
    f"journal_size_limit = {LOG_LIMIT * _PAGE}",
    f"busy_timeout = {round(WRITE_PATIENCE * 1_000)}",
)

logger = logging.getLogger(__name__)


class _Transaction(sqlite3.Connection):
    """A connection whose commit is a whole transaction: one call, hence one hop to the driver's thread."""

    statements: Sequence[Statement] = ()

    def commit(self) -> None:
        """Run the statements and commit; of what fails nothing is left in this connection."""
        try:
            for sql, rows in self.statements:
                self.executemany(sql, rows)
            super().commit()
        except BaseException:
            with suppress(sqlite3.Error):  # what failed first counts
                self.rollback()
            raise
        finally:
            self.statements = ()


class WriterConnection:
    """A connection that can be closed and opened anew; ``number`` is that of the last transaction."""

    def __init__(self, path: Path, place: Place) -> None:
        self.number = 0
        self._path = path
        self._place = place
        self._driver: aiosqlite.Connection | None = None
        self._raw: _Transaction | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._driver is not None

    async def open(self) -> None:
        """Connect, and learn the number of the last transaction that is there.

        :raises sqlite3.Error: it is not possible.
        :raises OSError: the log is not where it was made.
        """
        self._driver = await connect(self._path, self._make)
        for pragma in _PRAGMAS:
            await self._driver.execute_fetchall(f"PRAGMA {pragma}")
        ((last,),) = await self._driver.execute_fetchall("SELECT last FROM commit_counter")
        self.number = int(last)
        self._place.note_logs()

    async def fold_log(self) -> bool:
        """Bring what the log holds into the file, and tell whether that was all of it.

        :raises sqlite3.Error: it cannot be written.
        """
        assert self._driver is not None  # noqa: S101  # the writer asks until it is open
        ((busy, pages, folded),) = await self._driver.execute_fetchall(_CHECKPOINT)
        return not busy and bool(folded == pages)

    async def transact(self, statements: list[Statement]) -> None:
        """Run statements as one transaction with the current number.

        :raises sqlite3.Error: a statement or the commit failed; a commit that failed may be on disk all the same.
        :raises Displaced: it was committed, but into what the database's names do not lead to any more.
        """
        assert self._driver is not None  # noqa: S101  # as above
        assert self._raw is not None  # noqa: S101
        self._raw.statements = [*statements, ("UPDATE commit_counter SET last = ?", [(self.number,)])]
        await self._driver.commit()
        self._place.check()  # not in the driver's thread, which after each call of the system has to wait for Python's lock

    async def close(self) -> None:
        """Close; that it cannot be closed in order is no news for who opens it anew or leaves it."""
        driver, self._driver = self._driver, None
        if driver is not None:
            with suppress(sqlite3.Error):
                await driver.close()

    def _make(self, *arguments: Any, **keywords: Any) -> _Transaction:
        self._raw = _Transaction(*arguments, **keywords)
        return self._raw


class ReaderConnection:
    """A connection that reads; what reads while it is being opened anew waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._driver: aiosqlite.Connection | None = None
        self.turn = Lock(fast_acquire=True)
        """Held by the query that is run, or while the connection is being opened anew."""

    async def open(self) -> None:
        """Connect, unless there is a connection.

        :raises sqlite3.Error: it is not possible.
        """
        if self._driver is not None:
            return
        driver = await connect(self._path)
        try:
            await driver.execute_fetchall("PRAGMA query_only = ON")
            await driver.execute_fetchall("PRAGMA schema_version")  # opens the log now, not when another has its name
        except BaseException:
            await driver.close()
            raise
        self._driver = driver

    async def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query and return all of its rows.

        :raises sqlite3.Error: it cannot be run.
        :raises OSError: there is no connection, since the last one could not be replaced.
        """
        async with self.turn:
            if self._driver is None:
                raise BlockingIOError(EAGAIN, "it is not open just now")
            return [tuple(row) for row in await self._driver.execute_fetchall(sql, parameters)]

    async def close(self) -> None:
        """Close."""
        driver, self._driver = self._driver, None
        if driver is not None:
            await driver.close()


async def renew(place: Place, writer: WriterConnection, reader: ReaderConnection) -> None:
    """Open a file anew, to learn which transaction its disk has; what the log shows after a failed fsync may be in memory only.

    A file that was taken away is given what its log holds, and the log is removed: else it would be taken for that of the
    next file with that name. Log files that were taken away are made anew. What they hold is then in no file but those
    that are still open, so it is brought into the database first, and all connections are closed, which share the index.

    :raises sqlite3.Error: it is not possible yet.
    :raises OSError: the file is not where it was, or another program reads it.
    """
    place.check_folder()
    try:
        place.check_file()
    except Displaced:
        if writer.is_open and await writer.fold_log():
            place.remove_logs()
        raise
    try:
        place.check_logs()
    except Displaced:
        if writer.is_open:
            await _fold(writer)
        async with reader.turn:
            await reader.close()
            await writer.close()
            await writer.open()
            await reader.open()
    else:
        await writer.close()
        await writer.open()
        await reader.open()
    await _fold(writer)


async def _fold(writer: WriterConnection) -> None:
    if not await writer.fold_log():
        raise BlockingIOError(EAGAIN, "another program reads it")


async def connect(path: Path, factory: Callable[..., sqlite3.Connection] = sqlite3.Connection) -> aiosqlite.Connection:
    """Connect to a file that must be there: one that has gone must not be made anew, and empty.

    :raises sqlite3.Error: it cannot be opened.
    """
    failures: list[sqlite3.Error] = []

    def attempt() -> sqlite3.Connection:
        """Connect, or stand in for a connection: the driver would not wait for its thread where none is made."""
        try:
            return factory(_uri(path), uri=True, timeout=LOCK_PATIENCE)
        except sqlite3.Error as failure:
            failures.append(failure)
            return sqlite3.connect(":memory:")

    driver = await aiosqlite.Connection(attempt, 64)
    for failure in failures:
        await driver.close()
        raise failure
    return driver


def _uri(path: Path) -> str:
    return f"{path.absolute().as_uri()}?mode=rw"


def log_is_long(path: Path, place: Place) -> bool:
    """Fold as much of the log into the file as can be, on a connection of its own, and tell whether it is too long."""
    try:
        place.check()  # what is there instead is not to be mixed into the file
        with closing(sqlite3.connect(_uri(path), uri=True, timeout=0)) as connection:
            _, pages, _ = connection.execute(_CHECKPOINT).fetchone()
    except (sqlite3.Error, Displaced) as failure:
        logger.warning("the log was not folded: %s", sentence(path, failure))
        return False
    return bool(pages > LOG_LIMIT)
