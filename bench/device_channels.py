"""Devices of which each has one channel: their keys and tokens, put into the store before the service starts."""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Any, TypeVar

import asyncpg
import attrs

from bench.http_load import Target, wns_target
from bench.load import APP, NEVER
from tocsin.service.registry.apps import Apps
from tocsin.service.registry.postgres_service_store import open_postgres_store
from tocsin.service.registry.service_store import ChannelRow, hash_of
from tocsin.service.registry.sqlite_service_store import SqliteServiceStore, open_store

_AT_ONCE = 1_000  # rows that are written in one transaction
T = TypeVar("T")


def device_key(number: int) -> str:
    """Return the secret by which the service knows a device."""
    return f"device of the bench {number:012d}"


def token(number: int) -> str:
    """Return the token of a device's only channel."""
    return f"channel-of-the-bench-{number:012d}"


def targets(service: Mapping[str, Any], devices: int | Iterable[int], *, storable: bool = False) -> list[Target]:
    """Sign in as a sender, and return where the channel of each device is posted to.

    :param service: what ``bench.serving`` has told.
    :param devices: how many, or which.
    :param storable: whether what is posted may wait for its device; raw notifications may not by themselves.
    """
    base = f"{service['url']}/w/?token="
    headers = wns_target(base, service).headers | ({"X-WNS-Cache-Policy": "cache"} if storable else {})
    numbers = range(devices) if isinstance(devices, int) else devices
    return [Target(f"{base}{token(number)}", headers) for number in numbers]


async def prefill(state: Path, devices: int) -> None:
    """Make a state with an app and a channel of it for each device."""
    async with open_store(state) as store:
        apps = await Apps.load(store, time.time)
        await add_channels(store, devices, (await apps.register(APP)).client_id)


async def add_channels(store: SqliteServiceStore, devices: int, client_id: str) -> None:
    """Write a channel for each device."""
    await write_each(range(devices), lambda number: _add_channel(store, number, client_id))


async def prefill_engine(url: str, devices: int) -> None:
    """Make the same in a database."""
    async with open_postgres_store(url) as store:
        apps = await Apps.load(store, time.time)
        client_id = (await apps.register(APP)).client_id
    link = await asyncpg.connect(url)
    try:
        rows = (attrs.astuple(_channel(number, client_id)) for number in range(devices))
        await link.copy_records_to_table("channels", schema_name="tocsin", records=rows)
        await link.execute("VACUUM ANALYZE tocsin.channels")
        await link.execute("CHECKPOINT")
    finally:
        await link.close()


async def write_each(rows: Iterable[T], write: Callable[[T], Awaitable[None]]) -> None:
    """Write rows, many in one transaction."""
    left = iter(rows)
    while some := list(islice(left, _AT_ONCE)):
        await asyncio.gather(*map(write, some))


async def _add_channel(store: SqliteServiceStore, number: int, client_id: str) -> None:
    await store.add_channel(_channel(number, client_id))


def _channel(number: int, client_id: str) -> ChannelRow:
    hashed = hash_of(token(number))
    device = hashlib.sha256(device_key(number).encode()).hexdigest()
    return ChannelRow(hashed, hashed.hex()[:16], client_id, APP, device, NEVER, revoked=False)
