"""What chooses a node for each request and each device, as a load balancer does."""

from __future__ import annotations

import random

from tests.e2e.node_troubles.node import Node

ANYWHERE = 0.05
"""In how many of the choices a node is taken whatever is known of it: a balancer knows late."""


class Balancer:
    """Chooses among nodes in turn: those that are ready, else those that answer, else all."""

    def __init__(self, nodes: list[Node], chance: random.Random) -> None:
        self.nodes = nodes
        self._random = chance
        self._turn = 0

    def order(self) -> list[Node]:
        """Return all nodes in the order in which they are tried."""
        self._turn = (self._turn + 1) % len(self.nodes)
        turned = self.nodes[self._turn :] + self.nodes[: self._turn]
        if self._random.random() < ANYWHERE:
            return turned
        return sorted(turned, key=lambda node: (not node.is_ready, not node.answers))
