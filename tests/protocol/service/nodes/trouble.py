"""What may happen to a cluster, and what is promised all the same.

``python -m tests.protocol.service.nodes.trouble 0 1000`` runs the seeds from 0 up to 1000.
"""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from functools import partial

from tests.protocol.service.nodes.cluster import Cluster, Device, Post
from tests.protocol.service.nodes.played_node import Node
from tocsin.protocol.service.nodes.lease import Event, Phase
from tocsin.protocol.service.nodes.post_route import LOOKS, RouteEnd

TROUBLE = 30.0
"""Seconds in which faults happen; then all is well for longer."""


class Trouble:
    """One seed's cluster, its faults, and what is looked at behind them."""

    def __init__(self, seed: int) -> None:
        self.cluster = Cluster(seed)
        self.slow = self.cluster.shared.slow
        self.faults: Counter[str] = Counter()
        chance = self.cluster.time.chance
        acts: dict[str, Callable[[Node], None]] = {
            "kill": self._kill,
            "stall": self._stall,
            "cut a link": self._cut,
            "cut from the database": self._cut_from_base,
            "move a device": self._move,
            "spoil the database": self._spoil,
            "lose messages": self._lose,
            "drain": self._drain,
        }
        self.acts = acts
        # Some seeds have much of one thing and none of another: what all happens at once hides what follows from one.
        self.weights = [chance.choice([0, 1, 1, 5]) for _ in acts]
        self.weights[chance.randrange(len(acts))] = 1
        self.pace = chance.choice([0.5, 2.0])

    def go_on_troubling(self, until: float) -> None:
        """Let something happen, again and again."""
        chance = self.cluster.time.chance
        if self.cluster.time.now >= until:
            return
        name = chance.choices(list(self.acts), self.weights)[0]
        self.faults[name] += 1
        self.acts[name](chance.choice(list(self.cluster.nodes.values())))
        self.cluster.time.later(chance.expovariate(self.pace), partial(self.go_on_troubling, until))

    def _kill(self, node: Node) -> None:
        if node.host.alive:
            self.cluster.kill(node)

    def _stall(self, node: Node) -> None:
        node.host.stalled = True
        self.cluster.time.later(2.0, self.cluster.give_up_on_stalled)
        self.cluster.time.later(self.cluster.time.chance.uniform(0.2, 9), node.host.go_on)

    def _cut(self, node: Node) -> None:
        other = self.cluster.time.chance.choice([each for each in self.cluster.nodes if each != node.name])
        link = frozenset({node.name, other})
        self.cluster.links_cut.add(link)
        self.cluster.time.later(self.cluster.time.chance.uniform(0.5, 9), lambda: self.cluster.links_cut.discard(link))

    def _cut_from_base(self, node: Node) -> None:
        self.cluster.shared.cut.add(node.host)
        self.cluster.time.later(
            self.cluster.time.chance.uniform(0.5, 9), lambda: self.cluster.shared.cut.discard(node.host)
        )

    def _move(self, node: Node) -> None:
        del node
        device = self.cluster.time.chance.choice(list(self.cluster.devices.values()))
        for _ in range(self.cluster.time.chance.choice([1, 3, 6])):
            self.cluster.time.later(self.cluster.time.chance.uniform(0, 1), partial(self._lose_connection, device))

    def _lose_connection(self, device: Device) -> None:
        if device.connection is not None:
            self.cluster.lose(device)

    def _spoil(self, _: Node) -> None:
        what = self.cluster.time.chance.choice(["up", "flaky", "slow"])
        self.cluster.shared.up, self.cluster.shared.flaky, self.cluster.shared.slow = {
            "up": (False, 0.0, self.slow),
            "flaky": (True, 0.2, self.slow),
            "slow": (True, 0.0, 0.2),
        }[what]
        self.cluster.time.later(self.cluster.time.chance.uniform(0.2, 6), self._heal_base)

    def _heal_base(self) -> None:
        self.cluster.shared.up, self.cluster.shared.flaky, self.cluster.shared.slow = True, 0.0, self.slow

    def _lose(self, _: Node) -> None:
        self.cluster.lossy = 0.4
        self.cluster.time.later(self.cluster.time.chance.uniform(1, 9), self._heal_loss)

    def _heal_loss(self) -> None:
        self.cluster.lossy = 0.0

    def _drain(self, node: Node) -> None:
        if node.host.alive and not node.host.stalled and node.lease.phase is not Phase.LEFT:
            node.host.run(lambda: node.perform(node.lease.happened(Event.DRAIN, node.host.clock())))

    def run(self) -> None:
        """Let it all happen, then let all be well, and look at what is promised."""
        self.cluster.time.go_on(2.0)
        self.cluster.go_on_sending(TROUBLE)
        self.go_on_troubling(TROUBLE)
        self.cluster.time.go_on(TROUBLE + 15)
        self.cluster.go_on_sending(TROUBLE + 25)
        self.cluster.time.go_on(2 * TROUBLE + 10)
        check(self.cluster)
        for post in self.cluster.posts:
            if post.posted > TROUBLE + 15:
                assert post.end in {RouteEnd.AS_PUSHED, RouteEnd.STORED}, f"trouble did not end: {post}"


def check(cluster: Cluster) -> None:
    """Look at all that is promised, when all has been well for a while."""
    for device in cluster.devices.values():
        posts = [post for post in cluster.posts if post.device == device.name]
        for post in posts:
            if post.received:
                assert post.id in device.handed, f"{post} was received, and is lost"
            if post.end is RouteEnd.DROPPED:
                assert post.id not in device.handed, f"{post} was dropped, and came"
        _check_order(device, posts)
        row = cluster.shared.rows[device.name]
        connection = device.connection
        assert connection is not None, "it is not connected, though all is well"
        assert row.home == connection.home, f"{row} does not name {connection.home}"
        assert not cluster.shared.queues.get(device.name), "what is stored stays there, though the device is connected"
    assert max(node.most_looks for node in cluster.nodes.values()) <= LOOKS + 1


def _check_order(device: Device, posts: list[Post]) -> None:
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
        trouble = Trouble(seed)
        try:
            trouble.run()
        except BaseException:
            print(f"seed {seed}, at {trouble.cluster.time.now:.3f} s")  # noqa: T201
            raise
        ends.update("unanswered" if post.end is None else post.end.name for post in trouble.cluster.posts)
        faults += trouble.faults
    print(f"{last - first} seeds; posts: {dict(ends)}; faults: {dict(faults)}")  # noqa: T201


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
