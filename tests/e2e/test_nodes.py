"""Three nodes of one service as processes: what was received at any of them comes, whatever becomes of them."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import anyio
import pytest

from tests.e2e.nodes import Posts, Roamer, some_nodes
from tests.persistence.postgres_server import PostgresServer, safe_server
from tests.processes import PATIENCE, call


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    """Run a server that waits for its disk."""
    with safe_server() as server:
        yield server


async def test_some_nodes_are_one_service(tmp_path: Path, server: PostgresServer) -> None:
    """Wherever a device is and a sender posts: over the link, by the store, past a kill, and while all are restarted."""
    async with (
        some_nodes(server, tmp_path) as nodes,
        aiohttp.ClientSession() as http,
        anyio.create_task_group() as tasks,
    ):
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
    said = await _status(posts, "b")
    with anyio.fail_after(PATIENCE):
        while len(said["nodes"]) < 3:  # each learns of the others when it renews its lease
            said = await _status(posts, "b")
    assert (said["status"], said["counters"]["forwards"]) == ("ok", 1)


async def _status(posts: Posts, name: str) -> dict[str, Any]:
    verb = partial(call, "status", "--json", "--state", str(posts.nodes.folder / name))
    said: dict[str, Any] = json.loads((await anyio.to_thread.run_sync(verb))[1])
    return said


async def _reaches_one_that_was_away(posts: Posts) -> None:
    """What was stored by any node is sent by the one to which the device comes, each channel's in order."""
    roamer, nodes = posts.roamer, posts.nodes
    await roamer.leave()
    for name in "bcab":
        status, answer = await posts.post(name)
        assert (status, answer["x-wns-status"]) == (200, "received"), answer
    status, answer = await posts.post("c", X_WNS_Cache_Policy="no-cache")
    assert (status, answer["x-wns-status"]) == (200, "dropped")
    nodes.serving.remove("a")
    roamer.come_back()
    await roamer.until_at("b")
    await roamer.until_got(posts.received)
    assert roamer.got == posts.received


async def _outlives_a_kill(posts: Posts) -> None:
    """The device is served again at once, and has what was received meanwhile, also while it was nowhere."""
    roamer, nodes = posts.roamer, posts.nodes
    nodes.serving.append("a")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(posts.go_on)
        nodes.kill("b")
        roamer.hold_off()
        tasks.start_soon(nodes.start, "b")
        await anyio.sleep(0.5)  # while its row names a node that is dead
        roamer.come_back()
        await roamer.until_at("c")
        await _more(posts)
        tasks.cancel_scope.cancel()
    await roamer.until_got(posts.received)
    if "b" not in nodes.serving:
        await nodes.start("b")


async def _outlives_restarts(posts: Posts) -> None:
    """One after the other: the device goes to the next, and no post fails but with 503."""
    roamer, nodes = posts.roamer, posts.nodes
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(posts.go_on)
        for name in "cab":
            await nodes.end(name)
            await nodes.start(name)
        await roamer.until_at(nodes.serving[0])
        await _more(posts)
        tasks.cancel_scope.cancel()


async def test_a_node_that_stood_still_and_a_server_that_was_gone(tmp_path: Path, server: PostgresServer) -> None:
    """Past its lease a node hands nothing over; and while the server is gone devices stay, and senders are told to come back."""
    async with (
        some_nodes(server, tmp_path) as nodes,
        aiohttp.ClientSession() as http,
        anyio.create_task_group() as tasks,
    ):
        roamer = Roamer(nodes)
        tasks.start_soon(roamer.live)
        await roamer.until_at("a")
        posts = Posts(nodes, roamer, http)
        await posts.post("b")
        nodes.serving.remove("a")
        nodes.signal("a", signal.SIGSTOP)
        await posts.post("c")  # answered once the lease is over
        await roamer.until_at("b")
        tasks.start_soon(posts.go_on)
        await _more(posts)
        nodes.signal("a", signal.SIGCONT)
        nodes.serving.append("a")
        await _more(posts)
        visits = roamer.visits
        server.kill()
        await _more(posts, 503)
        server.start()
        await _more(posts)
        assert (roamer.at, roamer.visits) == ("b", visits)
        await roamer.until_got(posts.received)
        assert len(roamer.got) == len(set(roamer.got))
        assert set(posts.statuses) <= {200, 503}
        tasks.cancel_scope.cancel()


async def _more(posts: Posts, status: int = 200) -> None:
    """Wait until some more were answered so at each node that serves."""
    before = posts.statuses[status]
    with anyio.fail_after(PATIENCE):
        while posts.statuses[status] < before + 6:  # noqa: ASYNC110  # they go on by themselves
            await anyio.sleep(0.01)
