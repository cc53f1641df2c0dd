"""The SQLite file of a service as the source of a move: counted, and read in batches of bounded size."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from tocsin.persistence.failure_words import in_words
from tocsin.service.registry.moved_tables import MovedRows, MovedTable, kept_rows
from tocsin.service.registry.sqlite_service_store import NAME

ROWS: Final = 5_000
"""Rows of a batch at most."""

BYTES: Final = 4 * 1024 * 1024
"""Bytes of long values after which a batch ends, however few its rows are."""

_AT_ONCE: Final = 250


class SqliteSource:
    """What is read of a file that no process writes; made by :func:`open_source`, used by one thread at a time."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns."""
        return [name for _, name, *_ in self._connection.execute(f"PRAGMA table_info({table})")]

    def count(self, table: MovedTable) -> int:
        """Count the rows of a table that are moved."""
        counted = self._connection.execute(f"SELECT count(*) FROM {table.name} WHERE {kept_rows(table)}")
        return int(counted.fetchone()[0])

    def meta(self, key: str) -> str | None:
        """Return a value of the service's own that is a text, or None."""
        row = self._connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0].decode()

    def last_registration(self) -> int:
        """Return the highest sequence number that a registration of a hub has ever had, or 0."""
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'hub_registrations'").fetchone()
        return 0 if row is None else int(row[0])

    def batches(self, table: MovedTable, columns: Sequence[str], after: tuple[Any, ...]) -> Iterator[MovedRows]:
        """Read the rows of a table behind that key, in the key's order."""
        key = ", ".join(table.key)
        later = f"({key}) > ({', '.join('?' * len(after))})" if after else "TRUE"
        cursor = self._connection.execute(
            f"SELECT {key}, {', '.join(columns)} FROM {table.name} WHERE {later} AND {kept_rows(table)} ORDER BY {key}",
            after,
        )
        behind = len(table.key)
        large = [behind + columns.index(name) for name in table.large]
        while rows := _some(cursor, large):
            yield MovedRows([row[behind:] for row in rows], tuple(rows[-1][:behind]))


def _some(cursor: sqlite3.Cursor, large: Sequence[int]) -> list[tuple[Any, ...]]:
    rows: list[tuple[Any, ...]] = []
    size = 0
    while len(rows) < ROWS and size < BYTES:
        more = cursor.fetchmany(_AT_ONCE)
        if not more:
            break
        rows += more
        size += sum(len(row[place] or "") for row in more for place in large)
    return rows


@contextmanager
def open_source(state: Path) -> Iterator[SqliteSource]:
    """Open the file in a state folder that the caller holds, for reading only.

    :raises StateUnavailable: it cannot be read; so is what goes wrong in the block told.
    """
    path = state / NAME
    with (
        in_words(path),
        closing(sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, check_same_thread=False)) as connection,
    ):
        yield SqliteSource(connection)
