"""Three nodes of one service as processes: what was received at any of them comes, whatever becomes of them."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path

import aiohttp
import anyio
import pytest

from tests.e2e.nodes import Nodes, Posts, Roamer, three_nodes
from tests.persistence.postgres_server import PostgresServer, programs, running_server
from tests.processes import call

LEASE = 3.0


@pytest.fixture(scope="module")
def server() -> AsyncIterator[PostgresServer]:
    """Run a server that waits for its disk."""
    found = programs()
    if found is None:
        pytest.skip("PostgreSQL 15 or newer is not installed: apt-get install postgresql")
    with running_server(found, is_safe=True) as server:
        yield server


async def test_three_nodes_are_one_service(tmp_path: Path, server: PostgresServer) -> None:
    """Wherever a device is and a sender posts: over the link, by the store, past a kill, and while all are restarted."""
    async with three_nodes(server, tmp_path) as nodes, aiohttp.ClientSession() as http, anyio.create_task_group() as tasks:
        roamer = Roamer(nodes)
        tasks.start_soon(roamer.live)
        await roamer.until_at("a")
        posts = Posts(nodes, roamer, http)
        await _reaches_a_device_elsewhere(posts)
        await _reaches_one_that_was_away(posts)
        await _outlives_a_kill(posts)
        await _outlives_restarts(posts)
        await roamer.until_got(posts.received)
        assert len(roamer.got) == len(set(roamer.got))
        assert set(posts.statuses) <= {200, 503}
        tasks.cancel_scope.cancel()


async def _reaches_a_device_elsewhere(posts: Posts) -> None:
    """It is told to the sender as at one node, also of what may not be stored."""
    for name in "abc":
        status, answer = await posts.post(name, X_WNS_Cache_Policy="no-cache")
        assert (status, answer["x-wns-status"]) == (200, "received"), answer
    assert posts.roamer.got == posts.received
    code, output, _ = await anyio.to_thread.run_sync(
        partial(call, "status", "--json", "--state", str(posts.nodes.folder / "b"))
    )
    said = json.loads(output)
    assert (code, len(said["nodes"]), said["counters"]["forwards"]) == (0, 3, 1)


async def _reaches_one_that_was_away(posts: Posts) -> None:
    roamer, nodes = posts.roamer, posts.nodes
    roamer.stays_away = True
    nodes.signal("a", signal.SIGSTOP)
    nodes.signal("a", signal.SIGCONT)
    raise NotImplementedError
