"""The shell's store in SQLite, in a file of its own: what is shown never waits behind the inbox."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import astuple

from tocsin.persistence.database import Database, open_database, read_database
from tocsin.persistence.shell_store import (
    REMEMBERED_SHOWN,
    ShellChanges,
    ShellState,
    StoredActivation,
    StoredBadge,
    StoredTile,
    StoredToast,
)
from tocsin.persistence.sqlite_connection import COMMIT_COUNTER, Statement
from tocsin.protocol.messages import ToastActivationType

NAME = "shell.db"
"""The file in the state folder."""

_MIGRATIONS = (
    (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
        """CREATE TABLE toast (
            id INTEGER PRIMARY KEY, app TEXT NOT NULL, tag TEXT NOT NULL, grp TEXT NOT NULL, payload TEXT NOT NULL,
            content BLOB NOT NULL, data TEXT NOT NULL, sequence_number INTEGER NOT NULL, is_held INTEGER NOT NULL,
            shown REAL NOT NULL, until REAL, expires REAL, boot TEXT NOT NULL, daemon TEXT NOT NULL, number INTEGER NOT NULL
        )""",
        "CREATE TABLE shown_payload (number INTEGER PRIMARY KEY, payload TEXT NOT NULL UNIQUE)",
        """CREATE TABLE tile (
            app TEXT NOT NULL, tile TEXT NOT NULL, tag TEXT NOT NULL, content BLOB NOT NULL, at REAL NOT NULL, expires REAL,
            PRIMARY KEY (app, tile, tag)
        ) WITHOUT ROWID""",
        """CREATE TABLE badge (
            app TEXT PRIMARY KEY, content BLOB NOT NULL, at REAL NOT NULL, expires REAL
        ) WITHOUT ROWID""",
        """CREATE TABLE activation (
            number INTEGER PRIMARY KEY, app TEXT NOT NULL, toast INTEGER NOT NULL, tag TEXT NOT NULL, grp TEXT NOT NULL,
            kind INTEGER NOT NULL, argument TEXT NOT NULL, inputs TEXT NOT NULL, at REAL NOT NULL, attempt INTEGER NOT NULL
        )""",
        "CREATE TABLE toast_command (app TEXT PRIMARY KEY, command BLOB NOT NULL) WITHOUT ROWID",
    ),
    COMMIT_COUNTER,
)

_TOAST = (
    "id, app, tag, grp, payload, content, data, sequence_number, is_held, shown, until, expires, boot, daemon, number"
)
_ACTIVATION = "number, app, toast, tag, grp, kind, argument, inputs, at, attempt"
_TILE = "app, tile, tag, content, at, expires"
_BADGE = "app, content, at, expires"


def _keeping(table: str, columns: str) -> str:
    """Return the statement that keeps a row, in the place of the one with its key."""
    places = ", ".join("?" * (columns.count(",") + 1))
    return f"INSERT OR REPLACE INTO {table} ({columns}) VALUES ({places})"  # noqa: S608  # constants


_KEEP_TOAST, _KEEP_ACTIVATION = _keeping("toast", _TOAST), _keeping("activation", _ACTIVATION)
_KEEP_TILE, _KEEP_BADGE = _keeping("tile", _TILE), _keeping("badge", _BADGE)
_FORGET_SHOWN = "DELETE FROM shown_payload WHERE number <= (SELECT max(number) FROM shown_payload) - ?"
_DATA, _IS_HELD = 6, 8
"""The places of these among the fields of a toast."""
_KIND, _INPUTS = 5, 7
"""And among those of a click."""
_OF_APP = ("toast", "tile", "badge", "activation", "toast_command")


class SqliteShellStore:
    """Keeps what :class:`tocsin.persistence.shell_store.ShellStore` promises in one database file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self) -> ShellState:
        """Return all of it, on start."""
        read = self._database.read
        toasts = await read(f"SELECT {_TOAST} FROM toast ORDER BY id")  # noqa: S608  # a constant
        shown = await read("SELECT payload FROM shown_payload ORDER BY number")
        activations = await read(f"SELECT {_ACTIVATION} FROM activation ORDER BY number")  # noqa: S608  # a constant
        commands = await read("SELECT app, command FROM toast_command")
        last = await read("SELECT value FROM meta WHERE key = 'last_id'")
        return ShellState(
            [_toast(*row) for row in toasts],
            [payload for (payload,) in shown],
            await self.tiles(),
            await self.badges(),
            [_activation(*row) for row in activations],
            dict(map(_named, commands)),
            last[0][0] if last else 0,
        )

    async def tiles(self) -> list[StoredTile]:
        """Return all tiles, by app, tile and tag."""
        rows = await self._database.read(f"SELECT {_TILE} FROM tile ORDER BY app, tile, tag")  # noqa: S608  # a constant
        return [StoredTile(*row) for row in rows]

    async def badges(self) -> list[StoredBadge]:
        """Return all badges, by app."""
        rows = await self._database.read(f"SELECT {_BADGE} FROM badge ORDER BY app")  # noqa: S608  # a constant
        return [StoredBadge(*row) for row in rows]

    async def awaited(self) -> set[str]:
        """Return the apps that have a toast on the screen or held back, or a click that they have yet to get."""
        rows = await self._database.read(
            "SELECT app FROM activation UNION SELECT app FROM toast WHERE is_held OR until IS NULL OR until <> 0"
        )
        return {app for (app,) in rows}

    async def commit(self, changes: ShellChanges) -> None:
        """Make changes in one transaction."""
        toasts = [_row_of(each, _DATA) for each in changes.kept]
        activations = [_row_of(each, _INPUTS) for each in changes.activations]
        shown = [(payload,) for payload in changes.shown]
        statements: list[Statement] = [
            *((f"DELETE FROM {table} WHERE app = ?", [(app,) for app in changes.forgotten]) for table in _OF_APP),  # noqa: S608  # constants
            ("DELETE FROM toast WHERE id = ?", [(id_,) for id_ in changes.dropped]),
            (_KEEP_TOAST, toasts),
            ("INSERT OR REPLACE INTO shown_payload (payload) VALUES (?)", shown),
            (_FORGET_SHOWN, [(REMEMBERED_SHOWN,)] if shown else []),
            (_KEEP_ACTIVATION, activations),
            (_KEEP_TILE, [astuple(each) for each in changes.tiles]),
            ("DELETE FROM tile WHERE app = ? AND tile = ? AND tag = ?", list(changes.cleared_tiles)),
            (_KEEP_BADGE, [astuple(each) for each in changes.badges]),
            ("DELETE FROM badge WHERE app = ?", [(app,) for app in changes.cleared_badges]),
            (
                "INSERT OR REPLACE INTO meta (key, value) VALUES ('last_id', ?)",
                [(changes.last_id,)] if changes.last_id else [],
            ),
        ]
        await self._database.write(*(statement for statement in statements if statement[1]))

    async def note_attempts(self, attempts: Mapping[int, int]) -> None:
        """Keep how often clicks were handed out, by their numbers."""
        rows = [(attempt, number) for number, attempt in attempts.items()]
        await self._database.write(("UPDATE activation SET attempt = ? WHERE number = ?", rows))

    async def drop_activations(self, numbers: Sequence[int]) -> None:
        """Keep these clicks no more; one that is not there is no error."""
        await self._database.write(("DELETE FROM activation WHERE number = ?", [(number,) for number in numbers]))

    async def keep_command(self, app: str, command: bytes) -> None:
        """Keep what starts an app, packed; an empty one removes it."""
        if command:
            keep = "INSERT OR REPLACE INTO toast_command (app, command) VALUES (?, ?)"
            await self._database.write((keep, [(app, command)]))
        else:
            await self._database.write(("DELETE FROM toast_command WHERE app = ?", [(app,)]))


def _row_of(stored: StoredToast | StoredActivation, pairs: int) -> tuple[Any, ...]:
    """Return what is stored as a row; ``pairs`` is the place of the field that has pairs of texts."""
    values = list(astuple(stored, recurse=False))
    values[pairs] = json.dumps(values[pairs])
    return tuple(values)


def _toast(*row: Any) -> StoredToast:
    values = list(row)
    values[_DATA], values[_IS_HELD] = _pairs(row[_DATA]), bool(row[_IS_HELD])
    return StoredToast(*values)


def _activation(*row: Any) -> StoredActivation:
    values = list(row)
    values[_KIND], values[_INPUTS] = ToastActivationType(row[_KIND]), _pairs(row[_INPUTS])
    return StoredActivation(*values)


def _pairs(text: str) -> tuple[tuple[str, str], ...]:
    """Read pairs of texts."""
    return tuple((name, value) for name, value in json.loads(text))


def _named(row: tuple[Any, ...]) -> tuple[str, bytes]:
    """Return an app and what starts it."""
    app, command = row
    return app, command


@asynccontextmanager
async def open_sqlite_shell(folder: Path) -> AsyncIterator[SqliteShellStore]:
    """Open the shell's store in a state folder, or make it.

    :raises StateUnavailable: the database cannot be used.
    """
    async with open_database(folder / NAME, _MIGRATIONS) as database:
        yield SqliteShellStore(database)


@asynccontextmanager
async def read_sqlite_shell(folder: Path) -> AsyncIterator[SqliteShellStore]:
    """Open it for reading only, also while another process writes it.

    :raises StateUnavailable: the database cannot be read, or is of a newer version.
    """
    async with read_database(folder / NAME, len(_MIGRATIONS)) as database:
        yield SqliteShellStore(database)
