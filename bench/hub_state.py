"""The state of a push service with a hub of many registrations.

It is put into the store before the service starts: so many requests over HTTP would take longer than the rest of the bench.
"""

from __future__ import annotations

import time
from pathlib import Path

from bench.device_channels import add_channels, token, write_each
from bench.load import APP
from tocsin.protocol.hub.descriptions import RegistrationDescription
from tocsin.protocol.hub.rights import Right
from tocsin.service.registry.apps import Apps
from tocsin.service.registry.hubs import Hubs
from tocsin.service.registry.sqlite_service_store import open_store

HUB = "bench"

EVERY = 10
"""Of so many registrations one is a device's that is there, and has the tag :data:`REACHED`."""

REACHED = "tenth:0"
EVERYONE = "news"

TEAM = 100
"""Registrations of a team, which is a tag."""


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
        await add_channels(store, registrations // EVERY, client_id)
        rows = (_registration(number, now) for number in range(registrations))
        await write_each(rows, lambda row: store.hubs.save_registration(hub.id, row))
    return keys.keys[Right.SEND]


def _registration(number: int, now: float) -> RegistrationDescription:
    """Make a registration; the tenth ones are for the channels of devices, and the others for some that are no more."""
    place, other = divmod(number, EVERY)
    uri = f"https://push.test/w/?token={f'gone-{number}' if other else token(place)}"
    tags = (EVERYONE, f"tenth:{other}", f"language:{number % 7}", f"os:{number % 3}", team(number // TEAM))
    return RegistrationDescription(f"{number}-{number}-1", uri, tags, expires=now + 30 * 86_400)
