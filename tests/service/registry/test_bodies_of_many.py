"""What very many devices that come back at once ask of the store."""

from __future__ import annotations

import asyncio

import anyio

from tests.persistence.postgres_server import PostgresServer
from tests.service.registry.test_postgres_node_store import beside, entry
from tocsin.service.registry.gathered_reads import MOST
from tocsin.service.registry.postgres_service_store import open_postgres_store
from tocsin.service.registry.service_store import ServiceStore

MANY = 3 * MOST


async def _store_many(store: ServiceStore) -> None:
    """Store a notification for each device."""
    await asyncio.gather(
        *(store.add_stored(f"device {number}", entry(number), b"%d" % number, ()) for number in range(1, MANY + 1))
    )


def _ask(store: ServiceStore) -> list[asyncio.Task[dict[int, bytes]]]:
    """Ask for each body by itself, as each device's connection does."""
    return [asyncio.create_task(store.stored_bodies([number])) for number in range(1, MANY + 1)]


async def test_each_has_what_it_asks_for(store: ServiceStore) -> None:
    """Bodies, and queues."""
    await _store_many(store)
    assert await asyncio.gather(*_ask(store)) == [{number: b"%d" % number} for number in range(1, MANY + 1)]
    queues = await asyncio.gather(*(store.stored(f"device {number}") for number in range(1, MANY + 1)))
    assert [[each.id for each in queue] for queue in queues] == [[f"id{number}"] for number in range(1, MANY + 1)]


async def test_bodies_of_many_devices_are_few_reads(postgres: PostgresServer) -> None:
    """PostgreSQL is asked as often as it takes at the most bodies of one read."""
    async with open_postgres_store(await postgres.emptied()) as store:
        await _store_many(store)
        before = sum(store.durations["read"].counts)
        await asyncio.gather(*_ask(store))
        assert sum(store.durations["read"].counts) == before + MANY / MOST


async def test_bodies_that_take_long_hold_up_nothing_else(postgres: PostgresServer) -> None:
    """What follows changes, and what senders ask, finds a connection; devices have their bodies when these can be read."""
    url = await postgres.emptied()
    async with open_postgres_store(url) as store, beside(url) as link:
        await _store_many(store)
        async with link.transaction():
            await link.execute("LOCK TABLE stored")
            asked = _ask(store)
            await asyncio.sleep(0)
            for _ in range(10):
                assert await store.meta("nothing") is None
            assert not any(each.done() for each in asked)
        with anyio.fail_after(5):
            bodies = await asyncio.gather(*asked)
        assert len({sequence for each in bodies for sequence in each}) == MANY
