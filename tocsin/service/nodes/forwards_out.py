"""What waits to go to one node, and what that node has yet to answer. A forward is sent once: it never comes twice by itself."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import Final

from attrs import define

from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.messages import codec
from tocsin.protocol.messages.node_protocol import ForwardsAnswered, LookInto, Told
from tocsin.service.nodes.forwarding import ForwardedPost, ForwardResult, NotPushed, encode, meaning_of

MAX_BYTES: Final = 64 * 1024
"""Bytes that one write has before its last forward at most."""

MAX_LOOKS: Final = 4_096
"""Devices that another node is told to look into at a time at most: it finds the others by itself."""

MAX_TOLD: Final = 4_096
"""Words on devices that wait at a time at most; the oldest gives way."""

_AT_ONCE: Final = 256  # devices of one frame, and words of one write

Settled = Callable[[ForwardResult], None]
"""Is called once, with what has become of a forward."""


@define(eq=False)
class LinkCounts:
    """What nodes have forwarded to one another, since the service was started."""

    forwarded: int = 0
    """Notifications that were given to a link."""
    answered: int = 0
    busy: int = 0
    """Those that were refused, because too many waited."""
    unreachable: int = 0
    unanswered: int = 0
    dialled: int = 0
    """Connections that were tried."""
    failed: int = 0
    """Those of them that were not made."""


@define(eq=False)
class _Pending:
    """A forward whose caller waits; ``deadline`` on the loop's clock."""

    frame: bytes
    deadline: float
    settle: Settled


class ForwardsOut:
    """The forwards to one node, over one connection after the other.

    All have the same time, so that those sent, then those waiting, are in the order of their deadlines.

    :param backlog: forwards that wait at most.
    :param timeout: seconds to the answer.
    """

    def __init__(self, backlog: int, timeout: float, counts: LinkCounts) -> None:
        self.window = 0
        """Forwards that the node takes unanswered; it says so when it welcomes."""
        self._backlog = backlog
        self._timeout = timeout
        self._number = 0
        self._waiting: deque[tuple[int, _Pending]] = deque()
        self._sent: dict[int, _Pending] = {}
        self._counts = counts
        self._looks: dict[str, None] = {}
        self._told: deque[Told] = deque(maxlen=MAX_TOLD)
        self._late: set[int] = set()  # sent, and their callers wait no more: they keep their places in the window

    @property
    def depth(self) -> int:
        """How many callers wait."""
        return len(self._waiting) + len(self._sent)

    @property
    def is_full(self) -> bool:
        """Whether no more may wait."""
        return len(self._waiting) >= self._backlog

    @property
    def has_waiting(self) -> bool:
        """Whether something is to be sent."""
        return bool(self._waiting or self._looks or self._told)

    @property
    def is_awaited(self) -> bool:
        """Whether the node has something to answer."""
        return bool(self._sent or self._late)

    def add(self, post: ForwardedPost, now: float, settled: Settled) -> None:
        """Let a forward wait to be sent."""
        self._counts.forwarded += 1
        self._number += 1
        self._waiting.append((self._number, _Pending(encode(self._number, post), now + self._timeout, settled)))

    def look(self, devices: Iterable[str]) -> None:
        """Let the node be told to look into the queues and rows of these devices."""
        self._looks.update(dict.fromkeys(devices))
        while len(self._looks) > MAX_LOOKS:
            del self._looks[next(iter(self._looks))]

    def tell(self, message: Told) -> None:
        """Let the node be told of toasts that were deleted, or of payloads that were acknowledged."""
        self._told.append(message)

    def take(self) -> list[bytes]:
        """Return what may be sent now, up to the limits of one write."""
        frames = self._take_looks() if self._looks else []
        while self._told and len(frames) < _AT_ONCE:
            frames.append(codec.encode(self._told.popleft()))
        room, size = self.window - len(self._sent) - len(self._late), 0
        while self._waiting and room > 0 and size < MAX_BYTES:
            room -= 1
            number, pending = self._waiting.popleft()
            frames.append(pending.frame)
            size += len(pending.frame)
            pending.frame = b""
            self._sent[number] = pending
        return frames

    def _take_looks(self) -> list[bytes]:
        devices = tuple(self._looks)[:_AT_ONCE]
        for device in devices:
            del self._looks[device]
        return [codec.encode(LookInto(devices))]

    def answered(self, message: ForwardsAnswered) -> None:
        """Settle what the node has answered.

        :raises ProtocolViolation: it was not sent.
        """
        for number, word in zip(message.requests, message.ends, strict=True):
            pending = self._sent.pop(number, None)
            if pending is not None:
                self._counts.answered += 1
                pending.settle(meaning_of(word))
            elif number in self._late:
                self._late.discard(number)
            else:
                raise ProtocolViolation("an answer to what was not asked")

    def refuse(self) -> None:
        """Settle what waits: the node cannot be reached."""
        waiting, self._waiting = self._waiting, deque()
        self._looks.clear()
        self._told.clear()
        self._settle((pending for _, pending in waiting), NotPushed.UNREACHABLE)

    def give_up(self) -> None:
        """Settle what was sent: there will be no answer."""
        sent, self._sent = self._sent, {}
        self._late.clear()
        self._settle(sent.values(), NotPushed.UNANSWERED)

    def expire(self, now: float) -> None:
        """Settle what has waited for too long."""
        late = list(takewhile(lambda item: item[1].deadline <= now, self._sent.items()))
        for number, _ in late:
            del self._sent[number]
            self._late.add(number)
        overdue: list[_Pending] = []
        while self._waiting and self._waiting[0][1].deadline <= now:
            overdue.append(self._waiting.popleft()[1])
        self._settle((pending for _, pending in late), NotPushed.UNANSWERED)
        self._settle(overdue, NotPushed.UNREACHABLE)

    def _settle(self, several: Iterable[_Pending], result: NotPushed) -> None:
        for pending in several:
            if result is NotPushed.UNREACHABLE:
                self._counts.unreachable += 1
            else:
                self._counts.unanswered += 1
            pending.settle(result)
