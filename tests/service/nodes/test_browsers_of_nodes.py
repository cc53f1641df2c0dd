"""A browser with connections at two nodes: the newest gets what comes, and the older is left open."""

from __future__ import annotations

from attrs import evolve

from tests.service.devices.browser_world import CHANNEL, PlayedBrowser
from tests.service.nodes.queue_world import Node, channel_of, payload_of
from tests.service.nodes.shared_world import DEVICE, KEY, World, settle
from tocsin.protocol.browsers.browser_app import app_of
from tocsin.protocol.service.offline_queue import Phase
from tocsin.protocol.values import NotificationType
from tocsin.protocol.webpush.envelope import Envelope

SUBSCRIPTION = evolve(channel_of(KEY), client_id="webpush:", app=app_of(CHANNEL))


def connected(node: Node) -> PlayedBrowser:
    """Let a browser connect to a node, and say hello."""
    browser = PlayedBrowser()
    browser.receiver = node.devices.open_browser(browser)
    browser.hello(KEY)
    return browser


async def stored(node: Node, *ids: str) -> None:
    """Store messages at a node."""
    body = Envelope("aes128gcm", "", "", b"x").pack()
    for each in ids:
        payload = evolve(payload_of(KEY, each, NotificationType.PUSH), body=body)
        assert await node.queues.keep(SUBSCRIPTION, payload, lambda _: None)


async def test_the_newest_of_two_nodes_gets_what_comes_and_the_older_stays(world: World) -> None:
    """Where the older were closed, KDE's distributor would drop both; what it had not acknowledged there comes again."""
    older = connected(world.here)
    await settle()
    await stored(world.here, "1", "2")
    await settle()
    older.ack("1")
    await settle()
    newer = connected(world.other)
    await settle()
    world.here.queues.stale([DEVICE])  # as a wake has it
    await settle()
    await stored(world.other, "3")
    await settle()
    assert (older.versions, newer.versions) == (["1", "2"], ["2", "3"])
    assert older.closed is newer.closed is None
    assert not world.here.devices.has(DEVICE)
    newer.ack("2", "3")
    await settle()
    assert world.ids == []
    assert world.here.queues.counts[Phase.DELIVERED] + world.other.queues.counts[Phase.DELIVERED] == 3
