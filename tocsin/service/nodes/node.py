"""One of several nodes of a service: its lease, its link, and the queues and ways of posts that follow from both."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.metadata import version
from typing import Any, Final
from uuid import uuid4

from attrs import define, frozen

from tocsin.protocol.network.addresses import is_loopback
from tocsin.protocol.service.nodes.lease import Phase
from tocsin.protocol.service.nodes.lease_row import Joining, LeaseRow
from tocsin.protocol.service.offline_queue import Depths
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.devices import Devices
from tocsin.service.nodes.change_follower import ChangeFollower
from tocsin.service.nodes.held_devices import HeldDevices
from tocsin.service.nodes.lease_keeper import LeaseKeeper
from tocsin.service.nodes.link_server import serving_links
from tocsin.service.nodes.link_terms import LinkTerms
from tocsin.service.nodes.node_authority import authority_of
from tocsin.service.nodes.node_identity import NodeIdentity
from tocsin.service.nodes.node_links import NodeLinks, open_node_links
from tocsin.service.nodes.node_posts import NodePosts
from tocsin.service.nodes.node_taker import NodeTaker
from tocsin.service.nodes.shared_queues import SharedQueues
from tocsin.service.nodes.taken_link import TakingContext
from tocsin.service.operations.metrics import Counters
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.node_store import NodeStore
from tocsin.service.registry.service_store import ServiceStore
from tocsin.service.web.listener import listen

DEFAULT_LINK: Final = "127.0.0.1:0"
"""Where a node listens for others where no place is given."""

_TERMS: Final = LinkTerms(drain=1.0)
_PROGRAM: Final = version("tocsin")

logger = logging.getLogger(__name__)


@frozen
class Shared:
    """What a node shares with others: the stores, and the service's time; ``node`` is its own name among them."""

    node: str
    nodes: NodeStore
    store: ServiceStore
    now: Callable[[], float]


@define(eq=False)
class Node:
    """A node that has joined; made by :func:`open_node`."""

    keeper: LeaseKeeper
    queues: SharedQueues
    _shared: Shared
    _links: NodeLinks
    _held: HeldDevices
    _taking: Callable[[NodeTaker], Any]
    is_current: Callable[[], bool] = lambda: True
    """Tells whether what this node has in memory counts."""
    _taken: TakingContext | None = None
    _count: Callable[[], int] = lambda: 0

    @asynccontextmanager
    async def serving(self, devices: Devices, counters: Counters) -> AsyncIterator[None]:
        """Let devices in, and let other nodes reach them, while the block runs."""
        keeper, queues = self.keeper, self.queues
        posts = NodePosts(keeper, self._shared.nodes, queues, devices, self._links, counters, keeper.others)
        posts.is_good = self.is_current
        devices.nodes, self._count = posts, devices.count
        async with posts.running(), self._taking(NodeTaker(keeper, queues, devices, posts)) as server:
            self._taken = server.around
            self._held.give(devices, queues)
            yield

    async def drain(self) -> None:
        """Have the devices connect to other nodes, and return once they have left."""
        await self.keeper.drain()

    def follow_with(self, follower: ChangeFollower) -> Callable[[], bool]:
        """Have the registry read anew whenever there is a lease after there was none.

        :return: what tells whether what this node has in memory counts; senders are not answered by it else.
        """
        self._held.on_reclaim = follower.lapse
        is_good, is_fresh = self.keeper.is_good, follower.is_fresh
        self.is_current = lambda: is_good() and is_fresh()
        return self.is_current

    def serving_nodes(self) -> int:
        """Count the nodes that have a lease."""
        return 1 + len(self.keeper.others())

    def leads(self) -> bool:
        """Tell whether this node does what one of all does for all."""
        return self.keeper.leads()

    @property
    def fault(self) -> str | None:
        """Why the database cannot be used, as a sentence; None while it can."""
        return self.keeper.fault

    @property
    def cause(self) -> str | None:
        """Why no more clients are to be sent here, as a sentence; None: they may be."""
        return self.keeper.cause

    def gauges(self) -> dict[str, int]:
        """Return what there is now of nodes and links."""
        links, keeper = self._links.gauges(), self.keeper
        return {
            "nodes": self.serving_nodes(),
            "node_serves": int(keeper.is_good()),
            "node_leads": int(keeper.leads()),
            "node_drains": int(keeper.phase is Phase.DRAINING),
            "node_links": links["links"],
            "node_forwards": links["forwards"],
        }

    def totals(self) -> dict[str, int]:
        """Return what was counted of the lease and the links."""
        keeper, counts, taken = self.keeper, self._links.counts, self._taken
        return {
            "leases_renewed": keeper.renewed,
            "leases_lapsed": keeper.lapsed,
            "wakes": keeper.wakes,
            "forwards": counts.forwarded,
            "forwards_taken": 0 if taken is None else taken.taken,
            "forwards_busy": counts.busy,
            "forwards_unreachable": counts.unreachable,
            "forwards_unanswered": counts.unanswered,
            "links_dialled": counts.dialled,
            "links_failed": counts.failed,
            "links_refused": 0 if taken is None else sum(taken.refused.values()),
        }

    def rows(self) -> list[dict[str, Any]]:
        """Return what is known of each node, this one first; ``devices`` is known of this one only."""
        own = self.keeper.own
        now = own.granted + self.keeper.age  # without a lease nothing new is known of the others either
        rows = [_row(each, now) for each in (own, *self.keeper.others())]
        return [rows[0] | {"devices": self._count(), "state": self.keeper.phase.name.lower()}, *rows[1:]]


def _row(lease: LeaseRow, now: float) -> dict[str, Any]:
    return {
        "node": lease.node,
        "address": lease.address,
        "version": lease.version,
        "state": "draining" if lease.draining else "serving",
        "lease": lease.number,
        "renewed": round(max(now - lease.granted, 0.0), 1),
        "devices": None,
    }


@asynccontextmanager
async def open_node(
    shared: Shared, settings: ServiceSettings, depths: Depths, recurring: RepeatLog
) -> AsyncIterator[Node]:
    """Join the other nodes, and be one of them while the block runs; nothing is read before that which others may change.

    :raises PlatformUnavailable: the link's port is in use, its host is not ours, or the authority that is kept cannot be used.
    :raises StateUnavailable: there is no lease to be had.
    """
    identity = NodeIdentity(shared.node, await authority_of(shared.nodes, time.time()))
    host, _, port = (settings.link or DEFAULT_LINK).rpartition(":")
    with await listen(host.strip("[]"), int(port), None) as listener:
        address = settings.link_address or f"{host}:{listener.getsockname()[1]}"
        held = HeldDevices(settings.drain_timeout)
        keeper = LeaseKeeper(shared.nodes, Joining(shared.node, uuid4().hex, address, _PROGRAM), held, recurring)

        def lease() -> int:
            return keeper.lease

        def taking(taker: NodeTaker) -> Any:
            around = TakingContext(identity, lease, _PROGRAM, taker, _TERMS, recurring, keeper.is_good)
            return serving_links(listener, around)

        queues = SharedQueues(*(shared.nodes, shared.store, keeper, depths, shared.now, settings.max_stored), recurring)
        async with (
            open_node_links(identity, lease, _PROGRAM, recurring, _TERMS) as links,
            keeper.running(links, settings.acknowledge_timeout),
            queues.running(),
        ):
            if (
                keeper.others()
                and is_loopback(address.rpartition(":")[0].strip("[]"))
                and not is_loopback(settings.host)
            ):
                logger.warning(
                    "no node on another machine reaches this one at %s: give --link an address that leads here", address
                )
            yield Node(keeper, queues, shared, links, held, taking)
