"""What a lease acts on: the devices of its own node, and the links to the other nodes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

from tocsin.protocol.service.nodes.lease import Others
from tocsin.service.nodes.node_links import NodePlace


class Held(Protocol):
    """What a node has for its devices, and what its lease does to it; none of this waits."""

    def open(self) -> None:
        """Take devices, and act for them."""
        ...

    def hold(self) -> None:
        """Take no device, and hand nothing over."""
        ...

    def reclaim(self) -> None:
        """Write the connections that were held down under the lease that is new, and read the queues."""
        ...

    def stale(self, devices: Iterable[str]) -> None:
        """Let these devices get nothing until their rows and queues were read anew, and know nothing of them that was read before."""
        ...

    def close_devices(self) -> None:
        """Close the connections of all devices."""
        ...

    def send_away(self, others: int) -> None:
        """Begin to have the devices connect elsewhere: to so many other nodes."""
        ...

    def connected(self) -> int:
        """Return how many devices are connected."""
        ...


class Peers(Protocol):
    """The other nodes, as the links to them know them."""

    def ask(self, places: Iterable[NodePlace]) -> Others:
        """Ask nodes whether they have a lease, and tell what they have lately said; asked a few times a second."""
        ...

    def drop(self, node: str) -> None:
        """Wait for nothing more of a node that has no lease."""
        ...
