"""The schema in a PostgreSQL database: its version, and the steps to the newest one, each in a transaction."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from tocsin.persistence.postgres_connection import SCHEMA
from tocsin.persistence.postgres_statements import Link
from tocsin.protocol.errors import StateUnavailable

_LOCK: Final = 0x544F4353
"""The advisory lock that the nodes that start at once take by turns: "TOCS"."""

_WAIT: Final = "60s"
"""How long a step waits for another process that takes it, or that uses a table."""

OURS: Final = "The tables of Tocsin"
"""The comment on the schema, by which it is known from another program's of that name."""

_LOOK: Final = f"""SELECT to_regnamespace('{SCHEMA}') IS NOT NULL,
    obj_description(to_regnamespace('{SCHEMA}'), 'pg_namespace'),
    EXISTS (SELECT FROM pg_class WHERE relnamespace = to_regnamespace('{SCHEMA}'))"""  # noqa: S608 - a constant


async def version_of(link: Link, name: str, newest: int) -> int:
    """Return the version of the schema, 0 where there is none, having changed nothing.

    :raises StateUnavailable: it is another program's, or of a newer version.
    """
    is_there, comment, is_used = await link.fetchrow(_LOOK)  # type: ignore[misc]  # it always has a row
    if not is_there or (comment != OURS and not is_used):
        return 0
    if comment != OURS:
        raise StateUnavailable(f"{name} has a schema {SCHEMA} of another program; give another database")
    version = int(await link.fetchval(f"SELECT version FROM {SCHEMA}.schema_version"))  # noqa: S608 - a constant
    if version > newest:
        raise StateUnavailable(
            f"{name} was written by a newer Tocsin (schema {version}, this one knows {newest}); upgrade Tocsin"
        )
    return version


async def migrate(link: Link, name: str, migrations: Sequence[Sequence[str]]) -> None:
    """Bring the schema to the newest version; of several processes that do so at once each step is done by one.

    :param migrations: for each version, in order, the statements that lead to it.
    :raises StateUnavailable: the schema is another program's, or of a newer version.
    """
    version = await version_of(link, name, len(migrations))
    while version < len(migrations):
        async with link.transaction():
            await link.execute(f"SET LOCAL lock_timeout = '{_WAIT}'")
            await link.execute(f"SELECT pg_advisory_xact_lock({_LOCK})")
            version = await version_of(link, name, len(migrations))
            if version < len(migrations):
                await _take_step(link, version, migrations[version])
                version += 1


async def _take_step(link: Link, version: int, statements: Sequence[str]) -> None:
    if version == 0:
        await link.execute(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}")
        await link.execute(f"COMMENT ON SCHEMA {SCHEMA} IS '{OURS}'")
        await link.execute(f"CREATE TABLE {SCHEMA}.schema_version (version integer NOT NULL)")
        await link.execute(f"INSERT INTO {SCHEMA}.schema_version VALUES (0)")  # noqa: S608 - a constant
    for statement in statements:
        await link.execute(statement)
    await link.execute(f"UPDATE {SCHEMA}.schema_version SET version = {version + 1}")  # noqa: S608 - a constant
