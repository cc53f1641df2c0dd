"""A browser with a connection at each of two nodes, of which the older is not the one that it is pushed to, acknowledges there."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from attrs import evolve

from tests.service.devices.browser_world import CHANNEL, PlayedBrowser
from tests.service.nodes.post_cluster import Cluster
from tests.service.nodes.queue_world import RAW, SETTINGS, channel_of, device_of, payload_of
from tests.service.nodes.virtual_loop import VirtualLoop
from tocsin.protocol.browsers.browser_app import app_of
from tocsin.protocol.values import NotificationType
from tocsin.protocol.webpush.envelope import Envelope
from tocsin.service.devices.browser_connection import SETTLING
from tocsin.service.devices.outbox import PushResult

KEY = "k" * 32
SUBSCRIPTION = evolve(channel_of(KEY), client_id="webpush:", app=app_of(CHANNEL))
WISHES = evolve(RAW, type=NotificationType.PUSH)
BODY = Envelope("aes128gcm", "", "", b"x").pack()
SOON = 0.2
"""Seconds in which all is done that waits for nothing but the network and the database."""


def run(play: Callable[[Cluster], Awaitable[None]]) -> None:
    """Play with three nodes that are linked, over one database, in virtual time."""

    async def whole() -> None:
        cluster = Cluster(0)
        cluster.is_over = True  # no devices of its own
        await asyncio.sleep(1)
        await play(cluster)
        for node in cluster.nodes.values():
            await node.end()

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(whole())


async def connected(cluster: Cluster, name: str) -> PlayedBrowser:
    """Let KDE's distributor connect to a node, and be there for long enough."""
    browser = PlayedBrowser()
    browser.receiver = cluster.nodes[name].devices.open_browser(browser)
    browser.hello(KEY, firefox=False)
    await asyncio.sleep(SETTLING + SOON)
    return browser


async def push(cluster: Cluster, name: str, id_: str) -> PushResult:
    """Push a message at a node."""
    payload = evolve(payload_of(KEY, id_, NotificationType.PUSH), body=BODY)
    return await cluster.nodes[name].devices.push(SUBSCRIPTION, payload, WISHES)


def stored(cluster: Cluster) -> list[str]:
    """Return what is stored for the browser."""
    return [entry.id for entry in cluster.store.queues.get(device_of(KEY), {}).values()]


def test_what_was_pushed_at_the_one_node_is_acknowledged_at_the_other() -> None:
    """Its sender hears at once that the browser has it, wherever it was posted; no more of them come than there were."""

    async def play(cluster: Cluster) -> None:
        older, newer = await connected(cluster, "a"), await connected(cluster, "b")
        ids = [f"{name}{number}" for number in range(SETTINGS.device_window) for name in "abc"]
        for each in ids:
            pushing = asyncio.ensure_future(push(cluster, each[0], each))
            await asyncio.sleep(SOON)
            older.ack(each)
            await asyncio.sleep(SOON)
            assert pushing.done()
            assert await pushing is PushResult.ACKNOWLEDGED
        assert (older.versions, newer.versions) == ([], ids)
        assert older.closed is newer.closed is None
        assert (await connected(cluster, "c")).versions == []

    run(play)


def test_what_was_stored_is_acknowledged_at_the_other() -> None:
    """It is erased, more than the window holds too, and does not come again."""

    async def play(cluster: Cluster) -> None:
        ids = [f"{number}" for number in range(2 * SETTINGS.device_window)]
        for each in ids:
            assert await push(cluster, "c", each) is PushResult.STORED
        older, newer = await connected(cluster, "a"), await connected(cluster, "b")
        again = ids[: SETTINGS.device_window]
        assert (older.versions, newer.versions) == (again, again)
        for _ in range(2):
            older.ack(*newer.versions)
            await asyncio.sleep(SOON)
        assert newer.versions == ids
        assert stored(cluster) == []
        assert (await connected(cluster, "c")).versions == []

    run(play)


def test_what_a_browser_acknowledges_whose_newest_connection_has_gone_is_erased() -> None:
    """None has it then: what it had, and did not say, waits."""

    async def play(cluster: Cluster) -> None:
        older, newer = await connected(cluster, "a"), await connected(cluster, "b")
        pushing = [asyncio.ensure_future(push(cluster, "b", each)) for each in ("1", "2")]
        await asyncio.sleep(SOON)
        newer.leave()
        assert [await each for each in pushing] == [PushResult.STORED] * 2
        await asyncio.sleep(SOON)
        older.ack("1", "none of ours" * 9)
        await asyncio.sleep(SOON)
        assert stored(cluster) == ["2"]
        assert (await connected(cluster, "c")).versions == ["2"]

    run(play)


def test_an_acknowledgement_that_cannot_be_passed_on_is_lost_and_no_more() -> None:
    """The link is cut, or the database away: the message comes again, and the connection stays."""

    async def play(cluster: Cluster) -> None:
        older, newer = await connected(cluster, "a"), await connected(cluster, "b")
        cluster.cut.add(frozenset("ab"))
        pushing = asyncio.ensure_future(push(cluster, "b", "1"))
        await asyncio.sleep(SOON)
        older.ack("1")
        assert await pushing is PushResult.STORED
        cluster.store.gone = True
        older.ack("1")
        await asyncio.sleep(SOON)
        cluster.store.gone = False
        cluster.cut.clear()
        assert older.closed is newer.closed is None
        latest = await connected(cluster, "a")
        assert latest.versions == ["1"]
        latest.ack("1")
        await asyncio.sleep(SOON)
        assert stored(cluster) == []

    run(play)
