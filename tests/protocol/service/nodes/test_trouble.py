"""Several nodes in trouble keep what is promised: nothing received is lost, nothing dropped comes, and order holds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.protocol.service.nodes.cluster import Cluster
from tests.protocol.service.nodes.scenes import SCENES
from tests.protocol.service.nodes.trouble import Trouble
from tests.protocol.tables import Table
from tocsin.protocol.kernel import machine
from tocsin.protocol.service.nodes import lease, post_route
from tocsin.protocol.service.nodes.post_route import RouteEnd

UNPLAYED = {
    # One process of a name at a time is played.
    *((phase, lease.Event.REPLACED) for phase in (lease.Phase.SERVING, lease.Phase.DRAINING, lease.Phase.LAPSED)),
    # Its own clock tells a node sooner; the database's is never set here.
    *((phase, lease.Event.REFUSED) for phase in (lease.Phase.SERVING, lease.Phase.DRAINING)),
    # Its connections end at once here.
    (lease.Phase.LEAVING, lease.Event.DRAIN),
    # There is always room.
    (post_route.Phase.STORING, post_route.Event.NO_ROOM),
}


def visited(monkeypatch: pytest.MonkeyPatch, module: Any) -> Counter[tuple[Any, Any]]:
    """Count how often each row of a machine's table is gone by."""
    found = Counter[tuple[Any, Any]]()

    def step(table: Mapping[Any, Any], phase: Any, event: Any) -> Any:
        found[phase, event] += 1
        return machine.step(table, phase, event)

    monkeypatch.setattr(module, "step", step)
    return found


@pytest.mark.parametrize("first", range(0, 60, 20))
def test_what_is_promised_is_kept(first: int) -> None:
    """Whatever happens to nodes, links, database and devices; and behind that all is well again."""
    for seed in range(first, first + 20):
        Trouble(seed).run()


def test_the_seeds_go_every_way(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each row of the tables is played, but for those that say why not."""
    tables: list[tuple[Any, Table]] = [(lease, lease.TABLE), (post_route, post_route.TABLE)]
    found = [visited(monkeypatch, module) for module, _ in tables]
    missing = {pair for _, table in tables for pair in table} - UNPLAYED
    seed = 1000
    while missing and seed < 1100:
        Trouble(seed).run()
        missing -= {pair for each in found for pair in each}
        seed += 1
    assert missing == set()


@pytest.mark.parametrize("scene", SCENES)
def test_two_nodes_that_take_themselves_for_the_one(scene: Callable[[int], None]) -> None:
    """Only one of them hands over in the end, and order holds."""
    for seed in range(10):
        scene(seed)


def played(seed: int) -> Cluster:
    """Start a cluster, and let its devices connect."""
    cluster = Cluster(seed)
    cluster.time.go_on(2.0)
    assert all(device.connection is not None and device.connection.seen for device in cluster.devices.values())
    return cluster


@pytest.mark.parametrize("seed", range(5))
def test_devices_stay_connected_while_the_database_is_gone(seed: int) -> None:
    """For a minute: senders are told to try again, and when it is back all goes on, over the same connections."""
    cluster = played(seed)
    before = {device.name: device.connection for device in cluster.devices.values()}
    cluster.shared.up = False
    cluster.time.go_on(7.0)
    for device in cluster.devices:
        cluster.send(device, storable=True)
    cluster.time.go_on(62.0)
    assert {post.end for post in cluster.posts} <= {RouteEnd.UNAVAILABLE, RouteEnd.LAPSED}
    cluster.shared.up = True
    cluster.time.go_on(64.0)
    for device in cluster.devices:
        cluster.send(device, storable=False)
    cluster.time.go_on(66.0)
    assert all(post.received for post in cluster.posts[-len(before) :])
    assert {device.name: device.connection for device in cluster.devices.values()} == before


@pytest.mark.parametrize("seed", range(5))
def test_devices_of_a_dead_node_are_served_soon(seed: int) -> None:
    """Those that connect again at once are as soon as they have; a post on its way meanwhile waits for a lease at most."""
    cluster = played(seed)
    node = next(iter(cluster.nodes.values()))
    cluster.kill(node)
    for _ in range(50):
        for device in cluster.devices:
            cluster.send(device, storable=True)
        cluster.time.go_on(cluster.time.now + 0.1)
    cluster.time.go_on(20.0)
    lost = [post for post in cluster.posts if not post.received]
    assert lost == []
    assert max(post.answered - post.posted for post in cluster.posts if post.answered is not None) < 5.0


@pytest.mark.parametrize("seed", range(5))
def test_a_node_that_stood_still_hands_nothing_over_by_its_old_lease(seed: int) -> None:
    """What it was sent meanwhile it does not push, whatever of its work comes first; its devices are served by the next lease."""
    cluster = played(seed)
    device = next(iter(cluster.devices.values()))
    assert device.connection is not None
    at = device.connection.at
    node = next(each for each in cluster.nodes.values() if each.devices is at)
    old = node.lease.number
    at.host.stalled = True
    cluster.time.go_on(7.0)
    for _ in range(10):
        cluster.send(device.name, storable=True)
    cluster.time.go_on(8.0)
    at.host.go_on()
    cluster.time.go_on(20.0)
    assert node.lease.number != old
    assert all(post.received or post.end in {RouteEnd.UNAVAILABLE, RouteEnd.LAPSED} for post in cluster.posts)
    assert all(post.id in device.handed for post in cluster.posts if post.received)
