"""Nodes as tests see them: one that takes, one that forwards, and ends of links that are played by hand."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from typing import Any

from attrs import Factory, define, evolve

from tests.helpers import PATIENCE
from tocsin.protocol.messages import Message, Payload, codec
from tocsin.protocol.messages.framing import FrameSplitter, with_lengths
from tocsin.protocol.messages.node_protocol import (
    NODE_VERSION,
    AcknowledgeThere,
    Forward,
    NodeHello,
    NodeWelcome,
    WithdrawThere,
)
from tocsin.protocol.messages.unpacking import MAX_FRAME
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.values import NotificationType
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.forwarding import ForwardedPost, ForwardResult
from tocsin.service.nodes.forwards_out import Settled
from tocsin.service.nodes.link_server import LinkServer, serving_links
from tocsin.service.nodes.link_terms import LinkTerms
from tocsin.service.nodes.node_authority import host_of, make_node_authority
from tocsin.service.nodes.node_identity import NodeIdentity
from tocsin.service.nodes.node_links import NodeLinks, NodePlace, open_node_links
from tocsin.service.nodes.taken_link import LinkFault, TakingContext
from tocsin.service.registry.service_store import ChannelRow
from tocsin.service.web.listener import listen

AUTHORITY = make_node_authority(time.time())
"""Of all nodes of a test, but for strangers."""

CHANNEL_ID = "c"
BODY = b"body"


def identity(node: str) -> NodeIdentity:
    """Give a node what it proves itself with."""
    return NodeIdentity(node, AUTHORITY)


def post(id: str = "1", body: bytes = BODY, ttl: int | None = None) -> ForwardedPost:  # noqa: A002 - the field's name
    """Make a notification for a device at another node."""
    channel = ChannelRow(b"h" * 32, CHANNEL_ID, "client", "app", "d" * 64, 9e9, revoked=False)
    payload = Payload(id, CHANNEL_ID, NotificationType.RAW, body, None, 1)
    return ForwardedPost(7, 8, channel, payload, Notification(NotificationType.RAW, True, None, None, ttl, 1))  # noqa: FBT003


@define(eq=False)
class PlayedTaker:
    """Who has the devices: it keeps what comes, and answers as it is told."""

    answer: ForwardResult | None = PushResult.ACKNOWLEDGED
    """What is answered at once; None: what :attr:`later` is called with."""
    waits: bool = False
    """Whether it has to wait for what it answers."""
    fails: bool = False
    taken: list[ForwardedPost] = Factory(list)
    later: list[Settled] = Factory(list)
    looks: list[str] = Factory(list)
    withdrawn: list[WithdrawThere] = Factory(list)
    acknowledged: list[AcknowledgeThere] = Factory(list)
    stirred: asyncio.Event = Factory(asyncio.Event)

    def take_now(self, post: ForwardedPost, settled: Settled) -> bool:
        """Keep a notification, unless it has to wait."""
        if self.fails:
            raise RuntimeError("a fault of ours")
        if self.waits:
            return False
        self.taken.append(post)
        self.stirred.set()
        if self.answer is None:
            self.later.append(settled)
        else:
            settled(self.answer)
        return True

    async def take(self, post: ForwardedPost) -> ForwardResult:
        """Keep a notification a little later."""
        await asyncio.sleep(0)
        self.taken.append(post)
        assert self.answer is not None
        return self.answer

    def look(self, devices: Sequence[str]) -> None:
        """Keep their names."""
        self.looks += devices
        self.stirred.set()

    def withdraw(self, message: WithdrawThere) -> None:
        """Keep what was deleted."""
        self.withdrawn.append(message)
        self.stirred.set()

    def acknowledge(self, message: AcknowledgeThere) -> None:
        """Keep what was acknowledged."""
        self.acknowledged.append(message)
        self.stirred.set()

    async def until(self, holds: Callable[[], bool]) -> None:
        """Wait until something is so."""
        async with asyncio.timeout(PATIENCE):
            while not holds():
                self.stirred.clear()
                await self.stirred.wait()


async def until(holds: Callable[[], bool]) -> None:
    """Wait until something is so that no event tells of."""
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110  # as said
            await asyncio.sleep(0.001)


@define(eq=False)
class TakingNode:
    """A node that others forward to."""

    server: LinkServer
    taker: PlayedTaker
    place: NodePlace

    @property
    def port(self) -> int:
        """The port of its link."""
        return int(self.place.address.rpartition(":")[2])

    async def refused(self, fault: LinkFault, count: int = 1) -> None:
        """Wait until it has refused so many connections for that reason, and none for another."""
        counted = self.server.around.refused
        await until(lambda: counted.total() >= count)
        assert counted == {fault: count}


@asynccontextmanager
async def taking(node: str = "b", terms: LinkTerms | None = None, port: int = 0) -> AsyncIterator[TakingNode]:
    """Run a node that others forward to."""
    listener = await listen("127.0.0.1", port, None)
    place = NodePlace(node, f"127.0.0.1:{listener.getsockname()[1]}")
    taker = PlayedTaker()
    around = TakingContext(identity(node), lambda: 5, "1.0", taker, terms or LinkTerms(), RepeatLog())
    async with serving_links(listener, around) as server:
        yield TakingNode(server, taker, place)


def forwarding(terms: LinkTerms | None = None, node: str = "a") -> AbstractAsyncContextManager[NodeLinks]:
    """Run a node that forwards."""
    return open_node_links(identity(node), lambda: 4, "1.0", RepeatLog(), terms)


@define(eq=False)
class PlayedEnd:
    """One end of a link that the test plays, over TLS."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    _splitter: FrameSplitter = Factory(lambda: FrameSplitter(MAX_FRAME))
    _waiting: list[bytes] = Factory(list)

    def say(self, *messages: Message) -> None:
        """Send messages."""
        self.say_bytes(with_lengths(map(codec.encode, messages)))

    def say_bytes(self, data: bytes) -> None:
        """Send bytes."""
        self.writer.write(data)

    async def hear(self) -> Message | None:
        """Wait for the next message; None where the connection has ended."""
        async with asyncio.timeout(PATIENCE):
            while not self._waiting:
                try:
                    data = await self.reader.read(65_536)
                except OSError:
                    return None
                if not data:
                    return None
                self._waiting += self._splitter.feed(data)
        return codec.decode(self._waiting.pop(0))

    async def hear_forward(self) -> Forward:
        """Wait for a forward."""
        message = await self.hear()
        assert isinstance(message, Forward)
        return message

    async def greet(self, node: str = "a", version: int = NODE_VERSION, oldest: int = 1) -> Message | None:
        """Say hello, and return the answer."""
        self.say(NodeHello(version, oldest, node, 4, "1.0"))
        return await self.hear()

    async def aclose(self) -> None:
        """End the connection."""
        self.writer.transport.abort()
        with suppress(OSError):
            await self.writer.wait_closed()


@asynccontextmanager
async def dialling(to: TakingNode, tls: ssl.SSLContext | None = None, node: str = "a") -> AsyncIterator[PlayedEnd]:
    """Dial a node by hand."""
    context = tls or identity(node).for_dialling()
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", to.port, ssl=context, server_hostname=host_of(to.place.node)
    )
    end = PlayedEnd(reader, writer)
    try:
        yield end
    finally:
        await end.aclose()


@define(eq=False)
class PlayedNode:
    """A node that is dialled, and is played by hand."""

    place: NodePlace
    ends: asyncio.Queue[PlayedEnd] = Factory(asyncio.Queue)
    all: list[PlayedEnd] = Factory(list)

    async def dialled(self, window: int = 100) -> PlayedEnd:
        """Wait until it is dialled, and say welcome."""
        async with asyncio.timeout(PATIENCE):
            end = await self.ends.get()
        assert isinstance(await end.hear(), NodeHello)
        end.say(NodeWelcome(NODE_VERSION, self.place.node, 5, "1.0", window))
        return end


@asynccontextmanager
async def played(node: str = "b", tls: ssl.SSLContext | None = None, buffer: int = 65_536) -> AsyncIterator[PlayedNode]:
    """Play a node that is dialled.

    :param buffer: bytes that it takes unread, about.
    """
    listener = socket.create_server(("127.0.0.1", 0))
    found = PlayedNode(NodePlace(node, f"127.0.0.1:{listener.getsockname()[1]}"))

    def take(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        end = PlayedEnd(reader, writer)
        found.all.append(end)
        found.ends.put_nowait(end)

    context = tls or identity(node).for_taking()
    server = await asyncio.start_server(take, sock=listener, ssl=context, limit=buffer)
    try:
        yield found
    finally:
        server.close()
        for end in found.all:
            await end.aclose()


def hasty(**changes: Any) -> LinkTerms:
    """Give terms for a test that waits for the end of a time."""
    return evolve(LinkTerms(dial_timeout=0.3, silence=0.3, first_rest=0.01, longest_rest=0.02, drain=0.3), **changes)


async def all_of(links: NodeLinks, place: NodePlace, posts: Sequence[ForwardedPost]) -> list[ForwardResult]:
    """Forward several at once."""
    return list(await asyncio.gather(*(links.push(place, each) for each in posts)))
