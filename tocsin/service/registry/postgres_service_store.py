"""The service's store in PostgreSQL: the only module of the service that names it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Final

from anyio.abc import TaskGroup
from attrs import asdict, astuple

from tocsin.persistence.postgres_database import PostgresDatabase, open_postgres, read_postgres
from tocsin.persistence.postgres_statements import ArrayStatement, Link, Statement, touching
from tocsin.persistence.postgres_text import from_kept
from tocsin.protocol.platform.unwanted import Unwanted
from tocsin.protocol.service.nodes.lease import LeaseTerms
from tocsin.protocol.service.offline_queue import Entry
from tocsin.protocol.values import NotificationType
from tocsin.protocol.webpush.sender import WEB_PUSH
from tocsin.service.registry.gathered_reads import PAUSE, GatheredReads
from tocsin.service.registry.node_store import NodeStore
from tocsin.service.registry.postgres_change_feed import PostgresChangeFeed
from tocsin.service.registry.postgres_hub_store import PostgresHubStore
from tocsin.service.registry.postgres_node_store import PostgresNodeStore, open_postgres_nodes
from tocsin.service.registry.postgres_tables import ENTRY, ENTRY_KINDS, MIGRATIONS, arrays
from tocsin.service.registry.service_rows import channel_of_row, entry_of_row, entry_to_row, unwanted_of_text
from tocsin.service.registry.service_store import NO_APPS, PATIENCE, SEARCHED, AppRow, ChannelRow, KeptApps, SecretRow
from tocsin.tasks import task_group

_ADD_STORED: Final = f"INSERT INTO stored ({ENTRY}, device, body) SELECT * FROM unnest({arrays(1, *ENTRY_KINDS, 'text', 'bytea')}) WHERE true"  # noqa: S608 - constants
_EXPIRED: Final = "expires IS NOT NULL AND expires <= $1 AND ends > $1"
_ENDED: Final = "ends <= $1 OR channel NOT IN (SELECT name FROM channels WHERE NOT revoked)"
_SUBSCRIPTION: Final = f"starts_with(client_id, '{WEB_PUSH}')"
_SUBSCRIPTIONS: Final = f"device = $1 AND NOT revoked AND expires > $2 AND {_SUBSCRIPTION}"
_ORPHANED: Final = (
    f"NOT revoked AND expires > $1 AND client_id NOT IN (SELECT client_id FROM apps) AND NOT {_SUBSCRIPTION}"  # noqa: S608 - constants
)
_APPS: Final = "SELECT client_id, name, remote_id, family FROM apps"
_SECRETS: Final = "SELECT hash, client_id, created, expires FROM secrets"
_CHANNEL: Final = "hash, name, client_id, app, device, expires, revoked"
_WITHOUT_CHANNELS: Final = (
    "NOT EXISTS (SELECT FROM channels c WHERE c.device = u.device)"
    " AND NOT EXISTS (SELECT FROM devices d WHERE d.device = u.device AND d.lease IS NOT NULL)"
)
_COUNT_BY_APP: Final = (
    "SELECT a.name, count(c.hash), count(DISTINCT c.device) FROM apps a LEFT JOIN channels c"
    " ON c.client_id = a.client_id AND NOT c.revoked AND c.expires > $1 GROUP BY a.client_id ORDER BY a.name"
)


class PostgresServiceStore:
    """Keeps in a PostgreSQL database what :class:`tocsin.service.registry.service_store.ServiceStore` promises."""

    nodes: NodeStore
    """What nodes share."""

    def __init__(self, database: PostgresDatabase, url: str) -> None:
        self._database = database
        self._read = database.read
        self._by_device = GatheredReads(self._stored_for)
        self._bodies = GatheredReads(self._bodies_of, PAUSE)
        self.hubs = PostgresHubStore(database)
        """What is kept of notification hubs."""
        self.changes = PostgresChangeFeed(database, url)
        """What other nodes have changed."""
        self.durations = database.durations
        """How long what the store is asked takes."""
        self._fault_of_nodes: Callable[[], str | None] = lambda: None

    def start(self, tasks: TaskGroup) -> None:
        """Begin to read what is asked for by many."""
        tasks.start_soon(self._by_device.serve, name="reader of what is stored")
        tasks.start_soon(self._bodies.serve, name="reader of bodies")

    @property
    def fault(self) -> str | None:
        """Why nothing can be written just now, as a sentence; None while all is well."""
        return self._database.fault or self._fault_of_nodes()

    def share(self, nodes: PostgresNodeStore) -> None:
        """Take over what nodes share."""
        self.nodes = nodes
        self.durations |= nodes.durations
        self._fault_of_nodes = lambda: nodes.fault

    async def time(self) -> float:
        """Return what time it is at the database, in seconds since the epoch."""
        return float((await self._read("SELECT extract(epoch FROM clock_timestamp())::double precision"))[0][0])

    async def meta(self, key: str) -> bytes | None:
        """Return a value of the service's own."""
        rows = await self._read("SELECT value FROM meta WHERE key = $1", key)
        return rows[0][0] if rows else None

    async def set_meta(self, key: str, value: bytes) -> None:
        """Keep a value of the service's own."""
        sql = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO UPDATE SET value = excluded.value"
        await self._database.write(Statement(sql, [(key, value)]))

    async def meta_or_set(self, key: str, value: bytes) -> bytes:
        """Return a value of the service's own, having kept this one where there was none."""
        sql = "INSERT INTO meta (key, value) VALUES ($1, $2) ON CONFLICT (key) DO NOTHING"
        await self._database.write(Statement(sql, [(key, value)]))
        kept: bytes = (await self._read("SELECT value FROM meta WHERE key = $1", key))[0][0]
        return kept

    async def apps(self) -> list[AppRow]:
        """Return all registered apps."""
        return [AppRow(*row) for row in await self._read(f"{_APPS} ORDER BY name")]

    async def secrets(self) -> list[SecretRow]:
        """Return all secrets, the oldest first."""
        rows = await self._read(f"{_SECRETS} ORDER BY created, expires IS NULL")
        return [SecretRow(*row) for row in rows]

    async def save_app(self, app: AppRow, secrets: Sequence[SecretRow], was: KeptApps = NO_APPS) -> None:
        """Keep an app with these secrets, and no others; one of its name with another id is there by mistake."""
        other = [(app.name, app.client_id)]  # of a registration that failed, although it is on disk
        await self._database.write_where(
            partial(_are_kept, was),
            Statement(
                "DELETE FROM secrets WHERE client_id IN (SELECT client_id FROM apps WHERE name = $1 AND client_id <> $2)",
                other,
            ),
            Statement("DELETE FROM apps WHERE name = $1 AND client_id <> $2", other),
            Statement(
                """INSERT INTO apps (client_id, name, remote_id, family) VALUES ($1, $2, $3, $4)
                ON CONFLICT (client_id) DO UPDATE SET family = excluded.family""",
                [astuple(app)],
            ),
            Statement("DELETE FROM secrets WHERE client_id = $1", [(app.client_id,)]),
            Statement(
                "INSERT INTO secrets (hash, client_id, created, expires) VALUES ($1, $2, $3, $4)",
                [astuple(secret) for secret in secrets],
            ),
        )

    async def remove_app(self, client_id: str, was: KeptApps) -> None:
        """Forget an app with its secrets, and what is stored for its channels; these stay until they would have ended.

        So each of their devices can be told, whenever it is there.
        """
        gone = [(client_id,)]
        await self._database.write_where(
            partial(_are_kept, was),
            Statement("DELETE FROM stored WHERE channel IN (SELECT name FROM channels WHERE client_id = $1)", gone),
            Statement("DELETE FROM secrets WHERE client_id = $1", gone),
            Statement("DELETE FROM apps WHERE client_id = $1", gone),
        )

    async def channels(self, hashes: Sequence[bytes]) -> dict[bytes, ChannelRow]:
        """Return the channels whose tokens have these SHA-256s, ended ones included, by those."""
        channels = await self._channels("hash = ANY($1::bytea[])", list(hashes))
        return {channel.hash: channel for channel in channels}

    async def live_channels(self, device: str, app: str, now: float) -> list[ChannelRow]:
        """Return the channels of an app on a device that are neither revoked nor expired."""
        return await self._channels("device = $1 AND app = $2 AND NOT revoked AND expires > $3", device, app, now)

    async def subscriptions(self, device: str, now: float) -> list[ChannelRow]:
        """Return the push subscriptions of a device that are neither revoked nor expired."""
        return await self._channels(_SUBSCRIPTIONS, device, now)

    async def count_subscriptions(self, device: str, now: float) -> int:
        """Count them."""
        return int((await self._read(f"SELECT count(*) FROM channels WHERE {_SUBSCRIPTIONS}", device, now))[0][0])  # noqa: S608 - a constant

    async def prolong(self, channels: Sequence[ChannelRow], expires: float) -> None:
        """Put off the end of these channels."""
        hashes = [channel.hash for channel in channels]
        await self._database.write(
            Statement(
                "UPDATE channels SET expires = $2 WHERE hash = ANY($1::bytea[]) AND NOT revoked", [(hashes, expires)]
            )
        )

    async def newest_channels(self, now: float, limit: int) -> list[ChannelRow]:
        """Return so many of the channels of registered apps that are neither revoked nor expired, the newest first."""
        where = "NOT revoked AND expires > $1 AND client_id IN (SELECT client_id FROM apps)"
        return await self._channels(f"{where} ORDER BY expires DESC, name LIMIT $2", now, limit)

    async def find_channels(self, now: float, app: str, begins: str, limit: int) -> list[ChannelRow]:
        """Return so many of them that are of some app, device or name, the newest first; ``g`` follows all of their digits."""
        some = "(name >= $2 AND name < $2 || 'g' OR device >= $2 AND device < $2 || 'g')"
        which = some if begins else "$2 = '' ORDER BY expires DESC"
        sql = f"""SELECT {_CHANNEL} FROM (
                SELECT {_CHANNEL} FROM channels WHERE NOT revoked AND expires > $1 AND {which} LIMIT {SEARCHED}
            ) AS searched WHERE client_id IN (
                SELECT client_id FROM apps WHERE strpos(lower(name), lower($3 COLLATE "C")) > 0 OR $3 = ''
            ) ORDER BY expires DESC, name LIMIT $4"""  # noqa: S608 - constants
        return [channel_of_row(row) for row in await self._read(sql, now, begins, app, limit)]

    async def devices_of(self, client_id: str, now: float) -> set[str]:
        """Return the devices with channels of an app that are neither revoked nor expired."""
        return await self._devices("channels WHERE client_id = $1 AND NOT revoked AND expires > $2", client_id, now)

    async def orphaned_devices(self, now: float) -> set[str]:
        """Return the devices with channels of apps that were removed."""
        return await self._devices(f"channels WHERE {_ORPHANED}", now)

    async def orphans(self, device: str, now: float) -> list[str]:
        """Return the names of a device's channels of apps that were removed."""
        sql = f"SELECT name FROM channels WHERE device = $2 AND {_ORPHANED}"  # noqa: S608 - a constant
        return [name for (name,) in await self._read(sql, now, device)]

    async def add_channel(self, channel: ChannelRow, forget: Sequence[bytes] = ()) -> None:
        """Keep a new channel, and forget those with these hashes."""
        await self._database.write(
            Statement("DELETE FROM channels WHERE hash = ANY($1::bytea[])", [(list(forget),)] if forget else []),
            Statement(
                f"INSERT INTO channels ({_CHANNEL}) VALUES ($1, $2, $3, $4, $5, $6, $7)",  # noqa: S608 - a constant
                [astuple(channel)],
            ),
        )

    async def revoke(self, channels: Sequence[ChannelRow], now: float) -> None:
        """Mark these channels as revoked."""
        hashes = [channel.hash for channel in channels]
        text = "UPDATE channels SET revoked = true, expires = least(expires, $2) WHERE hash = ANY($1::bytea[])"
        await self._database.write(Statement(text, [(hashes, now)]))

    async def count_channels(self) -> tuple[int, int]:
        """Count the channels that are kept, ended ones included, and those of them that are push subscriptions."""
        sql = f"SELECT count(*), count(*) FILTER (WHERE {_SUBSCRIPTION}) FROM channels"  # noqa: S608 - a constant
        ((channels, subscriptions),) = await self._read(sql)
        return channels, subscriptions

    async def prune_channels(self, before: float) -> None:
        """Forget the channels that expired before that time."""
        await self._database.write(Statement("DELETE FROM channels WHERE expires < $1", [(before,)]))

    async def unwanted(self) -> dict[str, Unwanted]:
        """Return what devices do not want to be sent, by device."""
        rows = await self._read("SELECT device, what FROM unwanted")
        return {device: unwanted_of_text(what) for device, what in rows}

    async def unwanted_of(self, devices: Collection[str]) -> dict[str, Unwanted]:
        """Return what these devices do not want to be sent."""
        rows = await self._read("SELECT device, what FROM unwanted WHERE device = ANY($1::text[])", list(devices))
        return {device: unwanted_of_text(what) for device, what in rows}

    async def set_unwanted(self, device: str, unwanted: Unwanted | None) -> None:
        """Keep what a device does not want to be sent, or replace it."""
        await self._database.write(
            Statement("DELETE FROM unwanted WHERE device = $1", [(device,)]),
            Statement(
                "INSERT INTO unwanted (device, what) VALUES ($1, $2)",
                [] if unwanted is None else [(device, json.dumps(asdict(unwanted)))],
            ),
        )

    async def unwanting_without_channels(self) -> set[str]:
        """Return the devices that do not want something, and have no channel, not even one that has ended; none that is connected to a node."""
        return await self._devices(f"unwanted u WHERE {_WITHOUT_CHANNELS}")

    async def forget_unwanted(self, device: str) -> None:
        """Forget what a device does not want to be sent, that has no channel still."""
        sql = f"DELETE FROM unwanted u WHERE u.device = $1 AND {_WITHOUT_CHANNELS}"  # noqa: S608 - a constant
        await self._database.write_where(touching(sql, (device,)))

    async def add_stored(self, device: str, entry: Entry, body: bytes, erase: Sequence[int]) -> None:
        """Keep a notification for a device that is away, and erase those with these sequence numbers."""
        await self._database.write(
            _erasing(erase),
            ArrayStatement(_ADD_STORED, [(*entry_to_row(entry), device, body)], frozenset([entry.sequence])),
        )

    async def erase_stored(self, sequences: Sequence[int]) -> None:
        """Erase the notifications with these sequence numbers."""
        await self._database.write(_erasing(sequences))

    async def stored(self, device: str) -> list[Entry]:
        """Return what is stored for a device, the oldest first, without the bodies."""
        return (await self._by_device.get([device])).get(device, [])

    async def _stored_for(self, devices: Sequence[str]) -> dict[str, list[Entry]]:
        sql = f"SELECT device, {ENTRY} FROM stored WHERE device = ANY($1::text[]) ORDER BY sequence"  # noqa: S608 - a constant
        found: dict[str, list[Entry]] = {}
        for device, *row in await self._read(sql, list(devices)):
            found.setdefault(device, []).append(entry_of_row(row))
        return found

    async def stored_bodies(self, sequences: Sequence[int]) -> dict[int, bytes]:
        """Return the bodies of those of these notifications that are there."""
        return await self._bodies.get(sequences)

    async def _bodies_of(self, sequences: Sequence[int]) -> dict[int, bytes]:
        rows = await self._read("SELECT sequence, body FROM stored WHERE sequence = ANY($1::bigint[])", list(sequences))
        return {sequence: body for sequence, body in rows}  # noqa: C416 - the rows are not known to be pairs

    async def last_stored(self) -> int:
        """Return the highest sequence number in use."""
        return int((await self._read("SELECT coalesce(max(sequence), 0) FROM stored"))[0][0])

    async def count_stored(self) -> dict[str, int]:
        """Return the devices that something is stored for, and how much."""
        rows = await self._read("SELECT device, count(*) FROM stored GROUP BY device")
        return {device: count for device, count in rows}  # noqa: C416 - as above

    async def total_stored(self) -> tuple[int, int]:
        """Count the notifications that are stored, for all devices, and those of them that are messages of Web Push."""
        sql = "SELECT count(*), count(*) FILTER (WHERE type = $1) FROM stored"
        ((stored, messages),) = await self._read(sql, NotificationType.PUSH)
        return stored, messages

    async def devices_with_spent(self, now: float) -> set[str]:
        """Return the devices that something is stored for which has expired, or whose channel has ended."""
        return await self._devices("stored WHERE least(expires, ends) <= $1", now)

    async def count_ended(self, since: float, until: float) -> tuple[int, int]:
        """Count the channels, and the stored notifications, whose time was over after the one moment and by the other."""
        ((channels, stored),) = await self._read(
            """SELECT (SELECT count(*) FROM channels WHERE NOT revoked AND expires > $1 AND expires <= $2),
            (SELECT count(*) FROM stored WHERE least(expires, ends) > $1 AND least(expires, ends) <= $2)""",
            *(since, until),
        )
        return channels, stored

    async def prune_stored(self, now: float) -> tuple[int, int]:
        """Erase what has expired, and what belongs to channels that have ended; return how many there were of each."""
        spent = f"({_EXPIRED}) OR {_ENDED}"
        ((expired, both),) = await self._read(
            f"""SELECT (SELECT count(*) FROM stored WHERE {_EXPIRED}),
            (SELECT count(*) FROM stored WHERE {spent})""",  # noqa: S608 - constants
            now,
        )
        await self._database.write(Statement(f"DELETE FROM stored WHERE {spent}", [(now,)]))  # noqa: S608 - constants
        return expired, both - expired

    async def _channels(self, where: str, *parameters: Any) -> list[ChannelRow]:
        rows = await self._read(f"SELECT {_CHANNEL} FROM channels WHERE {where}", *parameters)  # noqa: S608 - constants
        return [channel_of_row(row) for row in rows]

    async def _devices(self, where: str, *parameters: Any) -> set[str]:
        rows = await self._read(f"SELECT DISTINCT device FROM {where}", *parameters)  # noqa: S608 - constants
        return {device for (device,) in rows}


async def _are_kept(was: KeptApps, link: Link) -> bool:
    """Tell whether the apps and secrets are those, and let none change them until the transaction has ended."""
    await link.execute("LOCK TABLE apps, secrets IN SHARE ROW EXCLUSIVE MODE")
    apps = frozenset(AppRow(*from_kept(row)) for row in await link.fetch(_APPS))
    return was == KeptApps(apps, frozenset(SecretRow(*from_kept(row)) for row in await link.fetch(_SECRETS)))


def _erasing(sequences: Sequence[int]) -> ArrayStatement:
    sql = "DELETE FROM stored WHERE sequence = ANY($1::bigint[])"
    return ArrayStatement(sql, [(sequence,) for sequence in sequences], frozenset(sequences))


@asynccontextmanager
async def open_postgres_store(
    url: str, patience: float = PATIENCE, lease: float = LeaseTerms().length
) -> AsyncIterator[PostgresServiceStore]:
    """Open the service's tables in a PostgreSQL database, or make them.

    :param url: ``postgresql://USER@HOST:PORT/DATABASE``; what it does not say is as with libpq.
    :param patience: seconds that reading or writing it takes at most.
    :param lease: seconds that a node's lease is good.
    :raises StateUnavailable: it cannot be used; the text says why, and shows no password.
    """
    async with open_postgres(url, MIGRATIONS, patience=patience) as database:
        store = PostgresServiceStore(database, url)
        async with open_postgres_nodes(url, patience, store.meta_or_set, lease) as nodes, task_group() as tasks:
            store.share(nodes)
            store.start(tasks)
            try:
                yield store
            finally:
                tasks.cancel_scope.cancel()


async def count_by_app(url: str, now: float) -> list[tuple[str, int, int]]:
    """Return each app of the store in a database with how many channels it has, and on how many devices.

    :raises StateUnavailable: the store cannot be read.
    """
    async with read_postgres(url, len(MIGRATIONS)) as link:
        return [from_kept(row) for row in await link.fetch(_COUNT_BY_APP, now)]
