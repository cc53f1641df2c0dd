"""What is kept of notification hubs, in the service's SQLite database."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Final

from attrs import astuple

from tocsin.persistence.sqlite_connection import Statement, touching
from tocsin.protocol.hub.descriptions import RegistrationDescription
from tocsin.protocol.kernel.changed_meanwhile import ChangedMeanwhile
from tocsin.service.registry.hub_rows import (
    channel_from_row,
    key_from_row,
    registration_from_row,
    registration_to_row,
)
from tocsin.service.registry.hub_store import (
    NO_HUBS,
    HubCounts,
    HubKeyRow,
    HubRow,
    InstallationRow,
    KeptHubs,
    TargetRow,
)
from tocsin.service.registry.sqlite_ended_channels import end_channels
from tocsin.service.registry.sqlite_hub_messages import SqliteHubMessages

_REGISTRATION: Final = (
    "r.sequence, r.id, r.etag, r.uri, r.tags, r.expires, r.template, r.variables, r.tile, r.installation"
)
_CHANNEL: Final = "c.hash, c.name, c.client_id, c.app, c.device, c.expires, c.revoked"
_TARGET: Final = (
    f"SELECT {_REGISTRATION}, {_CHANNEL} FROM hub_registrations r LEFT JOIN channels c ON c.hash = r.channel"
)
_WITH_TAG: Final = (
    "SELECT * FROM (SELECT sequence FROM hub_tags WHERE hub = ? AND tag = ? AND sequence > ? AND sequence <= ?"
    " ORDER BY sequence LIMIT ?)"
)
_NEW_REGISTRATION: Final = """INSERT INTO hub_registrations
    (hub, id, etag, channel, uri, tags, expires, template, variables, tile, installation)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11) ON CONFLICT (hub, id) DO"""
_SET_REGISTRATION: Final = """UPDATE SET etag = ?3, channel = ?4, uri = ?5, tags = ?6, expires = ?7, template = ?8, variables = ?9,
    tile = ?10, installation = ?11"""
_SAVE_PART: Final = f"{_NEW_REGISTRATION} {_SET_REGISTRATION}"
_CHANGE_REGISTRATION: Final = (
    f"{_SET_REGISTRATION.replace('UPDATE', 'UPDATE hub_registrations')} WHERE hub = ?1 AND id = ?2 AND etag = ?12"
)
_NEW_INSTALLATION: Final = """INSERT INTO hub_installations (hub, id, document, etag, expires) VALUES (?, ?, ?, ?, ?)
    ON CONFLICT (hub, id) DO UPDATE SET document = excluded.document, etag = excluded.etag, expires = excluded.expires
    WHERE hub_installations.expires <= ?"""
_SAME_INSTALLATION: Final = "hub = ?1 AND id = ?2 AND document = ?3 AND etag = ?4"
_CHANGE_INSTALLATION: Final = (
    f"UPDATE hub_installations SET document = ?5, etag = ?6, expires = ?7 WHERE {_SAME_INSTALLATION}"
)
_HUBS: Final = "SELECT id, name, client_id, created, endpoint FROM hubs"
_KEYS: Final = "SELECT hub, grants, key, created, expires FROM hub_keys"


def _forget_orphans(table: str) -> Statement:
    """Return what forgets the rows of hubs that are not there; it goes from hub to hub in an index, however many rows there are."""
    following = f"SELECT (SELECT min(hub) FROM {table} WHERE hub > had.hub) FROM had WHERE had.hub IS NOT NULL"
    having = f"WITH RECURSIVE had(hub) AS (SELECT min(hub) FROM {table} UNION ALL {following}) SELECT hub FROM had"
    return f"DELETE FROM {table} WHERE hub IN ({having} EXCEPT SELECT id FROM hubs)", [()]


def _are_kept(was: KeptHubs, cursor: sqlite3.Cursor) -> bool:
    """Tell whether the hubs and keys are those."""
    hubs = frozenset(HubRow(*row) for row in cursor.execute(_HUBS).fetchall())
    return was == KeptHubs(hubs, frozenset(map(key_from_row, cursor.execute(_KEYS).fetchall())))


def _is_gone(hub: int, cursor: sqlite3.Cursor) -> bool:
    """Tell whether a hub is not there; it never is again."""
    return not cursor.execute("SELECT 1 FROM hubs WHERE id = ?", (hub,)).fetchall()


def _removing(hub: int) -> Iterator[Statement]:
    """Return what forgets all that is kept for a hub, and the hub."""
    yield "DELETE FROM hub_retries WHERE message IN (SELECT id FROM hub_messages WHERE hub = ?)", [(hub,)]
    for table in ("hub_messages", "hub_tags", "hub_registrations", "hub_installations", "hub_keys"):
        yield f"DELETE FROM {table} WHERE hub = ?", [(hub,)]
    yield "DELETE FROM hubs WHERE id = ?", [(hub,)]


class SqliteHubStore(SqliteHubMessages):
    """Keeps what :class:`tocsin.service.registry.hub_store.HubStore` promises."""

    async def hubs(self) -> list[HubRow]:
        """Return all hubs, by name."""
        return [HubRow(*row) for row in await self._read(f"{_HUBS} ORDER BY name")]

    async def keys(self) -> list[HubKeyRow]:
        """Return the keys of all hubs, the oldest first."""
        return [key_from_row(row) for row in await self._read(f"{_KEYS} ORDER BY created, rowid")]

    async def save_hub(self, hub: HubRow, keys: Sequence[HubKeyRow], was: KeptHubs = NO_HUBS) -> None:
        """Keep a hub with these keys, and no others; another of its name goes."""
        await self._database.write_where(
            partial(_are_kept, was),
            (
                "INSERT OR REPLACE INTO hubs (id, name, client_id, created, endpoint) VALUES (?, ?, ?, ?, ?)",
                [astuple(hub)],
            ),
            ("DELETE FROM hub_keys WHERE hub = ? OR hub NOT IN (SELECT id FROM hubs)", [(hub.id,)]),
            (
                "INSERT INTO hub_keys (hub, grants, key, created, expires) VALUES (?, ?, ?, ?, ?)",
                [(each.hub, each.right.value, each.key, each.created, each.expires) for each in keys],
            ),
        )

    async def remove_hub(self, hub: int, was: KeptHubs) -> None:
        """Forget a hub with all that is kept for it."""
        await self._database.write_where(partial(_are_kept, was), *_removing(hub))

    async def forget_rest(self, hub: int) -> None:
        """Forget what is kept for a hub that is not there."""
        with suppress(ChangedMeanwhile):
            await self._database.write_where(partial(_is_gone, hub), *_removing(hub))

    async def counts(self, hub: int) -> HubCounts:
        """Count what is kept of a hub."""
        rows = await self._read(
            """SELECT (SELECT count(*) FROM hub_registrations WHERE hub = ? AND installation = ''),
            (SELECT count(*) FROM hub_registrations WHERE hub = ? AND installation <> ''),
            (SELECT count(*) FROM hub_installations WHERE hub = ?),
            (SELECT count(*) FROM hub_messages WHERE hub = ? AND ended IS NULL)""",
            (hub, hub, hub, hub),
        )
        return HubCounts(*rows[0])

    async def registration(self, hub: int, id: str) -> RegistrationDescription | None:  # noqa: A002 - the field's name
        """Return a registration, or None."""
        sql = f"SELECT {_REGISTRATION} FROM hub_registrations r WHERE r.hub = ? AND r.id = ?"
        rows = await self._read(sql, (hub, id))
        return registration_from_row(rows[0]) if rows else None

    async def save_registration(self, hub: int, registration: RegistrationDescription, was: int | None = None) -> None:
        """Keep a registration, in the place of the one with its id if there is one."""
        row = registration_to_row(hub, registration)
        if was is None:
            await self._database.write_where(touching(f"{_NEW_REGISTRATION} NOTHING", row))
        else:
            await self._database.write_where(touching(_CHANGE_REGISTRATION, (*row, was)))

    async def remove_registration(self, hub: int, id: str, was: int) -> None:  # noqa: A002 - the field's name
        """Forget a registration."""
        sql = "DELETE FROM hub_registrations WHERE hub = ? AND id = ? AND etag = ?"
        await self._database.write_where(touching(sql, (hub, id, was)))

    async def registrations(
        self, hub: int, after: int, limit: int, *, tag: str | None = None, channel: bytes | None = None
    ) -> list[tuple[int, RegistrationDescription]]:
        """Return registrations with their sequence numbers, in order, behind one of these."""
        where, parameters = "r.hub = ? AND r.sequence > ?", [hub, after]
        more: list[Any] = []
        if tag is not None:
            where += " AND r.sequence IN (SELECT sequence FROM hub_tags WHERE hub = ? AND tag = ? AND sequence > ?)"
            more += [hub, tag, after]
        if channel is not None:
            where += " AND r.channel = ?"
            more.append(channel)
        sql = f"SELECT {_REGISTRATION} FROM hub_registrations r WHERE {where} ORDER BY r.sequence LIMIT ?"
        rows = await self._read(sql, (*parameters, *more, limit))
        return [(row[0], registration_from_row(row)) for row in rows]

    async def installation(self, hub: int, id: str, now: float) -> tuple[str, int] | None:  # noqa: A002 - the field's name
        """Return an installation's document and its ETag; None where there is none that has not expired."""
        rows = await self._read(
            """SELECT document, etag FROM hub_installations
            WHERE hub = ? AND id = ? AND (expires IS NULL OR expires > ?)""",
            (hub, id, now),
        )
        return (rows[0][0], rows[0][1]) if rows else None

    async def save_installation(
        self,
        hub: int,
        installation: InstallationRow,
        parts: Sequence[RegistrationDescription],
        was: tuple[str, int] | None = None,
        now: float = 0.0,
    ) -> None:
        """Keep an installation with its parts, and no others of it."""
        id_, *columns = astuple(installation)
        if was is None:
            holds = touching(_NEW_INSTALLATION, (hub, id_, *columns, now))
        else:
            holds = touching(_CHANGE_INSTALLATION, (hub, id_, *was, *columns))
        await self._database.write_where(
            holds,
            (
                """DELETE FROM hub_registrations WHERE hub = ? AND installation = ?
                AND id NOT IN (SELECT value FROM json_each(?))""",
                [(hub, id_, json.dumps([part.id for part in parts]))],
            ),
            (_SAVE_PART, [registration_to_row(hub, part) for part in parts]),
        )

    async def remove_installation(self, hub: int, id: str, was: tuple[str, int]) -> None:  # noqa: A002 - the field's name
        """Forget an installation with its parts."""
        await self._database.write_where(
            touching(f"DELETE FROM hub_installations WHERE {_SAME_INSTALLATION}", (hub, id, *was)),
            ("DELETE FROM hub_registrations WHERE hub = ? AND installation = ?", [(hub, id)]),
        )

    async def last_sequence(self, hub: int) -> int:
        """Return the highest sequence number of a registration of a hub, or 0."""
        return int(
            (await self._read("SELECT coalesce(max(sequence), 0) FROM hub_registrations WHERE hub = ?", (hub,)))[0][0]
        )

    async def weights(self, hub: int, tags: Collection[str], limit: int) -> Mapping[str, int]:
        """Return how many registrations have each of these tags, ``limit`` at most."""
        sql = "SELECT count(*) FROM (SELECT 1 FROM hub_tags WHERE hub = ? AND tag = ? LIMIT ?)"
        return {tag: int((await self._read(sql, (hub, tag, limit)))[0][0]) for tag in tags}

    async def targets(
        self, hub: int, tags: Collection[str] | None, after: int, until: int, limit: int
    ) -> list[TargetRow]:
        """Return registrations that have one of these tags, in order, from behind one place to another."""
        if tags is None:
            where = "r.hub = ? AND r.sequence > ? AND r.sequence <= ? ORDER BY r.sequence LIMIT ?"
            return await self._targets(where, hub, after, until, limit)
        # The first of all are among the first of each.
        union = " UNION ".join([_WITH_TAG] * len(tags))
        of_each: list[Any] = [value for tag in tags for value in (hub, tag, after, until, limit)]
        where = f"r.sequence IN (SELECT sequence FROM ({union}) ORDER BY sequence LIMIT ?) ORDER BY r.sequence"
        return await self._targets(where, *of_each, limit)

    async def targets_at(self, hub: int, sequences: Sequence[int]) -> list[TargetRow]:
        """Return the registrations with these sequence numbers that are there."""
        where = "r.hub = ? AND r.sequence IN (SELECT value FROM json_each(?)) ORDER BY r.sequence"
        return await self._targets(where, hub, json.dumps(list(sequences)))

    async def forget_channels(self, channels: Sequence[bytes]) -> None:
        """Forget what names these channels: they have ended."""
        await self._write(
            *end_channels("d.channel = ?", channels),
            ("DELETE FROM hub_registrations WHERE channel = ?", [(channel,) for channel in channels]),
        )

    async def _targets(self, where: str, *parameters: Any) -> list[TargetRow]:
        rows = await self._read(f"{_TARGET} WHERE {where}", parameters)
        return [TargetRow(row[0], registration_from_row(row), channel_from_row(row[10:])) for row in rows]

    async def prune(self, now: float, before: float, keep: int) -> None:
        """Forget what has expired, what ended before that moment or is beyond so many of a hub, and what no hub has."""
        over = "hub_installations WHERE expires IS NOT NULL AND expires <= ?"
        expired = "hub_registrations WHERE expires IS NOT NULL AND expires <= ?"
        await self._write(
            *(_forget_orphans(table) for table in ("hub_registrations", "hub_installations")),
            ("DELETE FROM hub_messages WHERE ended IS NULL AND hub NOT IN (SELECT id FROM hubs)", [()]),
            (f"DELETE FROM hub_registrations WHERE (hub, installation) IN (SELECT hub, id FROM {over})", [(now,)]),
            (f"DELETE FROM {over}", [(now,)]),
            *end_channels("d.expires IS NOT NULL AND d.expires <= ?", [now]),
            (f"DELETE FROM {expired}", [(now,)]),
            ("DELETE FROM hub_messages WHERE ended < ?", [(before,)]),
            (
                """DELETE FROM hub_messages WHERE id IN (SELECT id FROM (SELECT id, row_number() OVER (
                PARTITION BY hub ORDER BY ended DESC) AS place FROM hub_messages WHERE ended IS NOT NULL) WHERE place > ?)""",
                [(keep,)],
            ),
        )
