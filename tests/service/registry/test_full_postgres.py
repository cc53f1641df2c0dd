"""A PostgreSQL that cannot be written: the store says so for as long as that is so, also where nothing is written any more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import anyio
import anyio.lowlevel
import asyncpg
import pytest

from tests.helpers import PATIENCE
from tests.persistence.postgres_server import PostgresServer
from tests.service.registry.test_postgres_node_store import LONG, Node, entry
from tocsin.persistence import postgres_lanes
from tocsin.persistence.write_fault import WriteFault
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.kernel.durability import RecoveryPolicy
from tocsin.protocol.service.nodes.device_row import RowChange
from tocsin.protocol.service.nodes.lease_row import Joining
from tocsin.service.registry.node_store import QueueChange, Renewed
from tocsin.service.registry.postgres_service_store import PostgresServiceStore, open_postgres_store

pytestmark = pytest.mark.anyio

PASSING = ["53100", "53200", "53000", "58030", "25006"]
"""A full disk, no memory, no resources, an error of the disk, a copy that is read only."""
REFUSALS = ["23514", "22001", "22P02", "XX001"]
"""A value that the table does not allow, is too long, is of another kind; damaged rows, beside which others are sound."""


@asynccontextmanager
async def failing(server: PostgresServer, url: str, table: str, state: str, device: str = "%") -> AsyncIterator[None]:
    """Have new rows of some devices fail in a table; what is there may be changed and read."""
    name = urlsplit(url).path[1:]
    await server.execute(
        name,
        f"""CREATE FUNCTION tocsin.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            IF new.device LIKE '{device}' THEN RAISE 'planted' USING ERRCODE = '{state}'; END IF; RETURN new;
        END $$""",
    )
    try:
        await server.execute(
            name, f"CREATE TRIGGER fail BEFORE INSERT ON tocsin.{table} FOR EACH ROW EXECUTE FUNCTION tocsin.fail()"
        )
        yield
    finally:
        await server.execute(name, "DROP FUNCTION tocsin.fail() CASCADE")


@asynccontextmanager
async def opened(url: str, patience: float = 5) -> AsyncIterator[tuple[PostgresServiceStore, Node]]:
    """Open a store, and give it a lease."""
    async with open_postgres_store(url, patience, LONG) as store:
        joined = await store.nodes.join(Joining("n", "run", "address", "1"))
        assert isinstance(joined, Renewed)
        yield store, Node(store.nodes, joined.lease)


async def keep(node: Node, device: str) -> object:
    """Store one notification more for a device."""
    seen = await node.store.look(device)
    sequence = await node.sequence(max((each.sequence for each in seen.entries), default=0))
    change = QueueChange(((entry(sequence), b"body"),))
    return await node.store.change_queue(device, seen.row.version, change, node.number)


def told(store: PostgresServiceStore) -> str | None:
    """Return what the store says now."""
    return store.fault


async def until_sound(store: PostgresServiceStore) -> None:
    """Wait until there is no fault; nothing is written meanwhile."""
    with anyio.fail_after(PATIENCE):
        while store.fault is not None:
            await anyio.lowlevel.checkpoint()


@pytest.fixture
async def url(postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch) -> str:
    """Return an empty database, which is tried often."""
    often = RecoveryPolicy(first=0.01, longest=0.02)
    monkeypatch.setattr(postgres_lanes, "WriteFault", lambda trial: WriteFault(trial, None, often))
    return await postgres.emptied()


@pytest.mark.parametrize("table", ["stored", "devices"])
@pytest.mark.parametrize("state", PASSING)
async def test_it_is_told_while_nothing_can_be_stored(
    postgres: PostgresServer, url: str, table: str, state: str
) -> None:
    """From the first failure until there is room: whatever else works meanwhile, and though nothing is written in the end."""
    async with opened(url) as (store, node):
        assert isinstance(await keep(node, "there"), RowChange)
        async with failing(postgres, url, table, state):
            assert told(store) is None
            with pytest.raises(StateUnavailable) as failure:
                await keep(node, "new")
            said = str(failure.value)
            assert not failure.value.in_doubt
            assert told(store) == said
            tried = sum(store.durations["devices"].counts)
            while sum(store.durations["devices"].counts) < tried + 50:
                assert isinstance(
                    await node.store.connect("there", node.number), RowChange
                )  # what needs no room goes on
                await node.renew()
                assert len((await node.store.look("there")).entries) == 1
                await anyio.sleep(0.01)
                assert told(store) == said
        await until_sound(store)
        assert isinstance(await keep(node, "new"), RowChange)
        assert store.fault is None
        assert await store.count_stored() == {"there": 1, "new": 1}
    rows = await postgres.execute(urlsplit(url).path[1:], "SELECT device FROM tocsin.devices ORDER BY device")
    assert rows == [("new",), ("there",)]


@pytest.mark.parametrize("state", REFUSALS)
async def test_what_is_refused_by_itself_is_no_fault(postgres: PostgresServer, url: str, state: str) -> None:
    """Others are stored beside it."""
    async with opened(url) as (store, node), failing(postgres, url, "stored", state, "wrong"):
        with pytest.raises(StateUnavailable):
            await keep(node, "wrong")
        assert store.fault is None
        assert isinstance(await keep(node, "right"), RowChange)


async def test_tables_of_a_newer_tocsin_keep_no_fault(postgres: PostgresServer, url: str) -> None:
    """What is tried may be wrong there, and tells nothing then: the next failure does."""
    async with opened(url) as (store, node):
        async with failing(postgres, url, "stored", "53100", "new"):
            with pytest.raises(StateUnavailable):
                await keep(node, "new")
        async with failing(postgres, url, "stored", "23502"):
            await until_sound(store)


async def test_a_locked_table_is_told(url: str) -> None:
    """Leases go on, and nothing can be stored: senders wait in vain."""
    async with opened(url, patience=0.3) as (store, node):
        await node.sequence()
        seen = await node.store.look("d")
        change = QueueChange(((entry(5), b"body"),))
        link = await _locking(url)
        try:
            with pytest.raises(StateUnavailable, match="does not answer"):
                await node.store.change_queue("d", seen.row.version, change, node.number)
            with anyio.fail_after(PATIENCE):
                while store.fault is None:
                    await anyio.lowlevel.checkpoint()
            assert "does not answer" in store.fault
            await node.renew()
        finally:
            await link.close()
        await until_sound(store)


async def _locking(url: str) -> asyncpg.Connection[asyncpg.Record]:
    link = await asyncpg.connect(url)
    await link.execute("BEGIN; LOCK TABLE tocsin.stored")
    return link
