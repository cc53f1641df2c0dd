"""Where the other nodes of a service connect to this one: a listening socket of its own, on which only nodes are let in."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Final

import anyio
from attrs import frozen

from tocsin.protocol.network.proxies import place
from tocsin.service.devices.turn import WritingTurn
from tocsin.service.nodes.link_stream import PARTING, LinkStream, why_of
from tocsin.service.nodes.taken_link import HAS_LEFT, LinkFault, TakenLink, TakingContext

_PAUSE: Final = 1.0  # seconds until the next try, where the system lets no connection in
_LOOK: Final = 0.005  # seconds between two looks whether all have gone

logger = logging.getLogger(__name__)


@frozen
class LinkedNode:
    """Another node, as it has said hello."""

    node: str
    lease: int
    program: str


@frozen
class _Newcomer:
    """A connection of which it is not known yet whose it is."""

    stream: LinkStream
    opened: socket.socket
    scope: anyio.CancelScope

    def cut(self) -> None:
        """End it at once."""
        self.stream.cut()
        if self.stream.transport is None:  # else the socket is its
            self.opened.close()


class LinkServer:
    """Takes the connections of other nodes; made by :func:`serving_links`."""

    def __init__(self, around: TakingContext) -> None:
        self.around = around
        """What is counted of them, too."""
        self._turn = WritingTurn()
        self._newcomers: dict[TakenLink, _Newcomer] = {}  # in the order in which they came
        self._links: dict[TakenLink, LinkStream] = {}
        self._is_leaving = False

    @property
    def nodes(self) -> list[LinkedNode]:
        """The nodes that are connected, one for each connection."""
        return [
            LinkedNode(link.hello.node, link.hello.lease, link.hello.program)
            for link in self._links
            if link.hello is not None
        ]

    async def run(self, listener: socket.socket) -> None:
        """Let connections in until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            try:
                opened, address = await loop.sock_accept(listener)
            except OSError as failure:  # such as a system without descriptors, or a connection that has gone
                self.around.recurring.log(
                    logger, logging.ERROR, failure.errno, "a node was not let in: %s", failure.strerror or failure
                )
                await anyio.sleep(_PAUSE)
                continue
            self._meet(opened, place(*address[:2]))

    def _meet(self, opened: socket.socket, whence: str) -> None:
        """Begin to find out whose a connection is."""
        while len(self._newcomers) >= self.around.terms.newcomers:  # the oldest gives way
            self._newcomers.pop(next(iter(self._newcomers))).scope.cancel()
        link = TakenLink(self.around, self._greeted, self._left)
        newcomer = self._newcomers[link] = _Newcomer(LinkStream(link, self._turn), opened, anyio.CancelScope())
        self.around.start(self._let_in(link, newcomer, whence))

    async def _let_in(self, link: TakenLink, newcomer: _Newcomer, whence: str) -> None:
        """Speak TLS with a connection, and wait until it is known whose it is."""
        fault: LinkFault | None = LinkFault.SILENT
        why = "it was silent for too long"
        newcomer.scope.deadline = anyio.current_time() + self.around.terms.dial_timeout
        with newcomer.scope:
            try:
                await self._speak_tls(newcomer)
                await link.heard_of.wait()
            except (ConnectionError, ssl.SSLEOFError) as failure:  # the other has ended it, stranger or node
                fault, why = None, why_of(failure) or HAS_LEFT
            except OSError as failure:  # it speaks no TLS, or is no node
                fault, why = LinkFault.TLS, why_of(failure)
            except Exception as failure:
                logger.exception("a connection to the link between nodes could not be made")
                fault, why = LinkFault.TLS, why_of(failure)
        if self._newcomers.pop(link, None) is None:
            fault, why = LinkFault.CROWDED, "too many came at a time of which it was not known whose they are"
        if link.heard_of.is_set():
            return
        if fault is None:
            self.around.note_gone(f"from {whence}", why)
        else:
            self.around.refuse(fault, f"from {whence}: {why}")
        newcomer.cut()

    async def _speak_tls(self, newcomer: _Newcomer) -> None:
        newcomer.opened.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)  # a machine that is gone says nothing
        await asyncio.get_running_loop().connect_accepted_socket(
            lambda: newcomer.stream,
            newcomer.opened,
            ssl=self.around.identity.for_taking(),
            ssl_shutdown_timeout=PARTING,
        )

    def _greeted(self, link: TakenLink) -> None:
        """Count a connection among those of its node; the oldest of too many gives way."""
        assert link.hello is not None  # noqa: S101  # it has greeted
        newcomer = self._newcomers.get(link)
        if newcomer is None:  # it had to give way just now
            link.cut()
            return
        self._links[link] = newcomer.stream
        logger.info("node %s is linked", link.hello.node)
        same = [each for each in self._links if each.hello is not None and each.hello.node == link.hello.node]
        if self._is_leaving:
            link.leave()
        for each in same[: max(len(same) - self.around.terms.per_node, 0)]:
            self.around.refuse(LinkFault.CROWDED, f"node {link.hello.node} has more than it needs")
            each.cut()

    def _left(self, link: TakenLink) -> None:
        self._links.pop(link, None)

    async def aclose(self) -> None:
        """Say goodbye to all nodes, answer what they have sent, and end all connections."""
        self._is_leaving = True
        for link in [*self._links]:
            link.leave()
        with anyio.move_on_after(self.around.terms.drain):
            while self._links:  # noqa: ASYNC110  # looked at once
                await asyncio.sleep(_LOOK)
        newcomers = [*self._newcomers.values()]
        streams = [*self._links.values(), *(each.stream for each in newcomers)]
        for link in [*self._links]:
            link.cut()
        tasks = [*self.around.tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for newcomer in newcomers:
            newcomer.cut()
        with anyio.move_on_after(PARTING):
            for stream in streams:
                if stream.transport is not None:
                    await asyncio.shield(stream.over)


@asynccontextmanager
async def serving_links(listener: socket.socket, around: TakingContext) -> AsyncGenerator[LinkServer]:
    """Take the connections of other nodes while the block runs.

    :param listener: a socket that listens, for nodes and nothing else (``tocsin.service.web.listener.listen``).
    """
    server = LinkServer(around)
    running = asyncio.get_running_loop().create_task(server.run(listener))
    try:
        yield server
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        listener.close()
        with anyio.CancelScope(shield=True):  # for as long as the terms say
            await server.aclose()
