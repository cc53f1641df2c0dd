"""The connection to one other node, as the table of ``tocsin.protocol.service.node_link`` has it."""

from __future__ import annotations

import asyncio
import logging
import math
import random
from collections.abc import Callable, Iterable
from contextvars import Context
from typing import ClassVar, Final

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.kernel.backoff import backoff
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.messages import Message, codec
from tocsin.protocol.messages.node_protocol import (
    NODE_VERSION,
    OLDEST_NODE_VERSION,
    ForwardsAnswered,
    NodeGoodbye,
    NodeHello,
    NodePing,
    NodePong,
    NodeRefused,
    NodeWelcome,
    Told,
)
from tocsin.protocol.service.node_link import CONNECTED, SENDING, TABLE, TAKING, Effect, Event, Phase
from tocsin.protocol.text import harmless
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.forwarding import ForwardedPost, ForwardResult, NotPushed
from tocsin.service.nodes.forwards_out import ForwardsOut, Settled
from tocsin.service.nodes.link_context import LinkContext
from tocsin.service.nodes.link_stream import LinkStream, why_of

_ROUNDS: Final = 4  # times that it is looked, while a node may be silent, whether it is
_MAX_WINDOW: Final = 1_048_576
_OF_NONE: Final = Context()  # a link's lines are about no notification, also where one has had it dialled

logger = logging.getLogger(__name__)


class DialledNode:
    """One other node: what it is sent, and its answers.

    :param address: host and port of its link.
    """

    def __init__(self, node: str, address: str, around: LinkContext) -> None:
        self.node = node
        self.address = address
        self.phase = Phase.IDLE
        self._around = around
        self._loop = asyncio.get_running_loop()
        self._out = ForwardsOut(around.terms.backlog, around.terms.answer_timeout, around.counts)
        self._urgent: list[bytes] = []
        self._stream: LinkStream | None = None
        self._dialling: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None  # of dialling, or of rest
        self._rounds: asyncio.TimerHandle | None = None
        self._failures = 0
        self._since = 0.0  # when an answer began to be awaited
        self._serves, self._said = False, -math.inf  # whether it has a lease, and when it has said that
        self.closed = asyncio.Event()
        """Set once nothing will be sent to it any more."""

    # What the service does with it

    @property
    def depth(self) -> int:
        """Forwards that wait, or are sent and not answered."""
        return self._out.depth

    def push_now(self, post: ForwardedPost, settled: Settled) -> ForwardResult | None:
        """Send a notification, and call back with its result; or return that at once, and send nothing."""
        counts = self._around.counts
        if self.phase not in TAKING:
            counts.unreachable += 1
            return NotPushed.UNREACHABLE
        if self._out.is_full:
            counts.busy += 1
            return PushResult.BUSY
        self._out.add(post, self._loop.time(), settled)
        self._step(Event.WANTED)
        self._go_round()
        return None

    def look(self, devices: Iterable[str]) -> None:
        """Tell it to look into the queues and rows of these devices; where it cannot be told, it finds that out by itself."""
        if self.phase in TAKING:
            self._out.look(devices)
            self._step(Event.WANTED)

    def ask(self) -> bool | None:
        """Ask it whether it has a lease, and tell what it has lately said; None: nothing."""
        if self.phase in TAKING:
            self._step(Event.WANTED)
        if self.phase in CONNECTED and not self._urgent:
            self._ping()
        said = self._loop.time() - self._said < self._around.terms.silence / 2
        return self._serves if said else None

    def tell(self, message: Told) -> None:
        """Tell it of deleted toasts, which its device keeps where it cannot be told, as one that is away does; or of what a device has."""
        if self.phase in TAKING:
            self._out.tell(message)
            self._step(Event.WANTED)

    def leave(self) -> None:
        """Take nothing more, and part once all that was taken is answered."""
        if self.phase is not Phase.CLOSED:
            self._step(Event.LEAVE)
            self._look_if_settled()

    def cut(self) -> None:
        """Part at once: the node is dead, or too slow to be waited for."""
        if self.phase is not Phase.CLOSED:
            self._step(Event.CUT)

    # What its connection says

    def made(self, stream: LinkStream) -> None:
        """Say hello."""
        self._around.streams.add(stream)
        stream.over.add_done_callback(lambda _: self._around.streams.discard(stream))
        identity = self._around.identity
        hello = NodeHello(NODE_VERSION, OLDEST_NODE_VERSION, identity.node, self._around.lease(), self._around.program)
        self._urgent = [codec.encode(hello)]
        stream.join()

    def take(self, message: Message) -> None:
        """Take what the other node says."""
        if self.phase is Phase.DIALING:
            self._greeted(message)
            return
        match message:
            case ForwardsAnswered():
                self._failures = 0
                self._out.answered(message)
                if self._out.has_waiting:
                    self._join()
            case NodePong(serves=serves):
                self._failures, self._serves, self._said = 0, serves, self._loop.time()
            case NodeGoodbye() if self.phase is not Phase.PARTING:
                self._step(Event.GOODBYE)
            case _:
                raise ProtocolViolation(f"a node that was dialled does not send {type(message).__name__} here")
        self._look_if_settled()

    def frames(self) -> list[bytes]:
        """Return what is to be sent now, in part."""
        frames, self._urgent = self._urgent, []
        if self.phase in SENDING:
            if not self._out.is_awaited:
                self._since = self._loop.time()
            frames += self._out.take()
        return frames

    def ended(self, why: str, *, wrong: bool) -> None:
        """Learn that the connection has ended."""
        del wrong
        if self.phase is Phase.DIALING:
            self._fail(why or "it has closed the connection")
        elif self.phase in CONNECTED:
            self._lose(why or "it has closed the connection")

    def _greeted(self, message: Message) -> None:
        match message:
            case NodeWelcome(version=version, window=window):
                if not OLDEST_NODE_VERSION <= version <= NODE_VERSION or not 0 < window <= _MAX_WINDOW:
                    raise ProtocolViolation("its welcome is not one that was asked for")
                self._stop_timer()
                self._out.window = window
                _OF_NONE.run(logger.info, "the link to node %s at %s is up", self.node, self.address)
                self._step(Event.WELCOMED)
            case NodeRefused(text=text):
                self._fail(f"it says: {harmless(text, 200)}")
            case _:
                raise ProtocolViolation(f"a node that was dialled does not begin with {type(message).__name__}")

    # Time

    def _go_round(self) -> None:
        """Look from time to time, while something is on its way, whether the other node is there."""
        if self._rounds is None:
            self._rounds = self._loop.call_later(self._around.terms.silence / _ROUNDS, self._round)

    def _round(self) -> None:
        self._rounds = None
        now, terms = self._loop.time(), self._around.terms
        self._out.expire(now)
        if self._stream is not None and self.phase in CONNECTED and self._out.is_awaited:
            quiet = now - max(self._stream.heard, self._since)
            if quiet >= terms.silence:
                self._failures += 1
                self._log_end(f"nothing was heard of it for {terms.silence:g} s")
                self._step(Event.SILENT)
            elif quiet >= terms.silence / 2:
                self._ping()
        self._look_if_settled()
        if self.phase is not Phase.CLOSED and (self._out.depth or self._out.is_awaited):
            self._go_round()

    def _ping(self) -> None:
        self._urgent.append(codec.encode(NodePing()))
        self._join()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # The table

    def _step(self, event: Event) -> None:
        self.phase, effects = step(TABLE, self.phase, event)
        for effect in effects:
            self._PERFORM[effect](self)
        if self.phase is Phase.CLOSED:
            self._end()

    def _dial(self) -> None:
        self._around.counts.dialled += 1
        self._timer = self._loop.call_later(self._around.terms.dial_timeout, self._fail, "it does not answer")
        self._dialling = self._loop.create_task(self._connect())
        self._around.tasks.add(self._dialling)
        self._dialling.add_done_callback(self._around.tasks.discard)

    async def _connect(self) -> None:
        self._stream = stream = LinkStream(self, self._around.turn)
        try:
            await stream.dial(self.address, self.node, self._around.identity)
        except Exception as failure:  # noqa: BLE001  # whatever it is, the node cannot be reached
            if self._stream is stream:
                self._dialling = None  # this task, which is not to be cancelled
                self._fail(why_of(failure))

    def _fail(self, why: str) -> None:
        """End a try, unless it has ended."""
        if self.phase is not Phase.DIALING:
            return
        self._hang_up()
        self._failures += 1
        self._around.counts.failed += 1
        self._log(f"the link to node {self.node} at {self.address} is not to be had: {why}")
        self._step(Event.FAILED)

    def _lose(self, why: str) -> None:
        self._log_end(why)
        self._stream = None
        self._urgent = []
        self._step(Event.LOST)
        if self.phase is Phase.IDLE and self._out.has_waiting:
            self._step(Event.WANTED)

    def _look_if_settled(self) -> None:
        if self.phase in {Phase.PARTING, Phase.CLOSING} and not self._out.depth:
            self._step(Event.SETTLED)

    def _join(self) -> None:
        if self._stream is not None:
            self._stream.join()

    def _rest(self) -> None:
        terms = self._around.terms
        wait = backoff(terms.first_rest, terms.longest_rest, max(self._failures, 1), random.random())  # noqa: S311  # no secret
        self._timer = self._loop.call_later(wait, self._step, Event.RESTED)

    def _hang_up(self) -> None:
        self._stop_timer()
        stream, self._stream = self._stream, None
        self._urgent = []
        if self._dialling is not None:
            self._dialling.cancel()
            self._dialling = None
        if stream is not None:
            stream.cut()

    def _part(self) -> None:
        stream, self._stream = self._stream, None
        if stream is not None:
            stream.part()

    def _end(self) -> None:
        self._stop_timer()
        if self._rounds is not None:
            self._rounds.cancel()
        self.closed.set()

    def _log_end(self, why: str) -> None:
        self._log(f"the link to node {self.node} at {self.address} has ended: {why}")

    def _log(self, sentence: str) -> None:
        _OF_NONE.run(self._around.recurring.log, logger, logging.WARNING, sentence, "%s", sentence)

    _PERFORM: ClassVar[dict[Effect, Callable[[DialledNode], None]]] = {
        Effect.DIAL: _dial,
        Effect.SEND: _join,
        Effect.REFUSE: lambda self: self._out.refuse(),
        Effect.GIVE_UP: lambda self: self._out.give_up(),
        Effect.REST: _rest,
        Effect.PART: _part,
        Effect.HANG_UP: _hang_up,
    }
