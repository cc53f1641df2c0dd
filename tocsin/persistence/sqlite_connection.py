"""The connections to a database file: whole transactions, and what it takes to know that they are on disk under its name.

All of it waits for the disk: it is for threads (:mod:`tocsin.persistence.disk_thread`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress
from errno import EAGAIN
from pathlib import Path
from threading import Lock
from typing import Any

from attrs import define, frozen

from tocsin.persistence.place import Displaced, Place

Statement = tuple[str, Sequence[Sequence[Any]]]
"""SQL and the rows of parameters that it is to be run with."""


@define(eq=False)
class Guarded:
    """Statements that are run only where what they were decided from is still so; the others of the transaction are run all the same.

    ``holds`` sees to that with the cursor of the transaction.
    """

    holds: Callable[[sqlite3.Cursor], object]
    statements: Sequence[Statement]
    is_done: bool = False
    """Whether they were run; known once the transaction is there."""


def touching(sql: str, row: Sequence[Any]) -> Callable[[sqlite3.Cursor], object]:
    """Return the condition that a change touches a row; where it does, it is made by that."""
    return lambda cursor: cursor.execute(sql, row).rowcount > 0


COMMIT_COUNTER = (
    "CREATE TABLE commit_counter (last INTEGER NOT NULL)",
    "INSERT INTO commit_counter VALUES (0)",
)
"""The migration that every database has: the number of its last commit."""

LOG_SIZE = 4 * 1024 * 1024
"""Bytes of the log: it is written over from its beginning when it is nearly full, so that commits do not make it longer."""

FOLD_AT = 960
"""Pages of the log after which a commit folds it into the file: the rest, of 1,018, is for what the last commit has more."""

LOCK_PATIENCE = 5.0
"""Seconds that opening and reading wait for a lock of another program."""

WRITE_PATIENCE = 2.0
"""Seconds that a transaction waits for a lock of another program, after which that counts as a fault."""

_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    f"wal_autocheckpoint = {FOLD_AT}",
    f"journal_size_limit = {LOG_SIZE}",
    f"busy_timeout = {round(WRITE_PATIENCE * 1_000)}",
)
_COUNT = "UPDATE commit_counter SET last = ?"


class WriterConnection:
    """A connection that can be closed and opened anew."""

    def __init__(self, path: Path, place: Place) -> None:
        self._path = path
        self._place = place
        self._connection: sqlite3.Connection | None = None

    @property
    def is_open(self) -> bool:
        """Whether there is a connection."""
        return self._connection is not None

    def open(self) -> int:
        """Connect, and return the number of the last transaction that is there.

        :raises sqlite3.Error: it is not possible.
        :raises OSError: the log is not where it was made.
        """
        self._connection = connection = connect(self._path)
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        ((last,),) = connection.execute("SELECT last FROM commit_counter").fetchall()
        self._place.note_logs()
        return int(last)

    def fold_log(self) -> bool:
        """Bring what the log holds into the file, and tell whether that was all of it.

        :raises sqlite3.Error: it cannot be written.
        """
        ((busy, pages, folded),) = self._opened().execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        return not busy and bool(folded == pages)

    def lengthen_log(self) -> None:
        """Make the log as long as it will be: a commit that does not change a file's length waits for one write of the disk, not for two.

        :raises sqlite3.Error: another program writes.
        :raises OSError: there is no room.
        """
        connection = self._opened()
        connection.execute("BEGIN IMMEDIATE")  # another program would write where the log ends now
        try:
            self._place.lengthen_log(LOG_SIZE)
        finally:
            connection.rollback()

    def transact(self, statements: Sequence[Statement | Guarded], number: int) -> None:
        """Run statements as one transaction with a number; of what fails nothing is left in this connection.

        :raises sqlite3.Error: a statement or the commit failed; a commit that failed may be on disk all the same.
        :raises Displaced: it was committed, but into what the database's names do not lead to any more.
        """
        connection = self._opened()
        cursor = connection.cursor()
        try:
            cursor.execute("BEGIN IMMEDIATE")
            for statement in statements:
                if isinstance(statement, Guarded):
                    statement.is_done = bool(statement.holds(cursor))
                    for each in statement.statements if statement.is_done else ():
                        _run(cursor, *each)
                else:
                    _run(cursor, *statement)
            cursor.execute(_COUNT, (number,))
            cursor.execute("COMMIT")
        except BaseException:
            with suppress(sqlite3.Error):  # what failed first counts
                connection.rollback()
            raise
        self._place.check()

    def close(self) -> None:
        """Close; that it cannot be closed in order is no news for who opens it anew or leaves it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error):
                connection.close()

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            raise BlockingIOError(EAGAIN, "it is not open just now")
        return self._connection


class ReaderConnection:
    """A connection that reads; what reads while it is being opened anew waits."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._connection: sqlite3.Connection | None = None
        self.turn = Lock()
        """Held by the query that is run, or while the connection is being opened anew."""

    def open(self) -> None:
        """Connect, unless there is a connection.

        :raises sqlite3.Error: it is not possible.
        """
        if self._connection is not None:
            return
        connection = connect(self._path)
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA schema_version").fetchall()  # opens the log now, not when another has its name
        except BaseException:
            connection.close()
            raise
        self._connection = connection

    def read(self, sql: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Run a query and return all of its rows.

        :raises sqlite3.Error: it cannot be run.
        :raises OSError: there is no connection, since the last one could not be replaced.
        """
        with self.turn:
            if self._connection is None:
                raise BlockingIOError(EAGAIN, "it is not open just now")
            return self._connection.execute(sql, parameters).fetchall()

    def close(self) -> None:
        """Close."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()


@frozen
class ConnectionPair:
    """The two connections to a file, and its place; each method is for the writer's thread."""

    place: Place
    writer: WriterConnection
    reader: ReaderConnection

    def open(self) -> int:
        """Connect, and return the number of the last transaction, which is on disk then.

        :raises sqlite3.Error: it is not possible.
        :raises OSError: the log is not where it was made.
        """
        last = self.writer.open()
        self.writer.fold_log()  # what a failed fsync left readable is not on disk yet
        self.reader.open()
        return last

    def renew(self) -> int:
        """Open a file anew, and return which transaction its disk has; what the log shows after a failed fsync may be in memory only.

        A file that was taken away is given what its log holds, and the log is removed: else it would be taken for that of
        the next file with that name. Log files that were taken away are made anew. What they hold is then in no file but
        those that are still open, so it is brought into the database first, and all connections are closed, which share
        the index.

        :raises sqlite3.Error: it is not possible yet.
        :raises OSError: the file is not where it was, or another program reads it.
        """
        self.place.check_folder()
        try:
            self.place.check_file()
        except Displaced:
            if self.writer.is_open and self.writer.fold_log():
                self.place.remove_logs()
            raise
        try:
            self.place.check_logs()
        except Displaced:
            if self.writer.is_open:
                self._fold()
            with self.reader.turn:
                self.reader.close()
                self.writer.close()
                last = self.writer.open()
                self.reader.open()
        else:
            self.writer.close()
            last = self.writer.open()
            with self.reader.turn:
                self.reader.open()
        self._fold()
        return last

    def close(self) -> None:
        """Close all of it, the file itself last."""
        try:
            with self.reader.turn:
                self.reader.close()
        finally:
            self.writer.close()
            self.place.close()

    def _fold(self) -> None:
        if not self.writer.fold_log():
            raise BlockingIOError(EAGAIN, "another program reads it")


def _run(cursor: sqlite3.Cursor, sql: str, rows: Sequence[Sequence[Any]]) -> None:
    if len(rows) == 1:  # as with a payload that comes alone: in three quarters of the time
        cursor.execute(sql, rows[0])
    else:
        cursor.executemany(sql, rows)


def connect(path: Path) -> sqlite3.Connection:
    """Connect to a file that must be there: one that has gone must not be made anew, and empty.

    It is used by one thread at a time, and closed by the one that comes to it.

    :raises sqlite3.Error: it cannot be opened.
    """
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",
        uri=True,
        timeout=LOCK_PATIENCE,
        check_same_thread=False,
        isolation_level=None,  # transactions are begun by those who make them
    )
