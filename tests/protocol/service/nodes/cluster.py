"""Several nodes, the database that they share, devices and senders: what goes on between them, whatever happens to them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from functools import partial

from attrs import Factory, define

from tests.protocol.service.nodes.hosts import Host, Resume, Time, Wait
from tests.protocol.service.nodes.played_devices import Connection, Pushed
from tests.protocol.service.nodes.played_node import Node
from tests.protocol.service.nodes.played_post import NOT_SENT, PlayedPost
from tests.protocol.service.nodes.shared import Shared
from tocsin.protocol.delivery.recent_ids import RecentIds
from tocsin.protocol.service.nodes.device_row import Home
from tocsin.protocol.service.nodes.lease import LeaseTerms, Others
from tocsin.protocol.service.nodes.post_route import RouteEnd

DRIFT = 0.005


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
        self.shared = Shared(self.time, LeaseTerms(drift=2 * DRIFT), slow=self.time.chance.choice([0.0, 0.01, 0.05]))
        self.nodes: dict[str, Node] = {}
        self.names_of_leases: dict[int, str] = {}
        self.links_cut: set[frozenset[str]] = set()
        self.devices = {f"d{number}": Device(f"d{number}") for number in range(devices)}
        self.posts: list[Post] = []
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
            if device.connection is not None and device.connection.at is node.devices:
                self.lose(device)
        self.time.later(self.time.chance.uniform(0.05, 6), partial(self.restart, node))

    def forward(self, by: Node, home: Home, post: PlayedPost) -> Wait:
        """Take a post over the link between two nodes; it, or its answer, may be lost, late, or come twice."""

        def begin(resume: Resume) -> None:
            node = self.node_of(home.lease)
            if node is None or not self.linked(by, node) or not node.host.alive:
                self.time.later(0.001, lambda: resume(NOT_SENT))
                return
            # The link sends nothing twice by itself: of what may not wait, "not here" has to be the whole truth.
            twice = post.storable and self.time.chance.random() < self.lossy / 2
            for _ in range(2 if twice else 1):
                self.carry(by, node, partial(self._arrive, by, node, post, resume))

        return begin

    def _arrive(self, by: Node, node: Node, post: PlayedPost, resume: Resume) -> None:
        there = PlayedPost(node, post.device, post.id, post.storable, self.forward, forwarded=True)
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

    def others(self, name: str) -> Others:
        """Tell what the one of that name hears of the other nodes."""
        others = [node for node in self.nodes.values() if node.name != name]
        reached = [
            *(
                node
                for node in others
                if node.host.alive and not node.host.stalled and self.linked(self.nodes[name], node)
            )
        ]
        if any(node.is_good for node in reached):
            return Others.SERVE
        return Others.SILENT if others and not reached else Others.NONE

    # Devices

    def reconnect(self, device: Device) -> None:
        """Connect to a node that takes devices."""
        if device.connection is not None:
            return
        able = [
            each for each in self.nodes.values() if each.host.alive and not each.host.stalled and each.takes_devices
        ]
        if able:
            device.connection = self.time.chance.choice(able).devices.accept(device.name)
        else:
            self.time.later(self.time.chance.uniform(0.05, 0.3), partial(self.reconnect, device))

    def lose(self, device: Device) -> None:
        """Let a device's connection break; its node learns of it soon, or late."""
        connection, device.connection = device.connection, None
        if connection is not None:
            chance = self.time.chance
            delay = chance.uniform(0.5, 5) if chance.random() < 0.3 else chance.expovariate(100)
            at = connection.at
            self.time.later(delay, lambda: at.host.run(lambda: at.ended(connection)))
        self.time.later(
            self.time.chance.uniform(0, self.time.chance.choice([0.1, 1, 6])), partial(self.reconnect, device)
        )

    def hand_over(self, connection: Connection, id: str) -> None:  # noqa: A002 - the field's name
        """Carry a payload to a device, in order."""
        assert self.shared.is_good(connection.at.lease.number), "handed over past its lease"
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
        at = connection.at

        def acknowledge() -> None:
            if connection.open:
                at.acknowledged(connection, id)

        self.time.later(self.time.chance.expovariate(100), lambda: at.host.run(acknowledge))

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
            if device.connection is not None and device.connection.at.host.stalled:
                self.lose(device)

    # Senders

    def send(self, device: str, storable: bool, at: Node | None = None) -> None:
        """Post to a node, or to any."""
        able = [node for node in self.nodes.values() if node.host.alive and at in {None, node}]
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
