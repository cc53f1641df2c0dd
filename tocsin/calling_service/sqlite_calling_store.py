"""The calling service's store in SQLite: the only module of the calling service that names it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import anyio
from attrs import astuple

from tocsin.calling_service.calling_rows import (
    CALL,
    TABLES,
    call_from_row,
    call_to_row,
    registration_from_row,
    registration_to_row,
)
from tocsin.calling_service.calling_store import PATIENCE, Kept, UserRow
from tocsin.persistence.database import Database, open_database
from tocsin.persistence.sqlite_connection import COMMIT_COUNTER
from tocsin.protocol.calling.call_token import CallTokenKind
from tocsin.protocol.calling.switchboard_rows import TurnRows

_NAME: Final = "calling.db"
_MIGRATIONS: Final = (TABLES, COMMIT_COUNTER)
_SAVE_CALL: Final = f"INSERT OR REPLACE INTO calls ({CALL}) VALUES ({', '.join('?' * (CALL.count(',') + 1))})"  # noqa: S608  # a constant


class SqliteCallingStore:
    """Keeps in a SQLite database what :class:`tocsin.calling_service.calling_store.CallingStore` promises.

    Channel URIs and contexts are in it as they are, since pushes are made of them; tokens are not.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def fault(self) -> str | None:
        """Why nothing can be written just now, as a sentence; None while all is well."""
        return self._database.fault

    async def load(self) -> Kept:
        """Return the calls and the registrations."""
        calls = await self._database.read(f"SELECT {CALL} FROM calls ORDER BY began, call")  # noqa: S608  # a constant
        registrations = await self._database.read("SELECT user, device, uri, expires FROM registrations")
        return Kept(tuple(map(call_from_row, calls)), tuple(map(registration_from_row, registrations)))

    async def commit(self, rows: TurnRows) -> None:
        """Write what a turn has to keep."""
        statements = (
            ("DELETE FROM calls WHERE call = ?", [(call,) for call in rows.forgotten_calls]),
            (
                "DELETE FROM registrations WHERE user = ? AND device = ?",
                [astuple(endpoint) for endpoint in rows.forgotten_registrations],
            ),
            (_SAVE_CALL, [call_to_row(call) for call in rows.calls]),
            (
                "INSERT OR REPLACE INTO registrations (user, device, uri, expires) VALUES (?, ?, ?, ?)",
                [registration_to_row(each) for each in rows.registrations],
            ),
        )
        if rows:
            await self._database.write(*(each for each in statements if each[1]))

    async def meta(self, key: str) -> bytes | None:
        """Return a value of the service's own."""
        rows = await self._database.read("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else None

    async def set_meta(self, key: str, value: bytes) -> None:
        """Keep a value of the service's own."""
        await self._database.write(("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", [(key, value)]))

    async def users(self) -> list[UserRow]:
        """Return all users, by name."""
        rows = await self._database.read("SELECT raw_id, name, display_name, kind, created FROM users ORDER BY name")
        return [
            UserRow(raw_id, name, shown, CallTokenKind(kind), created) for raw_id, name, shown, kind, created in rows
        ]

    async def save_user(self, user: UserRow) -> None:
        """Keep a user; REPLACE removes what has the same raw id, and what has the same name."""
        await self._database.write(
            (
                "INSERT OR REPLACE INTO users (raw_id, name, display_name, kind, created) VALUES (?, ?, ?, ?, ?)",
                [(user.raw_id, user.name, user.display_name, user.kind.value, user.created)],
            )
        )

    async def remove_user(self, raw_id: str) -> None:
        """Forget a user with its push registrations."""
        await self._database.write(
            ("DELETE FROM registrations WHERE user = ?", [(raw_id,)]),
            ("DELETE FROM users WHERE raw_id = ?", [(raw_id,)]),
        )


@asynccontextmanager
async def open_calling_store(state: Path, patience: float = PATIENCE) -> AsyncIterator[SqliteCallingStore]:
    """Open ``calling.db`` in the state folder, which the caller holds.

    :param patience: seconds that reading or writing it takes at most.
    :raises StateUnavailable: it cannot be used; the text says why.
    """
    async with open_database(state / _NAME, _MIGRATIONS, patience=patience) as database:
        yield SqliteCallingStore(database)


async def has_calling_store(state: Path) -> bool:
    """Tell whether there is a calling service's store in a state folder."""
    return await anyio.Path(state / _NAME).exists()
