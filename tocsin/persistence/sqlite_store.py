"""The store in SQLite."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from attrs import astuple

from tocsin.persistence.database import Database, open_database, read_database
from tocsin.persistence.inbox_changes import remembered_ids, statements_of
from tocsin.persistence.sqlite_connection import COMMIT_COUNTER
from tocsin.persistence.store import (
    FORMER_CHANNELS,
    HELD,
    MAY_BE_TAKEN,
    PARKED,
    REMEMBERED,
    Changes,
    DeadLetter,
    Deaths,
    InboxSummary,
    StoredActivator,
    StoredChannel,
    StoredRequest,
)
from tocsin.protocol.messages import PayloadRow
from tocsin.protocol.platform.usage import NetworkKind, UsageRow
from tocsin.protocol.values import DropReason, NotificationType

MIGRATIONS = (
    (
        "CREATE TABLE setting (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
        """CREATE TABLE channel (
            channel TEXT PRIMARY KEY, app TEXT NOT NULL, remote_id TEXT NOT NULL, uri TEXT NOT NULL, expires REAL NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE inbox (
            sequence INTEGER PRIMARY KEY, channel TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
            body BLOB NOT NULL, attempt INTEGER NOT NULL, expires REAL, open INTEGER NOT NULL DEFAULT 1
        )""",
        "CREATE INDEX inbox_open ON inbox (channel, sequence) WHERE open",
        """CREATE TABLE dead_letter (
            sequence INTEGER PRIMARY KEY, channel TEXT NOT NULL, id TEXT NOT NULL, type TEXT NOT NULL,
            body BLOB NOT NULL, attempt INTEGER NOT NULL, reason TEXT NOT NULL, detail TEXT NOT NULL, at REAL NOT NULL
        )""",
    ),
    (
        """CREATE TABLE activator (
            app TEXT NOT NULL, activator INTEGER NOT NULL, clsid TEXT NOT NULL, conditions TEXT NOT NULL,
            cancel_on_condition_loss INTEGER NOT NULL, PRIMARY KEY (app, activator)
        ) WITHOUT ROWID""",
        """CREATE TABLE request (
            app TEXT NOT NULL, remote_id TEXT NOT NULL, failures INTEGER NOT NULL, hresult INTEGER NOT NULL,
            text TEXT NOT NULL, due REAL NOT NULL, PRIMARY KEY (app, remote_id)
        ) WITHOUT ROWID""",
        # open: 1 may be taken, 2 waits for the background, 3 is held back by a gate, 0 has ended
        "DROP INDEX inbox_open",
        "CREATE INDEX inbox_open ON inbox (channel, sequence) WHERE open = 1",
    ),
    COMMIT_COUNTER,
    (
        # What has ended leaves the inbox; the ids of the newest payloads are kept by the commit, not by the row.
        "CREATE TABLE remembered (last INTEGER PRIMARY KEY, ids TEXT NOT NULL)",
        """INSERT INTO remembered SELECT max(sequence), json_group_array(json_array(sequence, id))
            FROM (SELECT sequence, id FROM inbox ORDER BY sequence DESC LIMIT 4096) HAVING count(*) > 0""",
        "DELETE FROM inbox WHERE NOT open",
        "CREATE INDEX inbox_back ON inbox (channel, sequence) WHERE open > 1",
        "ALTER TABLE request ADD COLUMN planned REAL NOT NULL DEFAULT 0",
    ),
    (
        "CREATE INDEX dead_letter_by_age ON dead_letter (at)",
        "CREATE TABLE dead_letter_let_go (reason TEXT PRIMARY KEY, count INTEGER NOT NULL) WITHOUT ROWID",
    ),
    ("CREATE TABLE former_channel (number INTEGER PRIMARY KEY, channel TEXT NOT NULL UNIQUE, app TEXT NOT NULL)",),
    ("ALTER TABLE activator ADD COLUMN command BLOB NOT NULL DEFAULT x''",),
    (
        # Dead letters are listed, counted and found by these without a look at their bodies.
        "CREATE INDEX dead_letter_by_id ON dead_letter (id)",
        "CREATE INDEX dead_letter_by_reason ON dead_letter (reason, channel)",
    ),
    # What is to be shown is found without a look at raw payloads, which may wait for their app in any number.
    ("CREATE INDEX inbox_shown ON inbox (channel, sequence) WHERE open = 1 AND type <> 'raw'",),
    (
        "ALTER TABLE inbox ADD COLUMN label TEXT NOT NULL DEFAULT ''",
        "ALTER TABLE dead_letter ADD COLUMN label TEXT NOT NULL DEFAULT ''",
    ),
    (
        """CREATE TABLE usage (
            day INTEGER NOT NULL, app TEXT NOT NULL, network TEXT NOT NULL, sent INTEGER NOT NULL, received INTEGER NOT NULL,
            PRIMARY KEY (day, app, network)
        ) WITHOUT ROWID""",
    ),
    ("ALTER TABLE inbox ADD COLUMN received REAL",),
)

_KEEP_REQUEST = (
    "INSERT OR REPLACE INTO request (app, remote_id, failures, hresult, text, due, planned)"
    " VALUES (?, ?, ?, ?, ?, ?, ?)"
)
_KEEP_ACTIVATOR = (
    "INSERT OR REPLACE INTO activator (app, activator, clsid, conditions, cancel_on_condition_loss, command)"
    " VALUES (?, ?, ?, ?, ?, ?)"
)
_LETTER = (
    "SELECT d.sequence, coalesce(c.app, f.app, ''), d.channel, d.id, d.type, d.body, d.attempt, d.reason, d.detail, d.at,"
    " d.label"
    " FROM dead_letter d LEFT JOIN channel c ON c.channel = d.channel"
    " LEFT JOIN former_channel f ON f.channel = d.channel"
)
_DEAD_LETTERS = f"{_LETTER} ORDER BY d.sequence DESC LIMIT ?"
_SOME_DEAD_LETTERS = (  # which they are is known from the indexes alone; the rows of no other are read
    f"{_LETTER} WHERE d.sequence IN (SELECT sequence FROM dead_letter WHERE {{}} ORDER BY sequence DESC LIMIT ?)"  # noqa: S608 - constants
    " ORDER BY d.sequence DESC"
)
_OF_REASON = "reason = ?"
_OF_ANY_REASON = "reason IN (SELECT DISTINCT reason FROM dead_letter)"
_OF_APP = (
    "channel IN (SELECT channel FROM channel WHERE app = ?"
    " UNION SELECT channel FROM former_channel WHERE app = ? AND channel NOT IN (SELECT channel FROM channel))"
)
_OF_NO_APP = "channel NOT IN (SELECT channel FROM channel UNION SELECT channel FROM former_channel)"
_DEAD_LETTER = f"{_LETTER} WHERE d.id = ? ORDER BY d.sequence DESC LIMIT 1"
_DEAD_LETTER_IDS = "SELECT DISTINCT id FROM dead_letter WHERE id >= ? AND id < ? ORDER BY id LIMIT ?"
_BEHIND_ALL = "\U0010ffff"
"""A text that begins with another one comes before that one with this behind it."""
_DEAD_LETTER_COUNTS = (
    "SELECT reason, sum(count) FROM (SELECT reason, count(*) AS count FROM dead_letter GROUP BY reason"
    " UNION ALL SELECT reason, count FROM dead_letter_let_go) GROUP BY reason ORDER BY reason"
)
_DEATHS_BY_APP = (
    "SELECT coalesce(c.app, f.app, ''), count(*), max(d.at) FROM dead_letter d LEFT JOIN channel c ON c.channel = d.channel"
    " LEFT JOIN former_channel f ON f.channel = d.channel WHERE d.reason = ? GROUP BY 1"
)
_TO_LET_GO = "at < ? OR sequence <= (SELECT sequence FROM dead_letter ORDER BY sequence DESC LIMIT 1 OFFSET ?)"
_COUNT_TO_LET_GO = f"SELECT count(*) FROM dead_letter WHERE {_TO_LET_GO}"  # noqa: S608 - a constant
_ADD_LET_GO = (
    f"INSERT INTO dead_letter_let_go SELECT reason, count(*) FROM dead_letter WHERE {_TO_LET_GO} GROUP BY reason"  # noqa: S608 - a constant
    " ON CONFLICT (reason) DO UPDATE SET count = count + excluded.count"
)
_LET_GO = f"DELETE FROM dead_letter WHERE {_TO_LET_GO}"  # noqa: S608 - a constant
_TAKE = (
    "SELECT sequence, id, type, body, attempt + 1, expires, channel, label, received FROM inbox"
    " WHERE open = 1 AND channel = ? AND sequence > ?{} ORDER BY sequence LIMIT ?"
)
_KEEP_CHANNEL = "INSERT OR REPLACE INTO channel (channel, app, remote_id, uri, expires) VALUES (?, ?, ?, ?, ?)"
_REMEMBER_CHANNEL = (
    "INSERT OR REPLACE INTO former_channel (channel, app) SELECT channel, app FROM channel WHERE channel = ?"
)
_FORGET_CHANNELS = "DELETE FROM former_channel WHERE number <= (SELECT max(number) FROM former_channel) - ?"
_TAKEN = "UPDATE inbox SET attempt = attempt + 1 WHERE open = 1 AND channel = ? AND sequence BETWEEN ? AND ?{}"
_USAGE = "SELECT day, app, network, sent, received FROM usage WHERE day BETWEEN ? AND ?"
_KEEP_USAGE = "INSERT OR REPLACE INTO usage (day, app, network, sent, received) VALUES (?, ?, ?, ?, ?)"
_LAST = (
    "SELECT max(coalesce((SELECT max(sequence) FROM inbox), 0), coalesce((SELECT max(sequence) FROM dead_letter), 0),"
    " coalesce((SELECT max(last) FROM remembered), 0))"
)
_WAITING = "SELECT sequence, id FROM inbox ORDER BY sequence DESC LIMIT ?"
_OPEN_CHANNELS = "SELECT DISTINCT channel FROM inbox WHERE open = 1 UNION SELECT channel FROM inbox WHERE open > 1"
_WAITING_IN = (  # each half reads an index alone
    "SELECT channel, sum(waiting) FROM (SELECT channel, count(*) AS waiting FROM inbox WHERE open = 1 GROUP BY channel"
    " UNION ALL SELECT channel, count(*) FROM inbox WHERE open > 1 GROUP BY channel) GROUP BY channel"
)
_CHANNEL_OF = "SELECT channel FROM inbox WHERE sequence = ? AND open"
_OPEN_SEQUENCES = (
    "SELECT sequence FROM inbox WHERE open = 1 AND channel = ?"
    " UNION ALL SELECT sequence FROM inbox WHERE open > 1 AND channel = ?"
)


def _of_types(types: frozenset[str]) -> str:
    """Return the condition that a payload is of one of these types; for the index, without raw ones where none is wanted."""
    wanted = ", ".join(f"'{kind.value}'" for kind in NotificationType if kind in types)
    return f" AND type IN ({wanted})" + ("" if NotificationType.RAW in types else " AND type <> 'raw'")


class SqliteStore:
    """Keeps what :class:`tocsin.persistence.store.Store` promises in one database file."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def watch(self, on_fault: Callable[[str | None], None]) -> None:
        """Call this with a sentence when nothing can be written any more, and with None when it can again."""
        self._database.watch(on_fault)

    async def value(self, key: str) -> str | None:
        """Return a setting."""
        rows = await self._database.read("SELECT value FROM setting WHERE key = ?", (key,))
        return rows[0][0] if rows else None

    async def keep_value(self, key: str, value: str) -> None:
        """Keep a setting."""
        await self._database.write(("INSERT OR REPLACE INTO setting (key, value) VALUES (?, ?)", [(key, value)]))

    async def channels(self) -> list[StoredChannel]:
        """Return all channels."""
        rows = await self._database.read("SELECT channel, app, remote_id, uri, expires FROM channel")
        return [StoredChannel(*row) for row in rows]

    async def keep_channel(self, channel: StoredChannel) -> None:
        """Add or replace a channel."""
        row = (channel.channel, channel.app, channel.remote_id, channel.uri, channel.expires)
        await self._database.write((_KEEP_CHANNEL, [row]))

    async def drop_channels(self, channels: Sequence[str]) -> None:
        """Forget channels, but for some time not whose they were."""
        rows = [(channel,) for channel in channels]
        await self._database.write(
            (_REMEMBER_CHANNEL, rows),
            ("DELETE FROM channel WHERE channel = ?", rows),
            (_FORGET_CHANNELS, [(FORMER_CHANNELS,)]),
        )

    async def inbox(self) -> InboxSummary:
        """Look at the inbox, on start; sequence numbers go on behind those of the dead letters too."""
        ((last,),) = await self._database.read(_LAST)
        texts = await self._database.read("SELECT ids FROM remembered")
        waiting = await self._database.read(_WAITING, (REMEMBERED,))
        channels = await self._database.read(_OPEN_CHANNELS)
        recent = remembered_ids((text for (text,) in texts), waiting)
        return InboxSummary(last, recent, tuple(channel for (channel,) in channels))

    async def requests(self) -> list[StoredRequest]:
        """Return the channel requests that wait for their next attempt."""
        rows = await self._database.read("SELECT app, remote_id, failures, hresult, text, due, planned FROM request")
        return [StoredRequest(*row) for row in rows]

    async def keep_request(self, request: StoredRequest) -> None:
        """Add or replace the request of an app."""
        await self._database.write((_KEEP_REQUEST, [astuple(request)]))

    async def drop_request(self, app: str, remote_id: str) -> None:
        """Forget the request of an app."""
        await self._database.write(("DELETE FROM request WHERE app = ? AND remote_id = ?", [(app, remote_id)]))

    async def activators(self) -> list[StoredActivator]:
        """Return all activators."""
        rows = await self._database.read(
            "SELECT app, activator, clsid, conditions, cancel_on_condition_loss, command FROM activator"
        )
        return [
            StoredActivator(app, activator, clsid, tuple(map(int, conditions.split())), bool(cancel), command)
            for app, activator, clsid, conditions, cancel, command in rows
        ]

    async def keep_activator(self, activator: StoredActivator) -> None:
        """Add or replace an activator of an app."""
        conditions = " ".join(map(str, map(int, activator.conditions)))
        cancel = activator.cancel_on_condition_loss
        row = (activator.app, activator.activator, activator.clsid, conditions, cancel, activator.command)
        await self._database.write((_KEEP_ACTIVATOR, [row]))

    async def drop_activator(self, app: str, activator: int) -> None:
        """Forget an activator of an app."""
        await self._database.write(("DELETE FROM activator WHERE app = ? AND activator = ?", [(app, activator)]))

    def commit(self, changes: Changes) -> Awaitable[None]:
        """Change the inbox in one transaction."""
        return self._database.begin_write(*statements_of(changes))

    async def release(self, *, parked: bool) -> None:
        """Let all payloads that are held, or also those that are parked, be taken again."""
        least = PARKED if parked else HELD
        release = "UPDATE inbox SET open = ? WHERE open > 1 AND open >= ?"
        await self._database.write((release, [(MAY_BE_TAKEN, least)]))

    async def dead_letters(self, limit: int, *, app: str | None = None, reason: str | None = None) -> list[DeadLetter]:
        """Return the newest dead payloads, the newest first; of one app, or that died of one reason, where it is given."""
        if app is None and reason is None:
            return [DeadLetter(*row) for row in await self._database.read(_DEAD_LETTERS, (limit,))]
        wanted, values = [_OF_ANY_REASON if reason is None else _OF_REASON], [] if reason is None else [reason]
        if app is not None:
            wanted.append(_OF_APP if app else _OF_NO_APP)
            values += [app, app] if app else []
        sql = _SOME_DEAD_LETTERS.format(" AND ".join(wanted))
        return [DeadLetter(*row) for row in await self._database.read(sql, (*values, limit))]

    async def dead_letter(self, id_: str) -> DeadLetter | None:
        """Return the dead payload with an id, of several the newest; None where there is none."""
        rows = await self._database.read(_DEAD_LETTER, (id_,))
        return DeadLetter(*rows[0]) if rows else None

    async def dead_letter_ids(self, beginning: str, limit: int) -> list[str]:
        """Return the first ids of dead payloads that begin so, in order, each once."""
        rows = await self._database.read(_DEAD_LETTER_IDS, (beginning, beginning + _BEHIND_ALL, limit))
        return [id_ for (id_,) in rows]

    async def dead_letter_counts(self) -> dict[str, int]:
        """Return how many payloads have died of each reason, those that are not kept any more included."""
        return dict(await self._database.read(_DEAD_LETTER_COUNTS))

    async def deaths(self, reason: DropReason) -> dict[str, Deaths]:
        """Return of each app how many of its payloads have died of a reason, of those that are kept, and when the last did."""
        rows = await self._database.read(_DEATHS_BY_APP, (reason,))
        return {app: Deaths(count, last) for app, count, last in rows}

    async def prune_dead_letters(self, keep: int, before: float) -> int:
        """Let go of all dead payloads but the newest, and of those from before that time; return how many they were."""
        ((count,),) = await self._database.read(_COUNT_TO_LET_GO, (before, keep))
        if count:  # else a start would cost a commit
            await self._database.write((_ADD_LET_GO, [(before, keep)]), (_LET_GO, [(before, keep)]))
        return int(count)

    async def fetch(
        self, channel: str, after: int, limit: int, types: frozenset[str] | None = None
    ) -> list[PayloadRow]:
        """Return the next open payloads of a channel in order, each with its ``attempt`` raised by one."""
        only = "" if types is None else _of_types(types)
        rows = await self._database.read(_TAKE.format(only), (channel, after, limit))
        payloads = [PayloadRow._make(row) for row in rows]
        if payloads:
            taken = (channel, payloads[0].sequence, payloads[-1].sequence)
            await self._database.write((_TAKEN.format(only), [taken]))
        return payloads

    async def channels_of(self, sequences: Sequence[int]) -> dict[int, str]:
        """Return the channel of each of these payloads that is open."""
        found = [await self._database.read(_CHANNEL_OF, (sequence,)) for sequence in sequences]
        return {sequence: rows[0][0] for sequence, rows in zip(sequences, found, strict=True) if rows}

    async def waiting(self) -> dict[str, int]:
        """Return how many payloads wait in each channel that has some."""
        return dict(await self._database.read(_WAITING_IN))

    async def open_sequences(self, channel: str) -> list[int]:
        """Return the sequence numbers of all open payloads of a channel."""
        rows = await self._database.read(_OPEN_SEQUENCES, (channel, channel))
        return [sequence for (sequence,) in rows]

    async def usage(self, first: int, last: int, app: str | None = None) -> list[UsageRow]:
        """Return what was sent and received from one day to another, both included; of one app where it is given."""
        sql, of_app = (_USAGE, ()) if app is None else (f"{_USAGE} AND app = ?", (app,))
        rows = await self._database.read(sql, (first, last, *of_app))
        return [UsageRow(day, of, NetworkKind(network), sent, received) for day, of, network, sent, received in rows]

    async def keep_usage(self, rows: Sequence[UsageRow], oldest: int) -> None:
        """Add rows, or replace those of the same day, app and network, and forget all days before the oldest."""
        kept = [(row.day, row.app, row.network.value, row.sent, row.received) for row in rows]
        await self._database.write((_KEEP_USAGE, kept), ("DELETE FROM usage WHERE day < ?", [(oldest,)]))

    async def drop_usage(self, app: str) -> None:
        """Forget what an app has sent and received."""
        await self._database.write(("DELETE FROM usage WHERE app = ?", [(app,)]))


@asynccontextmanager
async def open_sqlite(path: Path) -> AsyncIterator[SqliteStore]:
    """Open the store in a file, or make it.

    :raises StateUnavailable: it cannot be used; see :func:`tocsin.persistence.database.open_database`.
    """
    async with open_database(path, MIGRATIONS) as database:
        yield SqliteStore(database)


@asynccontextmanager
async def read_sqlite(path: Path) -> AsyncIterator[SqliteStore]:
    """Look into a store that is there, also while another process uses it.

    :raises StateUnavailable: it cannot be read; see :func:`tocsin.persistence.database.read_database`.
    """
    async with read_database(path, len(MIGRATIONS)) as database:
        yield SqliteStore(database)
