"""Moving a service from its state folder into a database: all of it or, if that is interrupted, once more from where it was."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anyio
from attrs import evolve, frozen

from tocsin.protocol.errors import InvalidArgument, NotFound, StateUnavailable
from tocsin.service.engine import engine_name, without_driver
from tocsin.service.layer import Layer
from tocsin.service.registry.moved_tables import MADE, TABLES, MovedTable, Reached
from tocsin.service.registry.node_file import NodeFile, read_node, remove_node, write_node
from tocsin.service.registry.service_store import PORT_KEY, SERVICE_KEY, URL_KEY
from tocsin.service.registry.sqlite_service_store import has_store, open_store
from tocsin.service.registry.sqlite_source import SqliteSource, open_source

if TYPE_CHECKING:
    from tocsin.service.registry.postgres_target import PostgresTarget

Watch = Callable[[str, int, int], None]
"""Is told of a table, how many of its rows have come, and how many there are."""


@frozen
class Moved:
    """What a move has come to."""

    engine: str
    """What the database is called in a sentence."""
    url: str | None
    """Where clients reached the service, so that they have to reach it there; None where it has never run."""
    rows: Mapping[str, int]
    """How many rows each table has; none where all were there before."""


async def move_service(state: Path, url: str, watch: Watch) -> Moved:
    """Move the service of a state folder that the caller holds into a database, and have the folder be one of a node of it.

    Killed at any moment, it may be run again, and goes on from where it was. The service does not run meanwhile.

    :raises NotFound: the folder has no service's state.
    :raises InvalidArgument: the folder's service was moved to another database, or is on its way there.
    :raises StateUnavailable: the folder or the database cannot be used, or the database holds another service.
    :raises NotSupported: the driver of the database is not installed.
    """
    try:
        from tocsin.service.registry.postgres_target import open_target  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as missing:
        raise without_driver(missing) from missing
    Layer().check_folder(state)
    if not await has_store(state):
        raise NotFound(f"there is no push service's state in {state}; name its folder with --from")
    name, before = engine_name(url), read_node(state)
    if before is not None and before.engine != name:
        raise InvalidArgument(
            f"the service in {state} {'is being moved' if before.moving else 'was moved'} into {before.engine}, not {name};"
            f" 'tocsin migrate --undo --from {state}' goes back to what is there"
        )
    if before is not None and not before.moving:
        with open_source(state) as source:
            return Moved(name, source.meta(URL_KEY), {})
    async with open_store(state) as store:  # an older version's file is brought to this one, and its log into it
        service = (await store.meta_or_set(SERVICE_KEY, str(uuid4()).encode())).decode()
    with open_source(state) as source:
        async with open_target(url) as target:
            rows: dict[str, int] = {}
            reached = await target.begin(service)
            port = source.meta(PORT_KEY)
            node = before or NodeFile(service, name, None if port is None else int(port), moving=True)
            write_node(state, node)
            if reached is not None:
                rows = await _move(source, target, reached, watch)
                await target.end(source.last_registration())
        write_node(state, evolve(node, moving=False))
        return Moved(name, source.meta(URL_KEY), rows)


async def _move(source: SqliteSource, target: PostgresTarget, reached: Reached, watch: Watch) -> dict[str, int]:
    """Move what is left to move, see that all is there, and return how many rows each table has.

    :raises StateUnavailable: a table has more rows than came, or fewer.
    """
    names = [table.name for table in TABLES]
    for table in TABLES[names.index(reached.table) :]:
        after = reached.after if table.name == reached.table else ()
        await _move_table(source, target, table, after, watch)
    rows = {table.name: source.count(table) for table in (*TABLES, *MADE)}
    for table in (*TABLES, *MADE):
        there = await target.count(table)
        if there != rows[table.name]:
            raise StateUnavailable(
                f"{table.name} has {rows[table.name]:,} rows in the folder and {there:,} in {target.name}: give an empty"
                " database"
            )
    return rows


async def _move_table(
    source: SqliteSource, target: PostgresTarget, table: MovedTable, after: tuple[Any, ...], watch: Watch
) -> None:
    there = set(await target.columns(table.name))
    columns = [name for name in source.columns(table.name) if name in there]
    total, done = source.count(table), await target.count(table)
    watch(table.name, done, total)
    batches = source.batches(table, columns, after)
    while (batch := await anyio.to_thread.run_sync(next, batches, None)) is not None:
        await target.add(table.name, columns, batch.rows, Reached(table.name, batch.last))
        done += len(batch.rows)
        watch(table.name, done, total)


async def undo_move(state: Path) -> str:
    """Have a state folder that the caller holds be that of a service by itself again, as it was before it was moved.

    :return: what the database is called in a sentence; what was moved stays there.
    :raises InvalidArgument: no service was moved from there.
    :raises StateUnavailable: the folder cannot be used.
    """
    node = read_node(state)
    if node is None or not await has_store(state):
        raise InvalidArgument(f"no service was moved from {state}; name its folder with --from")
    async with open_store(state) as store:
        await store.set_meta(SERVICE_KEY, str(uuid4()).encode())  # what it becomes is no continuation of what was moved
    remove_node(state)
    return node.engine
