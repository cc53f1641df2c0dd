"""Several nodes, their database, devices and senders, and all that may happen to them; what is promised is looked at throughout.

``python -m tests.protocol.service.nodes.cluster 0 1000`` runs the seeds from 0 up to 1000.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from functools import partial

from attrs import Factory, define

from tests.protocol.service.nodes.hosts import Host, Resume, Time, Wait
from tests.protocol.service.nodes.played_node import Connection, Node, Pushed
from tests.protocol.service.nodes.played_post import PlayedPost
from tests.protocol.service.nodes.shared import Shared
from tocsin.protocol.delivery.recent_ids import RecentIds
from tocsin.protocol.service.nodes.device_row import Home
from tocsin.protocol.service.nodes.lease import Event, LeaseTerms, Phase
from tocsin.protocol.service.nodes.post_route import LOOKS, RouteEnd

DRIFT = 0.005
TROUBLE = 30.0
"""Seconds in which faults happen; then all is well for as long."""


@define(eq=False)
class Post:
    """What a sender knows of a post."""

    id: str
    device: str
    storable: bool
    posted: float
    answered: float | None = None
    end: RouteEnd | None = None
    pushed: Pushed | None = None

    @property
    def received(self) -> bool:
        """Whether its sender was told that it is received."""
        return self.end is RouteEnd.STORED or (self.end is RouteEnd.AS_PUSHED and self.pushed is Pushed.ACKNOWLEDGED)


@define(eq=False)
class Device:
    """A device: it connects again whenever it has no connection, and knows the ids of what it has."""

    name: str
    connection: Connection | None = None
    recent: RecentIds = Factory(lambda: RecentIds(10_000))
    handed: dict[str, int] = Factory(dict)
    """What it has handed over, by its place in the order."""
    came: Counter[str] = Factory(Counter)


class Cluster:
    """One seed's world."""

    def __init__(self, seed: int, nodes: int = 3, devices: int = 3) -> None:
        self.time = Time(seed)
        self.shared = Shared(self.time, LeaseTerms(drift=2 * DRIFT))
        self.nodes: dict[str, Node] = {}
        self.names_of_leases: dict[int, str] = {}
        self.links_cut: set[frozenset[str]] = set()
        self.devices = {f"d{number}": Device(f"d{number}") for number in range(devices)}
        self.posts: list[Post] = []
        self.faults: Counter[str] = Counter()
        self.lossy = 0.0
        self.arrivals: dict[Connection, float] = {}
        for number in range(nodes):
            self.start(f"n{number}")
        for device in self.devices.values():
            self.reconnect(device)

    # Nodes

    def start(self, name: str) -> None:
        """Start a node's program."""
        node = Node(Host(self.time, DRIFT), self.shared, name, self)
        self.nodes[name] = node
        node.host.spawn(node.live(), lambda _: self.time.later(1.0, partial(self.restart, node)))

    def restart(self, node: Node) -> None:
        """Start a program that has left."""
        if self.nodes[node.name] is node:
            self.start(node.name)

    def kill(self, node: Node) -> None:
        """End a program, and start it anew a little later."""
        node.host.alive = False
        for device in self.devices.values():
            if device.connection is not None and device.connection.node is node:
                self.lose(device)
        self.time.later(self.time.chance.uniform(0.05, 6), partial(self.restart, node))

    def forward(self, by: Node, home: Home, post: PlayedPost) -> Wait:
        """Take a post over the link between two nodes; it, or its answer, may be lost, late, or come twice."""

        def begin(resume: Resume) -> None:
            node = self.node_of(home.lease)
            if node is None or not self.linked(by, node) or not node.host.alive:
                self.time.later(0.001, lambda: resume(None))
                return
            # The link sends nothing twice by itself: of what may not wait, "not here" has to be the whole truth.
            twice = post.storable and self.time.chance.random() < self.lossy / 2
            for _ in range(2 if twice else 1):
                self.carry(by, node, partial(self._arrive, by, node, home, post, resume))

        return begin

    def _arrive(self, by: Node, node: Node, home: Home, post: PlayedPost, resume: Resume) -> None:
        there = PlayedPost(node, post.device, post.id, post.storable, self.forward, home)
        node.host.spawn(there.run(), lambda answer: self.carry(node, by, partial(resume, answer)))

    def carry(self, by: Node, to: Node, deliver: Callable[[], None]) -> None:
        """Carry something between nodes."""
        chance = self.time.chance
        if chance.random() < self.lossy / 2:
            return
        late = chance.uniform(0.5, 6) if chance.random() < self.lossy / 2 else chance.expovariate(500)

        def arrive() -> None:
            if self.linked(by, to):
                deliver()

        self.time.later(late, arrive)

    def linked(self, one: Node, other: Node) -> bool:
        """Tell whether two nodes reach each other."""
        return frozenset({one.name, other.name}) not in self.links_cut

    def node_of(self, lease: int) -> Node | None:
        """Find the program that runs where a lease's node was."""
        for row in self.shared.leases.values():
            self.names_of_leases[row.number] = row.node
        name = self.names_of_leases.get(lease)
        return None if name is None else self.nodes[name]

    # Devices

    def reconnect(self, device: Device) -> None:
        """Connect to a node that takes devices."""
        if device.connection is not None:
            return
        able = [
            each for each in self.nodes.values() if each.host.alive and not each.host.stalled and each.takes_devices
        ]
        if able:
            device.connection = self.time.chance.choice(able).accept(device.name)
        else:
            self.time.later(self.time.chance.uniform(0.05, 0.3), partial(self.reconnect, device))

    def lose(self, device: Device) -> None:
        """Let a device's connection break; its node learns of it soon, or late."""
        connection, device.connection = device.connection, None
        if connection is not None:
            chance = self.time.chance
            delay = chance.uniform(0.5, 5) if chance.random() < 0.3 else chance.expovariate(100)
            node = connection.node
            self.time.later(delay, lambda: node.host.run(lambda: node.ended(connection)))
        self.time.later(
            self.time.chance.uniform(0, self.time.chance.choice([0.1, 1, 6])), partial(self.reconnect, device)
        )

    def hand_over(self, connection: Connection, id: str) -> None:  # noqa: A002 - the field's name
        """Carry a payload to a device, in order."""
        assert self.shared.is_good(connection.node.lease.number), "handed over past its lease"
        arrival = max(self.arrivals.get(connection, 0.0), self.time.now + self.time.chance.expovariate(100))
        self.arrivals[connection] = arrival
        self.time.later(arrival - self.time.now, partial(self._come, connection, id))

    def _come(self, connection: Connection, id: str) -> None:  # noqa: A002 - the field's name
        device = self.devices[connection.device]
        if device.connection is not connection:
            return
        device.came[id] += 1
        if device.recent.add([id]) is None:
            device.handed[id] = len(device.handed)
        node = connection.node

        def acknowledge() -> None:
            if connection.open:
                node.acknowledged(connection, id)

        self.time.later(self.time.chance.expovariate(100), lambda: node.host.run(acknowledge))

    def hang_up(self, connection: Connection) -> None:
        """Close a connection, as its node."""

        def closed() -> None:
            device = self.devices[connection.device]
            if device.connection is connection:
                device.connection = None
                self.reconnect(device)

        self.time.later(self.time.chance.expovariate(100), closed)

    def give_up_on_stalled(self) -> None:
        """Let devices leave what has not answered their pings."""
        for device in self.devices.values():
            if device.connection is not None and device.connection.node.host.stalled:
                self.lose(device)

    # Senders

    def send(self, device: str, storable: bool) -> None:  # noqa: FBT001
        """Post to any node."""
        able = [node for node in self.nodes.values() if node.host.alive]
        if not able:
            return
        post = Post(f"p{len(self.posts)}", device, storable, self.time.now)
        self.posts.append(post)
        node = self.time.chance.choice(able)

        def answered(answer: tuple[RouteEnd, Pushed | None]) -> None:
            assert post.answered is None
            post.answered = self.time.now
            post.end, post.pushed = answer

        self.time.later(
            self.time.chance.expovariate(500),
            lambda: node.host.spawn(
                PlayedPost(node, device, post.id, storable, self.forward).run(),
                lambda answer: self.time.later(self.time.chance.expovariate(500), lambda: answered(answer)),
            ),
        )

    def go_on_sending(self, until: float) -> None:
        """Post again and again."""
        if self.time.now < until:
            chance = self.time.chance
            device = chance.choice(list(self.devices))
            for _ in range(chance.choice([1, 1, 1, 1, 6])):
                self.send(device, chance.random() < 0.8)
            self.time.later(chance.expovariate(4), partial(self.go_on_sending, until))

    # Trouble

    def go_on_troubling(self, until: float) -> None:
        """Let something happen, again and again."""
        chance = self.time.chance
        if self.time.now >= until:
            return
        acts = [self._kill, self._stall, self._cut, self._move, self._move, self._base, self._loss, self._drain]
        act = chance.choice([*acts, self._cut_from_base])
        self.faults[act.__name__] += 1
        act(chance.choice(list(self.nodes.values())))
        self.time.later(chance.expovariate(0.7), partial(self.go_on_troubling, until))

    def _kill(self, node: Node) -> None:
        if node.host.alive:
            self.kill(node)

    def _stall(self, node: Node) -> None:
        node.host.stalled = True
        self.time.later(2.0, self.give_up_on_stalled)
        self.time.later(self.time.chance.uniform(0.2, 9), node.host.go_on)

    def _cut(self, node: Node) -> None:
        other = self.time.chance.choice([each for each in self.nodes if each != node.name])
        link = frozenset({node.name, other})
        self.links_cut.add(link)
        self.time.later(self.time.chance.uniform(0.5, 9), lambda: self.links_cut.discard(link))

    def _cut_from_base(self, node: Node) -> None:
        self.shared.cut.add(node.host)
        self.time.later(self.time.chance.uniform(0.5, 9), lambda: self.shared.cut.discard(node.host))

    def _move(self, _: Node) -> None:
        device = self.time.chance.choice(list(self.devices.values()))
        if device.connection is not None:
            self.lose(device)

    def _base(self, _: Node) -> None:
        what = self.time.chance.choice(["up", "flaky", "slow"])
        self.shared.up, self.shared.flaky, self.shared.slow = {
            "up": (False, 0.0, 0.0),
            "flaky": (True, 0.2, 0.0),
            "slow": (True, 0.0, 0.1),
        }[what]
        self.time.later(self.time.chance.uniform(0.2, 6), self._heal_base)

    def _heal_base(self) -> None:
        self.shared.up, self.shared.flaky, self.shared.slow = True, 0.0, 0.0

    def _loss(self, _: Node) -> None:
        self.lossy = 0.4
        self.time.later(self.time.chance.uniform(1, 9), self._heal_loss)

    def _heal_loss(self) -> None:
        self.lossy = 0.0

    def _drain(self, node: Node) -> None:
        if node.host.alive and not node.host.stalled and node.lease.phase not in {Phase.LEFT, Phase.LEAVING}:
            node.host.run(lambda: node.perform(node.lease.happened(Event.DRAIN, node.host.clock())))

    # What is promised

    def run(self) -> None:
        """Let it all happen, then let all be well, and look at what is promised."""
        self.time.go_on(2.0)
        self.go_on_sending(TROUBLE)
        self.go_on_troubling(TROUBLE)
        self.time.go_on(TROUBLE + 15)
        self.go_on_sending(TROUBLE + 20)
        self.time.go_on(2 * TROUBLE + 10)
        self.check()

    def check(self) -> None:
        """Look at all that is promised."""
        for device in self.devices.values():
            posts = [post for post in self.posts if post.device == device.name]
            for post in posts:
                if post.received:
                    assert post.id in device.handed, f"{post} was received, and is lost"
                if post.end is RouteEnd.DROPPED:
                    assert post.id not in device.handed, f"{post} was dropped, and came"
            self._check_order(device, posts)
            row = self.shared.rows[device.name]
            connection = device.connection
            assert connection is not None, "it is not connected, though all is well"
            assert row.home == connection.home, f"{row} does not name {connection.home}"
            assert not self.shared.queues.get(device.name), "what is stored stays there, though the device is connected"
        self.looks = max(node.most_looks for node in self.nodes.values())
        for post in self.posts:
            if post.posted > TROUBLE + 15:
                assert post.end in {RouteEnd.AS_PUSHED, RouteEnd.STORED}, f"trouble did not end: {post}"
        assert max(node.most_looks for node in self.nodes.values()) <= LOOKS + 1

    def _check_order(self, device: Device, posts: list[Post]) -> None:
        for one in posts:
            if one.received and one.answered is not None:
                for other in posts:
                    if other.posted > one.answered and other.id in device.handed:
                        assert device.handed[one.id] < device.handed[other.id], f"{other} came before {one}"


def main(first: int, last: int) -> None:
    """Run many seeds, and tell what became of the posts."""
    ends: Counter[str] = Counter()
    faults: Counter[str] = Counter()
    for seed in range(first, last):
        cluster = Cluster(seed)
        try:
            cluster.run()
        except BaseException:
            print(f"seed {seed}, at {cluster.time.now:.3f} s")  # noqa: T201
            raise
        ends.update("unanswered" if post.end is None else post.end.name for post in cluster.posts)
        faults += cluster.faults
    print(f"{last - first} seeds; posts: {dict(ends)}; faults: {dict(faults)}")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
