"""The service's store in SQLite: the only module of the service that names it."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
from anyio.abc import TaskGroup
from attrs import asdict, astuple

from tocsin.persistence.database import Database, open_database, read_database
from tocsin.persistence.sqlite_connection import COMMIT_COUNTER, touching
from tocsin.protocol.platform.unwanted import Unwanted
from tocsin.protocol.service.offline_queue import Entry
from tocsin.protocol.values import NotificationType
from tocsin.protocol.webpush.sender import WEB_PUSH
from tocsin.service.registry.gathered_reads import PAUSE, GatheredReads
from tocsin.service.registry.hub_tables import TABLES
from tocsin.service.registry.service_rows import channel_of_row, entry_of_row, entry_to_row, unwanted_of_text
from tocsin.service.registry.service_store import NO_APPS, PATIENCE, SEARCHED, AppRow, ChannelRow, KeptApps, SecretRow
from tocsin.service.registry.sqlite_hub_store import SqliteHubStore
from tocsin.tasks import task_group

NAME = "service.db"
"""The file in the state folder."""

_MIGRATIONS = (
    (
        "CREATE TABLE meta (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID",
        """CREATE TABLE apps (
            client_id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, remote_id TEXT NOT NULL UNIQUE
        ) WITHOUT ROWID""",
        """CREATE TABLE secrets (
            hash BLOB PRIMARY KEY, client_id TEXT NOT NULL, created REAL NOT NULL, expires REAL
        ) WITHOUT ROWID""",
        """CREATE TABLE channels (
            hash BLOB PRIMARY KEY, name TEXT NOT NULL UNIQUE, client_id TEXT NOT NULL, app TEXT NOT NULL,
            device TEXT NOT NULL, expires REAL NOT NULL, revoked INTEGER NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX channels_of ON channels (device, app)",
        "CREATE INDEX channels_by_age ON channels (expires)",
    ),
    COMMIT_COUNTER,
    (
        """CREATE TABLE stored (
            sequence INTEGER PRIMARY KEY, id TEXT NOT NULL, channel TEXT NOT NULL, app TEXT NOT NULL, type TEXT NOT NULL,
            tag TEXT NOT NULL, grp TEXT NOT NULL, priority INTEGER NOT NULL, received REAL NOT NULL, expires REAL,
            ends REAL NOT NULL, device TEXT NOT NULL, body BLOB NOT NULL
        )""",
        "CREATE INDEX stored_for ON stored (device, sequence)",
    ),
    ("ALTER TABLE apps ADD COLUMN family TEXT NOT NULL DEFAULT ''",),
    ("CREATE INDEX stored_until ON stored (min(coalesce(expires, ends), ends))",),
    ("ALTER TABLE stored ADD COLUMN suppress INTEGER NOT NULL DEFAULT 0",),
    ("CREATE TABLE unwanted (device TEXT PRIMARY KEY, what TEXT NOT NULL) WITHOUT ROWID",),
    TABLES,
)

_ENTRY = "sequence, id, channel, app, type, tag, grp, priority, received, expires, ends, suppress"
_EXPIRED = "expires IS NOT NULL AND expires <= ? AND ends > ?"
_ENDED = "ends <= ? OR channel NOT IN (SELECT name FROM channels WHERE revoked = 0)"
_SUBSCRIPTION = f"substr(client_id, 1, {len(WEB_PUSH)}) = '{WEB_PUSH}'"
_SUBSCRIPTIONS = f"device = ? AND revoked = 0 AND expires > ? AND {_SUBSCRIPTION}"
_ORPHANED = f"revoked = 0 AND expires > ? AND client_id NOT IN (SELECT client_id FROM apps) AND NOT {_SUBSCRIPTION}"  # noqa: S608 - constants
_WITHOUT_CHANNELS = "device NOT IN (SELECT device FROM channels)"
_COUNT_BY_APP = (
    "SELECT a.name, count(c.hash), count(DISTINCT c.device) FROM apps a LEFT JOIN channels c"
    " ON c.client_id = a.client_id AND c.revoked = 0 AND c.expires > ? GROUP BY a.client_id ORDER BY a.name"
)
_APPS = "SELECT client_id, name, remote_id, family FROM apps"
_SECRETS = "SELECT hash, client_id, created, expires FROM secrets"
_CHANNEL = "hash, name, client_id, app, device, expires, revoked"


class SqliteServiceStore:
    """Keeps in a SQLite database what :class:`tocsin.service.registry.service_store.ServiceStore` promises."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._by_device = GatheredReads(self._stored_for)
        self._bodies = GatheredReads(self._bodies_of, PAUSE)
        self.hubs = SqliteHubStore(database)
        """What is kept of notification hubs."""
        self.durations = database.durations
        """How long what the store is asked takes."""

    def start(self, tasks: TaskGroup) -> None:
        """Begin to read what is asked for by many."""
        tasks.start_soon(self._by_device.serve, name="reader of what is stored")
        tasks.start_soon(self._bodies.serve, name="reader of bodies")

    @property
    def fault(self) -> str | None:
        """Why nothing can be written just now, as a sentence; None while all is well."""
        return self._database.fault

    async def meta(self, key: str) -> bytes | None:
        """Return a value of the service's own."""
        rows = await self._database.read("SELECT value FROM meta WHERE key = ?", (key,))
        return rows[0][0] if rows else None

    async def set_meta(self, key: str, value: bytes) -> None:
        """Keep a value of the service's own."""
        await self._database.write(("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", [(key, value)]))

    async def meta_or_set(self, key: str, value: bytes) -> bytes:
        """Return a value of the service's own, having kept this one where there was none."""
        await self._database.write(("INSERT OR IGNORE INTO meta (key, value) VALUES (?, ?)", [(key, value)]))
        kept: bytes = (await self._database.read("SELECT value FROM meta WHERE key = ?", (key,)))[0][0]
        return kept

    async def apps(self) -> list[AppRow]:
        """Return all registered apps."""
        rows = await self._database.read(f"{_APPS} ORDER BY name")
        return [AppRow(*row) for row in rows]

    async def secrets(self) -> list[SecretRow]:
        """Return all secrets, the oldest first."""
        rows = await self._database.read(f"{_SECRETS} ORDER BY created, expires IS NULL")
        return [SecretRow(*row) for row in rows]

    async def save_app(self, app: AppRow, secrets: Sequence[SecretRow], was: KeptApps = NO_APPS) -> None:
        """Keep an app with these secrets, and no others; one of its name with another id is there by mistake."""
        other = [(app.name, app.client_id)]  # of a registration that failed, although it is on disk
        await self._database.write_where(
            partial(_are_kept, was),
            (
                "DELETE FROM secrets WHERE client_id IN (SELECT client_id FROM apps WHERE name = ? AND client_id <> ?)",
                other,
            ),
            ("DELETE FROM apps WHERE name = ? AND client_id <> ?", other),
            (
                """INSERT INTO apps (client_id, name, remote_id, family) VALUES (?, ?, ?, ?)
                ON CONFLICT (client_id) DO UPDATE SET family = excluded.family""",
                [astuple(app)],
            ),
            ("DELETE FROM secrets WHERE client_id = ?", [(app.client_id,)]),
            (
                "INSERT INTO secrets (hash, client_id, created, expires) VALUES (?, ?, ?, ?)",
                [astuple(secret) for secret in secrets],
            ),
        )

    async def remove_app(self, client_id: str, was: KeptApps) -> None:
        """Forget an app with its secrets, and what is stored for its channels; these stay until they would have ended.

        So each of their devices can be told, whenever it is there.
        """
        await self._database.write_where(
            partial(_are_kept, was),
            (
                "DELETE FROM stored WHERE channel IN (SELECT name FROM channels WHERE client_id = ?)",
                [(client_id,)],
            ),
            ("DELETE FROM secrets WHERE client_id = ?", [(client_id,)]),
            ("DELETE FROM apps WHERE client_id = ?", [(client_id,)]),
        )

    async def channels(self, hashes: Sequence[bytes]) -> dict[bytes, ChannelRow]:
        """Return the channels whose tokens have these SHA-256s, ended ones included, by those."""
        sql = f"SELECT {_CHANNEL} FROM channels WHERE hash IN ({_marks(hashes)})"  # noqa: S608 - question marks
        channels = [channel_of_row(row) for row in await self._database.read(sql, hashes)]
        return {channel.hash: channel for channel in channels}

    async def live_channels(self, device: str, app: str, now: float) -> list[ChannelRow]:
        """Return the channels of an app on a device that are neither revoked nor expired."""
        rows = await self._database.read(
            f"SELECT {_CHANNEL} FROM channels WHERE device = ? AND app = ? AND revoked = 0 AND expires > ?",  # noqa: S608 - a constant
            (device, app, now),
        )
        return [channel_of_row(row) for row in rows]

    async def subscriptions(self, device: str, now: float) -> list[ChannelRow]:
        """Return the push subscriptions of a device that are neither revoked nor expired."""
        rows = await self._database.read(f"SELECT {_CHANNEL} FROM channels WHERE {_SUBSCRIPTIONS}", (device, now))  # noqa: S608 - constants
        return [channel_of_row(row) for row in rows]

    async def count_subscriptions(self, device: str, now: float) -> int:
        """Count them."""
        text = f"SELECT count(*) FROM channels WHERE {_SUBSCRIPTIONS}"  # noqa: S608 - a constant
        return int((await self._database.read(text, (device, now)))[0][0])

    async def prolong(self, channels: Sequence[ChannelRow], expires: float) -> None:
        """Put off the end of these channels."""
        await self._database.write(
            (
                "UPDATE channels SET expires = ? WHERE hash = ? AND revoked = 0",
                [(expires, channel.hash) for channel in channels],
            )
        )

    async def newest_channels(self, now: float, limit: int) -> list[ChannelRow]:
        """Return so many of the channels of registered apps that are neither revoked nor expired, the newest first."""
        rows = await self._database.read(
            f"SELECT {_CHANNEL} FROM channels WHERE revoked = 0 AND expires > ?"  # noqa: S608 - a constant
            " AND client_id IN (SELECT client_id FROM apps) ORDER BY expires DESC, name LIMIT ?",
            (now, limit),
        )
        return [channel_of_row(row) for row in rows]

    async def find_channels(self, now: float, app: str, begins: str, limit: int) -> list[ChannelRow]:
        """Return so many of them that are of some app, device or name, the newest first; ``g`` follows all of their digits."""
        beginning = (begins, begins + "g") * 2 if begins else ()
        some = "AND (name >= ? AND name < ? OR device >= ? AND device < ?)" if begins else "ORDER BY expires DESC"
        rows = await self._database.read(
            f"SELECT {_CHANNEL} FROM (SELECT {_CHANNEL} FROM channels WHERE revoked = 0 AND expires > ?"  # noqa: S608 - constants
            f" {some} LIMIT {SEARCHED})"
            " WHERE client_id IN (SELECT client_id FROM apps WHERE instr(lower(name), lower(?)) OR ? = '')"
            " ORDER BY expires DESC, name LIMIT ?",
            (now, *beginning, app, app, limit),
        )
        return [channel_of_row(row) for row in rows]

    async def devices_of(self, client_id: str, now: float) -> set[str]:
        """Return the devices with channels of an app that are neither revoked nor expired."""
        rows = await self._database.read(
            "SELECT DISTINCT device FROM channels WHERE client_id = ? AND revoked = 0 AND expires > ?", (client_id, now)
        )
        return {device for (device,) in rows}

    async def orphaned_devices(self, now: float) -> set[str]:
        """Return the devices with channels of apps that were removed."""
        rows = await self._database.read(f"SELECT DISTINCT device FROM channels WHERE {_ORPHANED}", (now,))  # noqa: S608 - a constant
        return {device for (device,) in rows}

    async def orphans(self, device: str, now: float) -> list[str]:
        """Return the names of a device's channels of apps that were removed."""
        rows = await self._database.read(
            f"SELECT name FROM channels WHERE device = ? AND {_ORPHANED}",  # noqa: S608 - a constant
            (device, now),
        )
        return [name for (name,) in rows]

    async def add_channel(self, channel: ChannelRow, forget: Sequence[bytes] = ()) -> None:
        """Keep a new channel, and forget those with these hashes."""
        await self._database.write(
            ("DELETE FROM channels WHERE hash = ?", [(token_hash,) for token_hash in forget]),
            (
                f"INSERT INTO channels ({_CHANNEL}) VALUES (?, ?, ?, ?, ?, ?, ?)",  # noqa: S608 - a constant
                [astuple(channel)],
            ),
        )

    async def revoke(self, channels: Sequence[ChannelRow], now: float) -> None:
        """Mark these channels as revoked."""
        text = "UPDATE channels SET revoked = 1, expires = min(expires, ?) WHERE hash = ?"
        await self._database.write((text, [(now, channel.hash) for channel in channels]))

    async def count_channels(self) -> tuple[int, int]:
        """Count the channels that are kept, ended ones included, and those of them that are push subscriptions."""
        sql = f"SELECT count(*), count(*) FILTER (WHERE {_SUBSCRIPTION}) FROM channels"  # noqa: S608 - a constant
        ((channels, subscriptions),) = await self._database.read(sql)
        return channels, subscriptions

    async def prune_channels(self, before: float) -> None:
        """Forget the channels that expired before that time."""
        await self._database.write(("DELETE FROM channels WHERE expires < ?", [(before,)]))

    async def unwanted(self) -> dict[str, Unwanted]:
        """Return what devices do not want to be sent, by device."""
        rows = await self._database.read("SELECT device, what FROM unwanted")
        return {device: unwanted_of_text(what) for device, what in rows}

    async def set_unwanted(self, device: str, unwanted: Unwanted | None) -> None:
        """Keep what a device does not want to be sent, or replace it."""
        await self._database.write(
            ("DELETE FROM unwanted WHERE device = ?", [(device,)]),
            (
                "INSERT INTO unwanted (device, what) VALUES (?, ?)",
                [] if unwanted is None else [(device, json.dumps(asdict(unwanted)))],
            ),
        )

    async def unwanting_without_channels(self) -> set[str]:
        """Return the devices that do not want something, and have no channel, not even one that has ended."""
        rows = await self._database.read(f"SELECT device FROM unwanted WHERE {_WITHOUT_CHANNELS}")  # noqa: S608 - a constant
        return {device for (device,) in rows}

    async def forget_unwanted(self, device: str) -> None:
        """Forget what a device does not want to be sent, that has no channel still."""
        sql = f"DELETE FROM unwanted WHERE device = ? AND {_WITHOUT_CHANNELS}"  # noqa: S608 - a constant
        await self._database.write_where(touching(sql, (device,)))

    async def add_stored(self, device: str, entry: Entry, body: bytes, erase: Sequence[int]) -> None:
        """Keep a notification for a device that is away, and erase those with these sequence numbers."""
        row = (*entry_to_row(entry), device, body)
        await self._database.write(
            ("DELETE FROM stored WHERE sequence = ?", [(sequence,) for sequence in erase]),
            (f"INSERT INTO stored ({_ENTRY}, device, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", [row]),  # noqa: S608 - a constant
        )

    async def erase_stored(self, sequences: Sequence[int]) -> None:
        """Erase the notifications with these sequence numbers."""
        await self._database.write(("DELETE FROM stored WHERE sequence = ?", [(sequence,) for sequence in sequences]))

    async def stored(self, device: str) -> list[Entry]:
        """Return what is stored for a device, the oldest first, without the bodies."""
        return (await self._by_device.get([device])).get(device, [])

    async def _stored_for(self, devices: Sequence[str]) -> dict[str, list[Entry]]:
        sql = f"SELECT device, {_ENTRY} FROM stored WHERE device IN ({_marks(devices)}) ORDER BY sequence"  # noqa: S608 - question marks
        found: dict[str, list[Entry]] = {}
        for device, *row in await self._database.read(sql, devices):
            found.setdefault(device, []).append(entry_of_row(row))
        return found

    async def stored_bodies(self, sequences: Sequence[int]) -> dict[int, bytes]:
        """Return the bodies of those of these notifications that are there."""
        return await self._bodies.get(sequences)

    async def _bodies_of(self, sequences: Sequence[int]) -> dict[int, bytes]:
        sql = f"SELECT sequence, body FROM stored WHERE sequence IN ({_marks(sequences)})"  # noqa: S608 - question marks
        rows = await self._database.read(sql, sequences)
        return {sequence: body for sequence, body in rows}  # noqa: C416 - the rows are not known to be pairs

    async def last_stored(self) -> int:
        """Return the highest sequence number in use."""
        rows = await self._database.read("SELECT coalesce(max(sequence), 0) FROM stored")
        return int(rows[0][0])

    async def count_stored(self) -> dict[str, int]:
        """Return the devices that something is stored for, and how much."""
        return dict(await self._database.read("SELECT device, count(*) FROM stored GROUP BY device"))

    async def total_stored(self) -> tuple[int, int]:
        """Count the notifications that are stored, for all devices, and those of them that are messages of Web Push."""
        sql = "SELECT count(*), count(*) FILTER (WHERE type = ?) FROM stored"
        ((stored, messages),) = await self._database.read(sql, (NotificationType.PUSH,))
        return stored, messages

    async def devices_with_spent(self, now: float) -> set[str]:
        """Return the devices that something is stored for which has expired, or whose channel has ended."""
        rows = await self._database.read(
            "SELECT DISTINCT device FROM stored INDEXED BY stored_until WHERE min(coalesce(expires, ends), ends) <= ?",
            (now,),  # left to itself it walks through all of them, in the order of the devices
        )
        return {device for (device,) in rows}

    async def count_ended(self, since: float, until: float) -> tuple[int, int]:
        """Count the channels, and the stored notifications, whose time was over after the one moment and by the other."""
        ((channels,),) = await self._database.read(
            "SELECT count(*) FROM channels WHERE revoked = 0 AND expires > ? AND expires <= ?", (since, until)
        )
        end = "min(coalesce(expires, ends), ends)"
        ((stored,),) = await self._database.read(
            f"SELECT count(*) FROM stored WHERE {end} > ? AND {end} <= ?",  # noqa: S608 - a constant
            (since, until),
        )
        return channels, stored

    async def prune_stored(self, now: float) -> tuple[int, int]:
        """Erase what has expired, and what belongs to channels that have ended; return how many there were of each."""
        ((expired,),) = await self._database.read(f"SELECT count(*) FROM stored WHERE {_EXPIRED}", (now, now))  # noqa: S608 - a constant
        ((both,),) = await self._database.read(
            f"SELECT count(*) FROM stored WHERE ({_EXPIRED}) OR {_ENDED}",  # noqa: S608 - constants
            (now, now, now),
        )
        await self._database.write((f"DELETE FROM stored WHERE ({_EXPIRED}) OR {_ENDED}", [(now, now, now)]))  # noqa: S608 - constants
        return expired, both - expired


def _are_kept(was: KeptApps, cursor: sqlite3.Cursor) -> bool:
    """Tell whether the apps and secrets are those."""
    apps = frozenset(AppRow(*row) for row in cursor.execute(_APPS).fetchall())
    return was == KeptApps(apps, frozenset(SecretRow(*row) for row in cursor.execute(_SECRETS).fetchall()))


def _marks(values: Sequence[object]) -> str:
    return ", ".join("?" * len(values))


@asynccontextmanager
async def open_store(state: Path, patience: float = PATIENCE) -> AsyncIterator[SqliteServiceStore]:
    """Open ``service.db`` in the state folder, which the caller holds.

    :param patience: seconds that reading or writing it takes at most.
    :raises StateUnavailable: it cannot be used; the text says why.
    """
    async with open_database(state / NAME, _MIGRATIONS, patience=patience) as database, task_group() as tasks:
        store = SqliteServiceStore(database)
        store.start(tasks)
        try:
            yield store
        finally:
            tasks.cancel_scope.cancel()


async def count_by_app(state: Path, now: float) -> list[tuple[str, int, int]]:
    """Return each app of the store in a state folder with how many channels it has, and on how many devices.

    :raises StateUnavailable: the store cannot be read.
    """
    async with read_database(state / NAME, len(_MIGRATIONS)) as database:
        return [tuple(row) for row in await database.read(_COUNT_BY_APP, (now,))]


async def has_store(state: Path) -> bool:
    """Tell whether there is a service's store in a state folder."""
    return await anyio.Path(state / NAME).exists()
