"""A PostgreSQL database as the target of a move: each batch comes in one transaction with the note that it has come."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any, Final

from tocsin.persistence.postgres_connection import SCHEMA
from tocsin.persistence.postgres_database import open_postgres
from tocsin.persistence.postgres_hold import holding
from tocsin.persistence.postgres_statements import Link
from tocsin.persistence.postgres_text import to_kept
from tocsin.persistence.postgres_words import in_words, name_of
from tocsin.protocol.errors import StateUnavailable
from tocsin.service.registry.moved_tables import MADE, TABLES, MovedTable, Reached, kept_rows
from tocsin.service.registry.postgres_node_sql import GOOD
from tocsin.service.registry.postgres_tables import BLOCKS_ABOVE_STORED, MIGRATIONS, NUMBERS_ABOVE_MESSAGES
from tocsin.service.registry.service_store import MOVE_KEY, PATIENCE, SERVICE_KEY

_EMPTY_IT: Final = f"to have it emptied: psql -c 'DROP SCHEMA {SCHEMA} CASCADE' URL"
_SERVING: Final = f"SELECT node FROM nodes WHERE {GOOD} ORDER BY node"
_META: Final = "SELECT value FROM meta WHERE key = $1"


class PostgresTarget:
    """What is written to a database; made by :func:`open_target`."""

    def __init__(self, link: Link, name: str) -> None:
        self.name = name
        """What the database is called in a sentence."""
        self._link = link
        self._kinds: dict[str, dict[str, str]] = {}

    async def begin(self, service: str) -> Reached | None:
        """Have the database be for a service, and return from where its rows are to come; None: all are there already.

        :raises StateUnavailable: it holds another service, or a part of one; it is not changed then.
        """
        async with self._link.transaction():
            kept, reached = [await self._link.fetchval(_META, key) for key in (SERVICE_KEY, MOVE_KEY)]
            if kept == service.encode():
                return None if reached is None else Reached.read(reached)
            if kept is not None or await self._is_used():
                what = "another service" if reached is None else "a part of a service whose move has not ended"
                raise StateUnavailable(f"{self.name} holds {what}: give an empty database, or, {_EMPTY_IT}")
            begun = [(SERVICE_KEY, service.encode()), (MOVE_KEY, Reached().to_bytes())]
            await self._link.executemany("INSERT INTO meta (key, value) VALUES ($1, $2)", begun)
        return Reached()

    async def _is_used(self) -> bool:
        for table in TABLES:
            if await self._link.fetchval(f"SELECT EXISTS (SELECT FROM {table.name})"):
                return True
        return False

    async def columns(self, table: str) -> list[str]:
        """Return the names of a table's columns."""
        rows = await self._link.fetch(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_schema = $1 AND table_name = $2",
            *(SCHEMA, table),
        )
        self._kinds[table] = dict(map(tuple, rows))
        return list(self._kinds[table])

    async def count(self, table: MovedTable) -> int:
        """Count the rows of a table that were moved."""
        return int(await self._link.fetchval(f"SELECT count(*) FROM {table.name} WHERE {kept_rows(table)}"))

    async def add(self, table: str, columns: Sequence[str], rows: Sequence[Sequence[Any]], reached: Reached) -> None:
        """Keep rows, and that the move has come so far."""
        kinds = self._kinds[table]
        converted = [
            _converted(kinds[name], list(column)) for name, column in zip(columns, zip(*rows, strict=True), strict=True)
        ]
        async with self._link.transaction():
            await self._link.copy_records_to_table(
                table, records=zip(*converted, strict=True), columns=list(columns), schema_name=SCHEMA
            )
            await self._link.execute("UPDATE meta SET value = $2 WHERE key = $1", MOVE_KEY, reached.to_bytes())

    async def end(self, last_registration: int) -> None:
        """Keep that all has come, so that nodes may use it.

        :param last_registration: the highest sequence number that a registration of a hub has ever had, or 0.
        """
        for table in (*TABLES, *MADE):
            await self._link.execute(f"ANALYZE {table.name}")
        async with self._link.transaction():
            if last_registration:
                sequence = "pg_get_serial_sequence('hub_registrations', 'sequence')"
                await self._link.execute(f"SELECT setval({sequence}, $1)", last_registration)
            await self._link.execute(NUMBERS_ABOVE_MESSAGES)
            await self._link.execute(BLOCKS_ABOVE_STORED)
            await self._link.execute("DELETE FROM meta WHERE key = $1", MOVE_KEY)


def _converted(kind: str, column: list[Any]) -> list[Any]:
    """Return the values of a column as PostgreSQL's driver takes them; SQLite has neither truth values nor their types."""
    if kind == "boolean":
        return [bool(value) for value in column]
    if kind == "double precision":
        return [None if value is None else float(value) for value in column]
    if kind == "text":
        kept: list[Any] = to_kept(column) if None not in column else [to_kept(value) for value in column]
        return kept
    return column


@asynccontextmanager
async def open_target(url: str) -> AsyncIterator[PostgresTarget]:
    """Make the tables of a service in a database where they are missing, and hold it for one move.

    :raises StateUnavailable: it cannot be used, or another process uses it; so is what goes wrong in the
        block told.
    """
    name = name_of(url)
    async with holding(url, alone=True) as link:
        async with open_postgres(url, MIGRATIONS, patience=PATIENCE):
            pass
        with in_words(name):
            if nodes := [row[0] for row in await link.fetch(_SERVING)]:
                raise StateUnavailable(f"{name} is served by {', '.join(nodes)}: end these nodes first")
            yield PostgresTarget(link, name)
