"""A connection that another node has made to this one: it forwards, and this one answers."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from enum import StrEnum, unique
from functools import partial
from typing import Any, Final, Protocol

from attrs import Factory, define

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.messages import Message, codec
from tocsin.protocol.messages.node_protocol import (
    NODE_VERSION,
    OLDEST_NODE_VERSION,
    AcknowledgeThere,
    Forward,
    ForwardsAnswered,
    LookInto,
    NodeGoodbye,
    NodeHello,
    NodePing,
    NodePong,
    NodeRefused,
    NodeWelcome,
    WithdrawThere,
)
from tocsin.repeat_log import RepeatLog
from tocsin.service.nodes.forwarding import ForwardedPost, ForwardResult, NotPushed, read, word_of
from tocsin.service.nodes.forwards_out import Settled
from tocsin.service.nodes.link_stream import LinkStream
from tocsin.service.nodes.link_terms import LinkTerms
from tocsin.service.nodes.node_identity import NodeIdentity

HAS_LEFT: Final = "it has left"
"""Why a connection has ended that the other has closed."""

_ANSWERS: Final = 1_024  # of one message
_PONGS: Final = (codec.encode(NodePong(serves=False)), codec.encode(NodePong(serves=True)))

logger = logging.getLogger(__name__)


@unique
class LinkFault(StrEnum):
    """Why a connection to the link was refused, or cut off."""

    TLS = "tls"
    """No TLS is spoken, or without a certificate of the nodes' authority that is good now."""
    SILENT = "silent"
    """It was not heard of in time."""
    CROWDED = "crowded"
    """It gave way to newer ones."""
    VERSION = "version"
    PROTOCOL = "protocol"
    """What it has sent is none of a node, or not to be sent there."""


class ForwardTaker(Protocol):
    """Who has the devices that other nodes forward to.

    A forward may have been on its way for long, such as where this process stood still, and its sender may wait no more: so whether this
    node's lease is good, and whether the device has the connection that the forward names, is asked of each when it comes.
    """

    def take_now(self, post: ForwardedPost, settled: Settled) -> bool:
        """Take a notification and call back with its result, if that is possible at once; tell whether it is, and else do nothing."""
        ...

    async def take(self, post: ForwardedPost) -> ForwardResult:
        """Take a notification, and return what has become of it."""
        ...

    def look(self, devices: Sequence[str]) -> None:
        """Look into the queues and rows of these devices, if they are connected here."""
        ...

    def withdraw(self, message: WithdrawThere) -> None:
        """Tell a device of toasts that were deleted, if it is connected here."""
        ...

    def acknowledge(self, message: AcknowledgeThere) -> None:
        """Let payloads end that a device has, if it is connected here."""
        ...


@define(eq=False)
class TakingContext:
    """What the connections that other nodes have made share.

    :param lease: gives the number of this node's lease.
    :param serves: tells whether that is good.
    """

    identity: NodeIdentity
    lease: Callable[[], int]
    program: str
    taker: ForwardTaker
    terms: LinkTerms
    recurring: RepeatLog
    serves: Callable[[], bool] = lambda: True
    taken: int = 0
    """Forwards that have come."""
    refused: Counter[LinkFault] = Factory(Counter)
    """Connections that were refused, or cut off."""
    tasks: set[asyncio.Task[None]] = Factory(set)
    """Those that deal with connections and forwards that have to wait."""

    def refuse(self, fault: LinkFault, why: str) -> None:
        """Count a connection that is not let in, or not any more, and say why."""
        self.refused[fault] += 1
        self.recurring.log(
            logger, logging.WARNING, fault, "a connection to the link between nodes was refused: %s", why
        )

    def note_gone(self, whose: str, why: str) -> None:
        """Say that a connection was ended by the other before it was let in: a node that gives up or stops does so, and it was not refused."""
        self.recurring.log(
            logger, logging.INFO, "gone", "a connection to the link between nodes has left early: %s: %s", whose, why
        )

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a task that is waited for when the node leaves."""
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)


class TakenLink:
    """One such connection.

    :param greeted: is called once it is known whose it is.
    :param left: is called once it has ended.
    """

    def __init__(
        self, around: TakingContext, greeted: Callable[[TakenLink], None], left: Callable[[TakenLink], None]
    ) -> None:
        self._around = around
        self._on_greeted = greeted
        self._on_left = left
        self._open: set[int] = set()
        self._numbers: list[int] = []
        self._words: list[str] = []
        self._urgent: list[bytes] = []
        self._is_leaving = False
        self.stream: LinkStream | None = None
        self.hello: NodeHello | None = None
        """What the other node has said of itself; None before that."""
        self.heard_of = asyncio.Event()
        """Set once it is known whose it is, or it has ended."""

    # What the service does with it

    def leave(self) -> None:
        """Say goodbye; the other node ends the connection once all that it has sent is answered."""
        if self.stream is not None and not self._is_leaving:
            self._is_leaving = True
            self._say(codec.encode(NodeGoodbye()))

    def cut(self) -> None:
        """End at once."""
        if self.stream is not None:
            self.stream.cut()
            self._end()

    # What its connection says

    def made(self, stream: LinkStream) -> None:
        """Wait for hello."""
        self.stream = stream

    def take(self, message: Message) -> None:
        """Take what the other node says."""
        if self.hello is None:
            self._greet(message)
            return
        match message:
            case Forward(request=request):
                self._forward(request, message)
            case LookInto(devices=devices):
                self._around.taker.look(devices)
            case WithdrawThere():
                self._around.taker.withdraw(message)
            case AcknowledgeThere():
                self._around.taker.acknowledge(message)
            case NodePing():
                if (
                    not self._urgent or self._urgent[-1] not in _PONGS
                ):  # else a node that does not read has it said to it later
                    self._say(_PONGS[self._around.serves()])
            case _:
                raise ProtocolViolation(f"a node that has dialled does not send {type(message).__name__} here")

    def frames(self) -> list[bytes]:
        """Return what is to be sent now, in part."""
        frames, self._urgent = self._urgent, []
        if self._numbers:
            numbers, words = tuple(self._numbers[:_ANSWERS]), tuple(self._words[:_ANSWERS])
            del self._numbers[:_ANSWERS], self._words[:_ANSWERS]
            frames.append(codec.encode(ForwardsAnswered(numbers, words)))
        return frames

    def ended(self, why: str, *, wrong: bool) -> None:
        """Learn that the connection has ended."""
        whose = "one of which it was not known whose it is" if self.hello is None else f"that of node {self.hello.node}"
        if wrong:
            self._around.refuse(LinkFault.PROTOCOL, f"{whose}: {why}")
        elif self.hello is None:
            self._around.note_gone(whose, why or HAS_LEFT)
        self._end()

    # The conversation

    def _greet(self, message: Message) -> None:
        if not isinstance(message, NodeHello):
            raise ProtocolViolation(f"a node does not begin with {type(message).__name__}")
        stream, around = self.stream, self._around
        assert stream is not None  # noqa: S101  # it has brought the message
        if not stream.node or message.node != stream.node:
            raise ProtocolViolation("it says that it is another node than its certificate does")
        version = min(message.version, NODE_VERSION)
        if version < max(message.oldest, OLDEST_NODE_VERSION):
            why = (
                f"node {around.identity.node} speaks the versions {OLDEST_NODE_VERSION} to {NODE_VERSION} of the link, and node"
                f" {message.node} {message.oldest} to {message.version}: upgrade the older by way of a version between them"
            )
            around.refuse(LinkFault.VERSION, why)
            stream.part(codec.encode(NodeRefused(why)))
            self._end()
            return
        self.hello = message
        self._say(
            codec.encode(
                NodeWelcome(version, around.identity.node, around.lease(), around.program, around.terms.window)
            )
        )
        self.heard_of.set()
        self._on_greeted(self)

    def _forward(self, request: int, message: Forward) -> None:
        if request in self._open or len(self._open) >= self._around.terms.window:
            raise ProtocolViolation("it forwards more than it was told that it may")
        self._open.add(request)
        self._around.taken += 1
        settled = partial(self._answer, request)
        post = read(message)
        try:
            if not self._around.taker.take_now(post, settled):
                self._around.start(self._take(post, settled))
        except Exception:
            logger.exception("a notification of another node could not be taken")
            settled(NotPushed.UNAVAILABLE)

    async def _take(self, post: ForwardedPost, settled: Settled) -> None:
        try:
            settled(await self._around.taker.take(post))
        except Exception:
            logger.exception("a notification of another node could not be taken")
            settled(NotPushed.UNAVAILABLE)

    def _answer(self, request: int, result: ForwardResult) -> None:
        if self.stream is None or request not in self._open:  # it has ended, or this is an error of ours
            return
        self._open.discard(request)
        self._numbers.append(request)
        self._words.append(word_of(result))
        self.stream.join()

    def _say(self, frame: bytes) -> None:
        self._urgent.append(frame)
        if self.stream is not None:
            self.stream.join()

    def _end(self) -> None:
        self.stream = None
        self._open.clear()
        self.heard_of.set()
        self._on_left(self)
