"""A service is moved from its folder into a database: whole, once, and however often that is interrupted."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientSession

from tests.persistence.postgres_server import PostgresServer
from tests.service.away import CACHE, store
from tests.service.full_service import CHANNELS, but_service, fill, rows_of, seen
from tests.service.world import KEY, World, dial, open_world
from tocsin.protocol.errors import InvalidArgument, NotFound, StateUnavailable
from tocsin.protocol.hub.descriptions import RegistrationDescription
from tocsin.service.moving import move_service, undo_move
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry import sqlite_source
from tocsin.service.registry.moved_tables import MADE, TABLES
from tocsin.service.registry.node_file import NODE_FILE, read_node
from tocsin.service.registry.postgres_service_store import open_postgres_store
from tocsin.service.registry.postgres_target import open_target
from tocsin.service.registry.service_store import MOVE_KEY
from tocsin.service.registry.sqlite_service_store import open_store
from tocsin.service.registry.sqlite_source import open_source
from tocsin.service.server import open_service


@pytest.fixture
async def url(postgres: PostgresServer) -> str:
    """Return the URL of an empty database."""
    return await postgres.emptied()


async def test_both_engines_have_the_same_tables(tmp_path: Path, url: str) -> None:
    """With the same columns, but for a number of PostgreSQL's own; and all of them are moved, or made of what is."""
    async with open_store(tmp_path):
        pass
    async with open_target(url) as target:
        with open_source(tmp_path) as source:
            there = {
                name for (name,) in source._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            }
            assert there - {table.name for table in (*TABLES, *MADE)} == {"commit_counter", "sqlite_sequence"}
            for table in (*TABLES, *MADE):
                columns = set(source.columns(table.name))
                assert set(await target.columns(table.name)) - columns == (
                    {"number"} if table.name == "hub_keys" else set()
                )
                assert not columns - set(await target.columns(table.name))


async def test_all_of_it_is_there(tmp_path: Path, url: str) -> None:
    """As the service reads it, in the one engine as in the other."""
    await fill(tmp_path)
    told: list[tuple[str, int, int]] = []
    moved = await move_service(tmp_path, url, lambda *each: told.append(each))
    assert (moved.rows["channels"], moved.rows["stored"], moved.url) == (CHANNELS, 7, "http://127.0.0.1:4000")
    assert [each for each in told if each[0] == "channels"] == [
        ("channels", 0, CHANNELS),
        ("channels", CHANNELS, CHANNELS),
    ]
    async with open_store(tmp_path) as before, open_postgres_store(url) as after:
        assert await seen(before) == await seen(after)
        assert await after.meta("port") is None  # it is the node's
        assert await after.meta(MOVE_KEY) is None
        for store_ in (before, after):
            await store_.hubs.save_registration(7, RegistrationDescription("new", "http://h/w/?token=t", (), 1))
        assert await before.hubs.last_sequence(7) == await after.hubs.last_sequence(7)
        assert await after.hubs.next_number() == await before.hubs.last_number() + 1
    node = read_node(tmp_path)
    assert node is not None
    assert (node.port, node.moving) == (4000, False)


async def test_a_sender_and_a_device_go_on(tmp_path: Path, url: str) -> None:
    """With the token, the channel and the key of before, and what was stored comes."""
    async with open_world(tmp_path) as before:
        await store(before, "for later", CACHE)
    await move_service(tmp_path, url, lambda *_: None)
    settings = ServiceSettings.private(engine=url, public_url=before.service.url)
    async with open_service(tmp_path, settings, now=before.clock) as service:
        assert service.port == before.service.port
        async with _with_http(before, service) as after:
            await store(after, "and this", CACHE)
            async with dial(service) as device:
                await device.greet(KEY)
                assert [(await device.acknowledge()).body for _ in range(2)] == [b"for later", b"and this"]
                known = await device.channel(after.app.remote_id, known_uri=after.uri)
                assert known.uri == after.uri


@asynccontextmanager
async def _with_http(before: World, service: Any) -> AsyncIterator[World]:
    async with ClientSession() as http:
        yield World(service, before.app, before.clock, http, before.token, before.uri)


async def test_it_may_be_interrupted_anywhere(
    tmp_path: Path, url: str, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Behind each step: once more it goes on, and in the end nothing is missing and nothing there twice."""
    monkeypatch.setattr(sqlite_source, "ROWS", 2)
    monkeypatch.setattr(sqlite_source, "_AT_ONCE", 1)
    await fill(tmp_path)
    steps = 0
    whole = await move_service(tmp_path, url, lambda *_: None)
    expected = await rows_of(url)

    class Interrupted(Exception):
        """The end of a process."""

    for stop in range(1, 200, 5):
        await undo_move(tmp_path)
        fresh = await postgres.emptied()
        steps = 0

        def step(*_: object, stop: int = stop) -> None:
            nonlocal steps
            steps += 1
            if steps == stop:
                raise Interrupted

        try:
            await move_service(tmp_path, fresh, step)
        except Interrupted:
            assert (await move_service(tmp_path, fresh, lambda *_: None)).rows == whole.rows
            assert but_service(await rows_of(fresh)) == but_service(expected)
        else:
            break
    assert stop > steps > 30


async def test_a_service_on_its_way_is_not_served(tmp_path: Path, url: str) -> None:
    """Neither from its folder, where it could change, nor from the database, where a part is missing."""
    await fill(tmp_path)

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await move_service(tmp_path, url, stop)
    with pytest.raises(StateUnavailable, match=r"is being moved into PostgreSQL.*once more to end that"):
        await _start(tmp_path)
    with pytest.raises(StateUnavailable, match="moves it into a database"):
        await _start(tmp_path, url)
    (tmp_path / "other").mkdir()
    with pytest.raises(StateUnavailable, match="has only a part of the service"):
        await _start(tmp_path / "other", url)
    await fill(tmp_path / "other")
    with pytest.raises(StateUnavailable, match="a part of a service whose move has not ended"):
        await move_service(tmp_path / "other", url, lambda *_: None)
    await undo_move(tmp_path)
    await _start(tmp_path)


async def _start(state: Path, url: str = "") -> None:
    async with open_service(state, ServiceSettings.private(engine=url)):
        pass


async def test_once_it_is_done_it_is_done(tmp_path: Path, url: str) -> None:
    """Also where the folder has not heard of it: what has happened in the database since stays."""
    await fill(tmp_path)
    await move_service(tmp_path, url, lambda *_: None)
    async with open_postgres_store(url) as store_:
        await store_.prune_channels(1e12)
    assert not (await move_service(tmp_path, url, lambda *_: None)).rows
    (tmp_path / NODE_FILE).unlink()
    assert not (await move_service(tmp_path, url, lambda *_: None)).rows
    assert not (await rows_of(url))["channels"]


async def test_a_database_in_use_is_left_alone(tmp_path: Path, url: str) -> None:
    """By another service, by one that has begun there, or by a part of one that was given up."""
    one, other = tmp_path / "one", tmp_path / "other"
    for folder in (one, other):
        folder.mkdir()
        await fill(folder)
    await move_service(one, url, lambda *_: None)
    before = await rows_of(url)
    with pytest.raises(
        StateUnavailable, match=r"holds another service: give an empty database, or.*DROP SCHEMA tocsin"
    ):
        await move_service(other, url, lambda *_: None)
    assert await rows_of(url) == before
    assert not (other / NODE_FILE).exists()
    assert await undo_move(one) == (await move_named(url))
    with pytest.raises(StateUnavailable, match="holds another service"):  # what the folder becomes is no continuation
        await move_service(one, url, lambda *_: None)
    async with open_service(one):
        pass


async def move_named(url: str) -> str:
    """Return what a database is called."""
    async with open_target(url) as target:
        return target.name


async def test_two_do_not_move_at_once(tmp_path: Path, url: str) -> None:
    """The second is told."""
    await fill(tmp_path)
    async with open_target(url):
        with pytest.raises(StateUnavailable, match="is in use by another process of Tocsin: end that first"):
            await move_service(tmp_path, url, lambda *_: None)


async def test_rows_that_are_missing_are_told(tmp_path: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then the database is not served."""
    await fill(tmp_path)
    monkeypatch.setattr(sqlite_source.SqliteSource, "count", lambda *_: 99)
    with pytest.raises(StateUnavailable, match=r"meta has 99 rows in the folder and \d+ in PostgreSQL"):
        await move_service(tmp_path, url, lambda *_: None)
    node = read_node(tmp_path)
    assert node is not None
    assert node.moving


async def test_where_nothing_is_nothing_is_moved(tmp_path: Path, url: str, postgres: PostgresServer) -> None:
    """A folder without a service, one that was moved elsewhere, and one that never was."""
    with pytest.raises(NotFound, match="there is no push service's state"):
        await move_service(tmp_path, url, lambda *_: None)
    with pytest.raises(InvalidArgument, match="no service was moved from"):
        await undo_move(tmp_path)
    await fill(tmp_path)
    with pytest.raises(InvalidArgument, match="no service was moved from"):
        await undo_move(tmp_path)
    await move_service(tmp_path, url, lambda *_: None)
    with pytest.raises(InvalidArgument, match=r"was moved into PostgreSQL at .*, not PostgreSQL at "):
        await move_service(tmp_path, await postgres.make_database(), lambda *_: None)
