"""The links of this node to the others: one connection to each, in which all that goes there keeps its order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Self

import anyio

from tocsin.protocol.messages.base import light
from tocsin.protocol.messages.node_protocol import Told
from tocsin.protocol.service.nodes.lease import Others
from tocsin.protocol.service.nodes.lease_row import LeaseRow
from tocsin.repeat_log import RepeatLog
from tocsin.service.nodes.dialled_node import DialledNode
from tocsin.service.nodes.forwarding import ForwardedPost, ForwardResult, NotPushed
from tocsin.service.nodes.forwards_out import LinkCounts, Settled
from tocsin.service.nodes.link_context import LinkContext
from tocsin.service.nodes.link_stream import PARTING
from tocsin.service.nodes.link_terms import LinkTerms
from tocsin.service.nodes.node_identity import NodeIdentity


@light
class NodePlace:
    """A node, and where its link is: host and port."""

    node: str
    address: str

    @classmethod
    def of(cls, lease: LeaseRow) -> Self:
        """Return where the node is that has a lease."""
        return cls(lease.node, lease.address)


class NodeLinks:
    """Forwards notifications to other nodes; made by :func:`open_node_links`."""

    def __init__(self, around: LinkContext) -> None:
        self._around = around
        self._nodes: dict[str, DialledNode] = {}
        self._left: set[DialledNode] = set()  # that are not all answered yet, and are dialled anew elsewhere
        self._is_closed = False

    @property
    def counts(self) -> LinkCounts:
        """The totals."""
        return self._around.counts

    def gauges(self) -> dict[str, int]:
        """Return how many nodes are known, how many connections to them there are, and how many forwards are on their way."""
        depth = sum(each.depth for each in (*self._nodes.values(), *self._left))
        return {"nodes": len(self._nodes), "links": len(self._around.streams), "forwards": depth}

    def push_now(self, to: NodePlace, post: ForwardedPost, settled: Settled) -> ForwardResult | None:
        """Forward a notification, and call back with its result; or return that at once, and forward nothing.

        What goes to one node goes in the order of the calls. It is forwarded once, whatever becomes of its connection.
        """
        if self._is_closed:
            return NotPushed.UNREACHABLE
        return self._at(to).push_now(post, settled)

    async def push(self, to: NodePlace, post: ForwardedPost) -> ForwardResult:
        """Forward as :meth:`push_now`, and wait for the result."""
        waiting: asyncio.Future[ForwardResult] = asyncio.get_running_loop().create_future()
        result = self.push_now(to, post, partial(_wake, waiting))
        return await waiting if result is None else result

    def look(self, to: NodePlace, devices: Iterable[str]) -> None:
        """Tell a node that queues or rows of devices have changed which may be connected to it; it may not be told."""
        if not self._is_closed:
            self._at(to).look(devices)

    def ask(self, places: Iterable[NodePlace]) -> Others:
        """Ask nodes whether they have a lease, and tell what they have lately said."""
        said = [] if self._is_closed else [self._at(each).ask() for each in places]
        if any(said):
            return Others.SERVE
        return Others.SILENT if said and not any(each is False for each in said) else Others.NONE

    def tell(self, to: NodePlace, message: Told) -> None:
        """Tell a node of toasts that were deleted which a device of it may have, or of what it has; it may not be told."""
        if not self._is_closed:
            self._at(to).tell(message)

    def drop(self, node: str) -> None:
        """Wait for nothing more of a node: it is known to have no lease any more."""
        dialled = self._nodes.pop(node, None)
        if dialled is not None:
            dialled.cut()
        for before in [each for each in self._left if each.node == node]:
            before.cut()

    async def aclose(self) -> None:
        """Forward nothing more, wait for what is on its way as long as that may take, and end all connections."""
        self._is_closed = True
        dialled = [*self._nodes.values(), *self._left]
        for each in dialled:
            each.leave()
        with anyio.move_on_after(self._around.terms.drain):
            for each in dialled:
                await each.closed.wait()
        for each in dialled:
            each.cut()
        await self._end()

    async def _end(self) -> None:
        """Wait until nothing is left of the connections."""
        tasks = [*self._around.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        with anyio.move_on_after(PARTING):
            for stream in [*self._around.streams]:
                await asyncio.shield(stream.over)
        for stream in [*self._around.streams]:
            stream.cut()

    def _at(self, place: NodePlace) -> DialledNode:
        dialled = self._nodes.get(place.node)
        if dialled is None or dialled.address != place.address:
            if dialled is not None:
                self._replace(dialled)
            dialled = self._nodes[place.node] = DialledNode(place.node, place.address, self._around)
        return dialled

    def _replace(self, dialled: DialledNode) -> None:
        """Let what is on its way to where the node was before be answered."""
        self._left = {each for each in self._left if not each.closed.is_set()}
        dialled.leave()
        if not dialled.closed.is_set():
            self._left.add(dialled)


@asynccontextmanager
async def open_node_links(
    identity: NodeIdentity,
    lease: Callable[[], int],
    program: str,
    recurring: RepeatLog,
    terms: LinkTerms | None = None,
) -> AsyncGenerator[NodeLinks]:
    """Forward notifications to other nodes while the block runs; connections are made when they are wanted.

    :param lease: gives the number of this node's lease.
    :param program: the version of Tocsin, for the other nodes.
    """
    links = NodeLinks(LinkContext(identity, lease, program, terms or LinkTerms(), recurring))
    try:
        yield links
    finally:
        with anyio.CancelScope(shield=True):  # for as long as the terms say
            await links.aclose()


def _wake(waiting: asyncio.Future[ForwardResult], result: ForwardResult) -> None:
    """Wake a caller's task, unless it was cancelled."""
    if not waiting.done():
        waiting.set_result(result)
