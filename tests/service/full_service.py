"""A service with something in all that it keeps, and what is seen of it in either engine."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import asyncpg
from attrs import asdict

from tocsin.protocol.hub.descriptions import BodyTemplate, RegistrationDescription
from tocsin.protocol.hub.message_life import Phase
from tocsin.protocol.hub.rights import Right
from tocsin.protocol.platform.unwanted import Unwanted
from tocsin.service.registry.hub_store import HubKeyRow, HubRow, InstallationRow, MessageRow, Retry
from tocsin.service.registry.moved_tables import MADE, TABLES
from tocsin.service.registry.service_store import AppRow, ChannelRow, SecretRow, hash_of
from tocsin.service.registry.sqlite_service_store import open_store

ODD = "odd \0 \x01 \U0001f514 ' text"
CHANNELS = 12
LAST_STORED = 5_000


async def fill(state: Path) -> None:
    """Keep something in every table, with what the engines keep in different ways."""
    async with open_store(state) as store:
        await store.set_meta("token_key", b"\0\1\2")
        await store.set_meta("port", b"4000")
        await store.set_meta("url", b"http://127.0.0.1:4000")
        app = AppRow("id", ODD, "remote", "family")
        await store.save_app(app, [SecretRow(b"old", "id", 1, 2.5), SecretRow(b"new", "id", 2, None)])
        for number in range(CHANNELS):
            uri_hash = hash_of(f"token{number}")
            row = ChannelRow(uri_hash, f"name{number}", "id", "app", f"device{number % 3}", 9e9, revoked=False)
            await store.add_channel(row)
            if number % 5 == 0:
                await store.revoke([row], 9e9)
        await store.set_unwanted("device1", Unwanted(everything=True))
        await _fill_hub(store)
    with closing(sqlite3.connect(state / "service.db")) as database:
        for number in range(1, 8):
            values: tuple[Any, ...] = (
                LAST_STORED - 7 + number,
                f"id{number}",
                f"name{number}",
                "app",
                "raw",
                ODD,
                "",
                number,
                number * 1.5,
            )
            values += (None if number % 2 else 8e9, 9e9, number % 2, f"device{number % 3}", b"\0body" * number)
            database.execute(
                "INSERT INTO stored (sequence, id, channel, app, type, tag, grp, priority, received, expires, ends, suppress,"
                " device, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            )
        database.commit()


async def _fill_hub(store: Any) -> None:
    hub = HubRow(7, "Hub", None, 1.0, "https://push.example")
    keys = [HubKeyRow(7, right, f"key of {right}", 1.0, None) for right in Right]
    await store.hubs.save_hub(hub, keys)
    for number in range(5):
        template = BodyTemplate("name", "<toast/>", (("x-wns-type", "wns/toast"),), ("a",)) if number % 2 else None
        uri = f"http://127.0.0.1:4000/w/?token=token{number}"
        await store.hubs.save_registration(
            7, RegistrationDescription(f"r{number}", uri, ("tag", f"tag{number}"), 1, None, template)
        )
    await store.hubs.remove_registration(7, "r4", 1)  # its number is not given again
    part = RegistrationDescription("part", "http://127.0.0.1:4000/w/?token=token1", ("tag",), 1, installation="i")
    await store.hubs.save_installation(7, InstallationRow("i", '{"pushChannel": "x"}', 3, 8e9), [part])
    message = MessageRow(1, "m", 7, Phase.SCHEDULED, "windows", "tag", (("a", "b"),), b"\0", 1.0, ("u",), 8e9)
    await store.hubs.add_message(message)
    await store.hubs.save_progress(message, [Retry("m", 3, 1, 5.0)], [], [])


async def rows_of(url: str) -> dict[str, list[tuple[Any, ...]]]:
    """Return what the database has."""
    link = await asyncpg.connect(url)
    try:
        return {
            table.name: [tuple(row) for row in await link.fetch(f"SELECT * FROM tocsin.{table.name} ORDER BY 1, 2")]  # noqa: S608  # ours
            for table in (*TABLES, *MADE)
        }
    finally:
        await link.close()


async def seen(store_: Any) -> list[Any]:
    """Return what a store tells."""
    hubs = store_.hubs
    devices = sorted(await store_.count_stored())
    entries = [await store_.stored(device) for device in devices]
    return [
        [await store_.meta(key) for key in ("token_key", "url", "time", "service")],
        await store_.apps(),
        await store_.secrets(),
        [await store_.channels([hash_of(f"token{number}")]) for number in range(CHANNELS)],
        await store_.unwanted(),
        [asdict(entry) for each in entries for entry in each],
        await store_.stored_bodies([entry.sequence for each in entries for entry in each]),
        await hubs.hubs(),
        await hubs.keys(),
        await hubs.registrations(7, 0, 100),
        await hubs.registrations(7, 0, 100, tag="tag"),
        await hubs.installation(7, "i", 1.0),
        await hubs.message(7, "m"),
        await hubs.due_retries(9.0, 9),
        await hubs.counts(7),
    ]


def but_service(rows: dict[str, list[tuple[Any, ...]]]) -> dict[str, list[tuple[Any, ...]]]:
    """Leave out what tells a service from others, and numbers that only tell an order."""
    return rows | {
        "meta": [row for row in rows["meta"] if row[0] != "service"],
        "hub_keys": [tuple(value for value in row if not isinstance(value, int)) for row in rows["hub_keys"]],
    }
