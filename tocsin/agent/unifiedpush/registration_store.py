"""The registrations of UnifiedPush in SQLite, in a file of its own that only its user can read: tokens are secrets."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from tocsin.persistence.database import Database, open_database
from tocsin.persistence.sqlite_connection import COMMIT_COUNTER
from tocsin.protocol.unifiedpush.connector_registration import ConnectorRegistration, Phase

NAME = "unifiedpush.db"
"""The file in the state folder."""

_MIGRATIONS = (
    (
        """CREATE TABLE registration (
            token TEXT PRIMARY KEY, service TEXT NOT NULL, version INTEGER NOT NULL, description TEXT NOT NULL, key BLOB,
            since REAL NOT NULL, phase TEXT NOT NULL, endpoint TEXT NOT NULL, absent_since REAL
        ) WITHOUT ROWID""",
    ),
    COMMIT_COUNTER,
)

_COLUMNS = "token, service, version, description, key, since, phase, endpoint, absent_since"


class RegistrationStore(Protocol):
    """Keeps registrations; what has returned is on disk."""

    async def registrations(self) -> Sequence[ConnectorRegistration]:
        """Return all of them."""
        ...

    async def keep(self, registration: ConnectorRegistration) -> None:
        """Keep one, in the place of that with its token."""
        ...

    async def forget(self, registration: ConnectorRegistration) -> None:
        """Keep one no more."""
        ...


class SqliteRegistrationStore:
    """Keeps what :class:`RegistrationStore` promises in one database file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def registrations(self) -> list[ConnectorRegistration]:
        """Return all of them, by their beginning."""
        rows = await self._database.read(f"SELECT {_COLUMNS} FROM registration ORDER BY since")  # noqa: S608  # a constant
        return [_registration(*row) for row in rows]

    async def keep(self, registration: ConnectorRegistration) -> None:
        """Keep one, in the place of that with its token."""
        r = registration
        row = (
            r.token,
            r.service,
            r.version,
            r.description,
            r.key,
            r.since,
            r.phase.name,
            r.endpoint,
            r.absent_since,
        )
        statement = f"INSERT OR REPLACE INTO registration ({_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608  # as above
        await self._database.write((statement, [row]))

    async def forget(self, registration: ConnectorRegistration) -> None:
        """Keep one no more."""
        await self._database.write(("DELETE FROM registration WHERE token = ?", [(registration.token,)]))


def _registration(*row: Any) -> ConnectorRegistration:
    token, service, version, description, key, since, phase, endpoint, absent_since = row
    return ConnectorRegistration(token, service, version, description, key, since, Phase[phase], endpoint, absent_since)


@asynccontextmanager
async def open_registrations(folder: Path) -> AsyncIterator[SqliteRegistrationStore]:
    """Open the store in a state folder, or make it.

    :raises StateUnavailable: the database cannot be used.
    """
    async with open_database(folder / NAME, _MIGRATIONS) as database:
        yield SqliteRegistrationStore(database)
