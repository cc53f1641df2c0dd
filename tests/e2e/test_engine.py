"""A service over PostgreSQL, and a move into it, as processes that are killed: what was received is not lost."""

from __future__ import annotations

import json
import os
import signal
import sqlite3
import sys
from collections.abc import AsyncIterator
from contextlib import closing
from functools import partial
from pathlib import Path

import aiohttp
import anyio
import asyncpg
import pytest

from tests.e2e.terminal import free_port
from tests.persistence.postgres_server import PostgresServer, safe_server
from tests.processes import PATIENCE, Listening, Sender, call, running
from tocsin.api.embedded import embedded
from tocsin.service.registry.node_file import read_node

SENDERS = 4
MORE = 12  # of 100 that are kept for a channel: none may have to give way
CHANNELS = 40_000


@pytest.fixture
async def server() -> AsyncIterator[PostgresServer]:
    """Run a server that waits for its disk."""
    with safe_server() as server:
        yield server


async def test_what_was_received_comes_once(tmp_path: Path, server: PostgresServer) -> None:
    """Whichever is killed while senders send: the service, or the server with its state."""
    url, port = await server.make_database(), free_port()
    state = str(tmp_path / "service")
    verb = ("serve", "--json", "--state", state, "--port", str(port), "--engine", url)
    serving = partial(running, *verb, "--public-url", f"http://127.0.0.1:{port}")
    code, output, errors = await anyio.to_thread.run_sync(
        partial(call, "app", "add", "contoso", "--state", state, "--engine", url, "--json")
    )
    assert code == 0, errors
    app = json.loads(output)
    async with serving() as service:
        async with embedded("contoso", tmp_path / "device", service=service.first["url"], sensors=()) as manager:
            channel = (await manager.create_channel(app["remote_id"])).channel
            assert channel is not None
        registration = service.first | app | {"uri": channel.uri}
        received = await _posted(registration, service, server, kills_server=True)
    assert len(received) > SENDERS
    async with serving() as service:
        received += await _posted(registration, service, server, kills_server=False)
    async with serving() as service:
        async with embedded("contoso", tmp_path / "device", service=service.first["url"], sensors=()) as manager:
            channel = (await manager.create_channel(app["remote_id"])).channel
            assert channel is not None
            assert channel.uri == registration["uri"]
            missing, got = set(received), list[bytes]()
            with anyio.move_on_after(PATIENCE):
                async for args in channel.payloads():
                    got.append(args.payload)
                    missing.discard(args.payload)
                    if not missing:
                        break
            assert not missing, (len(missing), len(received), len(got))
            assert len(got) == len(set(got))
        service.process.send_signal(signal.SIGTERM)
        assert await service.wait() == 0


async def _posted(
    registration: dict[str, str], service: Listening, server: PostgresServer, *, kills_server: bool
) -> list[bytes]:
    """Send while one of both is killed, and return what was received."""
    received: list[bytes] = []
    async with aiohttp.ClientSession() as http:
        sender = Sender(http, registration)
        await sender.sign_in()

        async def send(number: int) -> None:
            count = 0
            while True:
                count += 1
                body = f"{kills_server} {number} {count}".encode()
                try:
                    status, _ = await sender.push(body, X_WNS_Cache_Policy="cache")
                except aiohttp.ClientError:
                    return
                if status == 200:
                    received.append(body)
                else:
                    assert status == 503
                    await anyio.sleep(0.02)  # for a server that does not say when it comes back

        async with anyio.create_task_group() as tasks:
            for number in range(SENDERS):
                tasks.start_soon(send, number)
            await _more(received)
            if kills_server:
                server.kill()
                server.start()
                await _more(received)
                tasks.cancel_scope.cancel()
            else:
                service.process.kill()
    return received


async def _more(received: list[bytes]) -> None:
    before = len(received)
    with anyio.fail_after(PATIENCE):
        while len(received) < before + MORE:  # noqa: ASYNC110  # the senders need not know of it
            await anyio.sleep(0.01)


async def test_a_move_may_be_killed(tmp_path: Path, server: PostgresServer) -> None:
    """With kill -9, again and again, each time a little later: in the end all is there, and nothing twice."""
    state, url = tmp_path / "state", await server.make_database()
    assert (await anyio.to_thread.run_sync(call, "app", "add", "contoso", "--state", str(state)))[0] == 0
    hashes = [os.urandom(32) for _ in range(CHANNELS)]
    with closing(sqlite3.connect(state / "service.db")) as database:
        rows = [(each, each.hex(), "id", "app", "device", 9e9, 0) for each in hashes]
        database.executemany("INSERT INTO channels VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        database.commit()
    command = [sys.executable, "-m", "tocsin", "migrate", "--from", str(state), "--to", url]
    killed = 0
    while True:
        async with await anyio.open_process(command, stdout=None) as process:
            with anyio.move_on_after(0.4 + 0.1 * killed):
                await process.wait()
            if process.returncode is not None:
                assert process.stderr is not None
                errors = b"".join([chunk async for chunk in process.stderr]).decode()
                assert process.returncode == 0, errors
                break
            process.kill()
            killed += 1
    assert killed
    link = await asyncpg.connect(url)
    try:
        moved = [row[0] for row in await link.fetch("SELECT hash FROM tocsin.channels")]
    finally:
        await link.close()
    assert sorted(moved) == sorted(hashes)
    node = read_node(state)
    assert node is not None
    assert not node.moving
