"""What chance brings about too seldom: two nodes that both take themselves for the one that has the device."""

from __future__ import annotations

from tests.protocol.service.nodes.cluster import Cluster
from tests.protocol.service.nodes.played_devices import Connection
from tests.protocol.service.nodes.played_node import Node
from tests.protocol.service.nodes.trouble import check
from tocsin.protocol.service.nodes import device_row


def _begin(seed: int) -> tuple[Cluster, Connection, Node, Node]:
    """Start two nodes and a device; return its connection, the node that it is at, and the other."""
    cluster = Cluster(seed, nodes=2, devices=1)
    cluster.shared.slow = 0.0
    cluster.time.go_on(2.0)
    connection = cluster.devices["d0"].connection
    assert connection is not None
    here = next(node for node in cluster.nodes.values() if node.devices is connection.at)
    other = next(node for node in cluster.nodes.values() if node is not here)
    return cluster, connection, here, other


def written_late(seed: int) -> None:
    """A connection that is no more is written down over the one that there is, and what is stored then comes in order all the same."""
    cluster, _, here, other = _begin(seed)
    zombie = other.devices.accept("d0")
    cluster.time.go_on(2.05)
    cluster.send("d0", storable=True, at=other)
    cluster.time.go_on(2.1)
    other.devices.ended(zombie)
    while cluster.posts[0].answered is None:
        cluster.time.go_on(cluster.time.now + 0.01)
        assert cluster.time.now < 7.0
    cluster.send("d0", storable=True, at=here)
    cluster.time.go_on(20.0)
    assert all(post.received for post in cluster.posts)
    check(cluster)


def written_late_by_the_same_node(seed: int) -> None:
    """A connection that is no more is written down over the one that there is, by its own node, and is cleared; that node finds out."""
    cluster, connection, here, _ = _begin(seed)
    cluster.shared.change_row("d0", here.lease.number, device_row.connect)
    late = cluster.shared.rows["d0"].home
    assert late is not None
    here.host.spawn(here.devices.clear("d0", late))
    cluster.time.go_on(4.0)
    assert connection.open
    check(cluster)


def held_too_long(seed: int) -> None:
    """A node that was cut off from the database has a connection that its device has left, and gives it up under its next lease."""
    cluster, zombie, here, other = _begin(seed)
    cluster.shared.cut.add(here.host)
    cluster.time.go_on(5.3)
    assert not here.is_good
    connection = cluster.devices["d0"].connection = other.devices.accept("d0")
    cluster.time.go_on(5.5)
    cluster.shared.cut.clear()
    cluster.time.go_on(9.0)
    assert here.is_good
    assert not zombie.open
    assert connection.open
    check(cluster)


SCENES = [written_late, written_late_by_the_same_node, held_too_long]
