"""The engine that keeps a service's state: SQLite in the state folder, or a PostgreSQL database that nodes share.

What is a node's own, such as its port, stays in its folder.
"""

from __future__ import annotations

import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Protocol
from uuid import uuid4

import anyio
from anyio.lowlevel import checkpoint
from attrs import evolve, frozen

from tocsin.protocol.errors import NotSupported, StateUnavailable
from tocsin.protocol.text import harmless
from tocsin.service.registry import sqlite_service_store
from tocsin.service.registry.hub_store import EngineStore
from tocsin.service.registry.node_file import NODE_FILE, NodeFile, name_node, read_node, write_node
from tocsin.service.registry.service_store import MOVE_KEY, PATIENCE, PORT_KEY, SERVICE_KEY, URL_KEY, ServiceStore
from tocsin.service.registry.shared_store import SharedStore

logger = logging.getLogger(__name__)


class NodeMemory(Protocol):
    """What a node remembers for itself."""

    async def port(self) -> int | None:
        """Return the port of the last time, or None."""
        ...

    async def keep_port(self, port: int) -> None:
        """Remember the port."""
        ...


@frozen
class Engine:
    """A service's state, and what this node of it remembers for itself."""

    store: EngineStore
    node: NodeMemory
    shared: SharedStore | None = None
    """The same store, where other nodes may use it as well."""
    name: str = ""
    """That of this node among the others."""
    joined: Callable[[], Awaitable[None]] = checkpoint
    """To be called once the node has joined: until then no service can be moved into the database."""

    async def keep_url(self, url: str) -> None:
        """Keep what channel URIs begin with, for the commands; where other nodes have said another URL, say it in the log.

        :raises StateUnavailable: it could not be kept.
        """
        before = await self.store.meta_or_set(URL_KEY, url.encode())
        if before == url.encode():
            return
        await self.store.set_meta(URL_KEY, url.encode())
        if self.shared is not None:
            logger.warning(
                "channels lead to %s from now on, those from before to %s: both have to lead to this service, and all of its"
                " nodes to be given the same --public-url",
                *(harmless(url), harmless(before.decode())),
            )


@frozen
class _InStore:
    """The memory of a service that has one node, beside all else that it keeps."""

    _store: ServiceStore

    async def port(self) -> int | None:
        value = await self._store.meta(PORT_KEY)
        return None if value is None else int(value)

    async def keep_port(self, port: int) -> None:
        await self._store.set_meta(PORT_KEY, str(port).encode())


@frozen
class _InFolder:
    """The memory of a node whose service's state is elsewhere."""

    _state: Path
    _node: NodeFile

    async def port(self) -> int | None:
        return self._node.port

    async def keep_port(self, port: int) -> None:
        if port != self._node.port:
            await anyio.to_thread.run_sync(write_node, self._state, evolve(self._node, port=port))


@asynccontextmanager
async def open_engine(state: Path, url: str, patience: float = PATIENCE) -> AsyncIterator[Engine]:
    """Open the state of the service on a folder that the caller holds.

    :param url: of the database that keeps it; empty: the folder itself.
    :param patience: seconds that reading or writing it takes at most.
    :raises StateUnavailable: it cannot be used, or the other engine has the service of this folder; the text says why.
    :raises NotSupported: the driver of the database is not installed.
    """
    node = read_node(state)
    if not url:
        refuse_node(state, node)
        async with sqlite_service_store.open_store(state, patience) as store:
            yield Engine(store, _InStore(store))
        return
    if await sqlite_service_store.has_store(state) and (node is None or node.moving):
        raise StateUnavailable(
            f"the service in {state} keeps its state there: 'tocsin migrate --from {state} --to URL' moves it into a"
            " database, or give another --state"
        )
    async with AsyncExitStack() as held:
        shared = await held.enter_async_context(_open_postgres(url, patience))
        until_joined = await held.enter_async_context(AsyncExitStack())
        await until_joined.enter_async_context(_no_move(url, shared))
        node = await _joined(shared, state, node, engine_name(url))
        yield Engine(shared, _InFolder(state, node), shared, node.node, until_joined.aclose)


def refuse_node(state: Path, node: NodeFile | None) -> None:
    """Refuse to work on a folder as if it kept the service's state.

    :raises StateUnavailable: it does not; the text says what does.
    """
    if node is None:
        return
    if node.moving:
        raise StateUnavailable(
            f"the service in {state} is being moved into {node.engine}: run 'tocsin migrate --from {state} --to URL' once"
            f" more to end that, or 'tocsin migrate --undo --from {state}' to stay with what is there"
        )
    back = f"; 'tocsin migrate --undo --from {state}' goes back to what was there before the move"
    raise StateUnavailable(
        f"the state of the service in {state} is in {node.engine}: give --engine, or TOCSIN_ENGINE, with its URL"
        f"{back if (state / 'service.db').exists() else ''}"
    )


async def _joined(store: ServiceStore, state: Path, node: NodeFile | None, name: str) -> NodeFile:
    """Be a node of the service in a database, and have the folder know of which.

    :raises StateUnavailable: the folder is a node of another service.
    """
    kept = await store.meta(SERVICE_KEY)
    if node is not None and kept != node.service.encode():
        raise StateUnavailable(
            f"{state / NODE_FILE} is of a node of another service than that in {name}: give another --state, or the URL of"
            " the database with its own"
        )
    kept = kept or await store.meta_or_set(SERVICE_KEY, str(uuid4()).encode())
    named = node.node if node is not None and node.node else name_node(socket.gethostname())
    joined = NodeFile(kept.decode(), name, None if node is None else node.port, node=named)
    if joined != node:
        await anyio.to_thread.run_sync(write_node, state, joined)
    return joined


@asynccontextmanager
async def open_database(url: str, patience: float = PATIENCE) -> AsyncIterator[SharedStore]:
    """Open the state of a service in a database, beside the nodes that serve it.

    :raises StateUnavailable: it cannot be used, or a move into it has not ended; the text says why, and shows no password.
    :raises NotSupported: the driver of the database is not installed.
    """
    async with _open_postgres(url, patience) as store, _no_move(url, store):
        yield store


@asynccontextmanager
async def _open_postgres(url: str, patience: float) -> AsyncIterator[SharedStore]:
    try:
        from tocsin.service.registry.postgres_service_store import open_postgres_store  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as missing:
        raise without_driver(missing) from missing
    async with open_postgres_store(url, patience) as store:
        yield store


@asynccontextmanager
async def _no_move(url: str, store: ServiceStore) -> AsyncIterator[None]:
    """Let none begin to move a service there while the block runs.

    :raises StateUnavailable: one is being moved, or that has not ended.
    """
    from tocsin.persistence.postgres_hold import holding  # noqa: PLC0415  # an extra

    async with holding(url, alone=False):
        if await store.meta(MOVE_KEY) is not None:
            raise StateUnavailable(
                f"{engine_name(url)} has only a part of the service that is being moved into it: run 'tocsin migrate' once"
                " more, with the same folder"
            )
        yield


def engine_name(url: str) -> str:
    """Return what the database at a URL is called in a sentence."""
    from tocsin.persistence.postgres_words import name_of  # noqa: PLC0415  # an extra

    return name_of(url)


def without_driver(missing: ModuleNotFoundError) -> NotSupported:
    """Say that a package is missing without which no database can be reached."""
    return NotSupported(f"PostgreSQL needs the package {missing.name}: pip install 'tocsin[postgres]'")


async def count_by_app(place: str | Path, now: float) -> list[tuple[str, int, int]]:
    """Return each app of a service with how many channels it has, and on how many devices; it may run meanwhile.

    :param place: the state folder that keeps the service's state, or the URL of the database that does.
    :raises StateUnavailable: the state cannot be read.
    :raises NotSupported: the driver of the database is not installed.
    """
    if isinstance(place, Path):
        refuse_node(place, read_node(place))
        return await sqlite_service_store.count_by_app(place, now)
    try:
        from tocsin.service.registry import postgres_service_store  # noqa: PLC0415  # an extra
    except ModuleNotFoundError as missing:
        raise without_driver(missing) from missing
    return await postgres_service_store.count_by_app(place, now)
