"""The writer's connection to a database file: whole transactions, and what it takes to know that they are on disk."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import aiosqlite

from tocsin.persistence.words import sentence

Statement = tuple[str, Sequence[Sequence[Any]]]
"""SQL and the rows of parameters that it is to be run with."""

COMMIT_COUNTER = (
    "CREATE TABLE commit_counter (last INTEGER NOT NULL)",
    "INSERT INTO commit_counter VALUES (0)",
)
"""The migration that every database has: the number of its last commit."""

LOG_LIMIT = 8_192
"""Pages of the log above which the writer itself folds it, between two groups, so that it can begin anew."""

_PAGE = 4_096
_CHECKPOINT = "PRAGMA wal_checkpoint(PASSIVE)"
_PRAGMAS = (
    "journal_mode = WAL",
    "synchronous = FULL",
    "wal_autocheckpoint = 0",  # it would be the writer that waits for it
    f"journal_size_limit = {LOG_LIMIT * _PAGE}",
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

    def __init__(self, path: Path) -> None:
        self.number = 0
        self._path = path
        self._driver: aiosqlite.Connection | None = None
        self._raw: _Transaction | None = None

    async def open(self) -> None:
        """Connect, and learn the number of the last transaction that is there.

        :raises sqlite3.Error: it is not possible.
        """
        self._driver = await connect(self._path, self._make)
        for pragma in _PRAGMAS:
            await self._driver.execute_fetchall(f"PRAGMA {pragma}")
        ((last,),) = await self._driver.execute_fetchall("SELECT last FROM commit_counter")
        self.number = int(last)

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
        """
        assert self._driver is not None  # noqa: S101  # as above
        assert self._raw is not None  # noqa: S101
        self._raw.statements = [*statements, ("UPDATE commit_counter SET last = ?", [(self.number,)])]
        await self._driver.commit()

    async def close(self) -> None:
        """Close; that it cannot be closed in order is no news for who opens it anew or leaves it."""
        driver, self._driver = self._driver, None
        if driver is not None:
            with suppress(sqlite3.Error):
                await driver.close()

    def _make(self, *arguments: Any, **keywords: Any) -> _Transaction:
        self._raw = _Transaction(*arguments, **keywords)
        return self._raw


async def connect(path: Path, factory: Callable[..., sqlite3.Connection] = sqlite3.Connection) -> aiosqlite.Connection:
    """Connect to a file that must be there: one that has gone must not be made anew, and empty.

    :raises sqlite3.Error: it cannot be opened.
    """
    failures: list[sqlite3.Error] = []

    def attempt() -> sqlite3.Connection:
        """Connect, or stand in for a connection: the driver would not wait for its thread where none is made."""
        try:
            return factory(_uri(path), uri=True)
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


def log_is_long(path: Path) -> bool:
    """Fold as much of the log into the file as can be, on a connection of its own, and tell whether it is too long."""
    try:
        with closing(sqlite3.connect(_uri(path), uri=True, timeout=0)) as connection:
            _, pages, _ = connection.execute(_CHECKPOINT).fetchone()
    except sqlite3.Error as failure:
        logger.warning("the log was not folded: %s", sentence(path, failure))
        return False
    return bool(pages > LOG_LIMIT)
