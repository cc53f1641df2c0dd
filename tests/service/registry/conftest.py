"""The stores that keep the promise on disk: what is tested of one is tested of all."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from anyio.from_thread import BlockingPortal
from attrs import frozen

from tests.persistence.postgres_server import PostgresServer
from tests.service.world import on_disk
from tocsin.service.registry.postgres_service_store import PostgresServiceStore, open_postgres_store
from tocsin.service.registry.sqlite_service_store import SqliteServiceStore, open_store

DurableStore = SqliteServiceStore | PostgresServiceStore
Opening = Callable[[], AbstractAsyncContextManager[DurableStore]]


Making = Callable[[ExitStack, BlockingPortal], Opening]
"""Makes an empty store for one example of Hypothesis, which is there until the stack is left."""


def making(engine: str, request: pytest.FixtureRequest) -> Making:
    """Return what makes stores of an engine."""
    return _in_folder if engine == "sqlite" else partial(_in_postgres, request.getfixturevalue("postgres"))


def _in_folder(stack: ExitStack, _: BlockingPortal) -> Opening:
    folder = Path(stack.enter_context(TemporaryDirectory()))
    return lambda: open_store(folder)


def _in_postgres(server: PostgresServer, _: ExitStack, portal: BlockingPortal) -> Opening:
    url = portal.call(server.emptied)
    return lambda: open_postgres_store(url)


@frozen(eq=False)
class Place:
    """Where a store is kept: what opens it, and what reads all that it holds, not by its own means."""

    open: Opening
    contents: Callable[[], Awaitable[bytes]]


@pytest.fixture(params=["sqlite", "postgres"])
async def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    """Return where a store is kept, which is empty at first."""

    async def of_folder() -> bytes:
        return on_disk(tmp_path)

    if request.param == "sqlite":
        return Place(lambda: open_store(tmp_path), of_folder)
    server: PostgresServer = request.getfixturevalue("postgres")
    url = await server.emptied()
    return Place(lambda: open_postgres_store(url), lambda: server.contents(url))


@pytest.fixture
def opening(place: Place) -> Opening:
    """Return what opens a store, the same one each time; it is empty at first."""
    return place.open


@pytest.fixture
async def store(opening: Opening) -> AsyncIterator[DurableStore]:
    """Open an empty store."""
    async with opening() as store:
        yield store
