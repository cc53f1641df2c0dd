"""The state of a push service with a hub of many registrations.

It is put into the store before the service starts: so many requests over HTTP would take longer than the rest of the bench.
"""

from __future__ import annotations

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Iterable
from itertools import islice
from pathlib import Path
from typing import TypeVar

from bench.load import APP, NEVER
from tocsin.protocol.hub.descriptions import RegistrationDescription
from tocsin.protocol.hub.rights import Right
from tocsin.service.registry.apps import Apps
from tocsin.service.registry.hubs import Hubs
from tocsin.service.registry.service_store import ChannelRow, hash_of
from tocsin.service.registry.sqlite_service_store import SqliteServiceStore, open_store

HUB = "bench"

EVERY = 10
"""Of so many registrations one is a device's that is there, and has the tag :data:`REACHED`."""

REACHED = "tenth:0"
EVERYONE = "news"

TEAM = 100
"""Registrations of a team, which is a tag."""

_AT_ONCE = 1_000  # rows that are written in one transaction
T = TypeVar("T")


def device_key(number: int) -> str:
    """Return the secret by which the service knows a device."""
    return f"device of the bench {number:012d}"


def token(number: int) -> str:
    """Return the token of a device's only channel."""
    return f"channel-of-the-bench-{number:012d}"


def team(number: int) -> str:
    """Return the tag of a team."""
    return f"team:{number}"


async def prefill(state: Path, registrations: int) -> str:
    """Make a state with so many registrations of five tags each, and return the key by which a sender signs."""
    now = time.time()
    async with open_store(state) as store:
        apps = await Apps.load(store, time.time)
        client_id = (await apps.register(APP)).client_id
        hubs = await Hubs.load(store.hubs, apps, time.time)
        keys = await hubs.add(HUB)
        hub = hubs.named(HUB)
        assert hub is not None
        await _each(range(registrations // EVERY), lambda number: _add_channel(store, number, client_id))
        rows = (_registration(number, now) for number in range(registrations))
        await _each(rows, lambda row: store.hubs.save_registration(hub.id, row))
    return keys.keys[Right.SEND]


async def _each(rows: Iterable[T], write: Callable[[T], Awaitable[None]]) -> None:
    left = iter(rows)
    while some := list(islice(left, _AT_ONCE)):
        await asyncio.gather(*map(write, some))


async def _add_channel(store: SqliteServiceStore, number: int, client_id: str) -> None:
    hashed = hash_of(token(number))
    device = hashlib.sha256(device_key(number).encode()).hexdigest()
    await store.add_channel(ChannelRow(hashed, hashed.hex()[:16], client_id, APP, device, NEVER, revoked=False))


def _registration(number: int, now: float) -> RegistrationDescription:
    """Make a registration; the tenth ones are for the channels of devices, and the others for some that are no more."""
    place, other = divmod(number, EVERY)
    uri = f"https://push.test/w/?token={f'gone-{number}' if other else token(place)}"
    tags = (EVERYONE, f"tenth:{other}", f"language:{number % 7}", f"os:{number % 3}", team(number // TEAM))
    return RegistrationDescription(f"{number}-{number}-1", uri, tags, expires=now + 30 * 86_400)
