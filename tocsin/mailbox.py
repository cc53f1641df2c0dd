"""A mailbox: frames wait in it for one reader.

What is sent waits for room: a full mailbox is back-pressure. An urgent message, such as an answer, has a queue of its own
and never waits, since its room was paid for when the question was sent: that is what keeps a ring of actors free of deadlock. So each of them must
be owed to something of which there is a bounded number: a question or a payload that is out, a channel whose handlers or
owner have changed (told once a moment, however often that was), an actor that began anew. How something stands, which may
change at any time, is put as a state: it takes the place of what was said before and has not been read.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Self

from anyio import EndOfStream, Event
from anyio.lowlevel import checkpoint
from attrs import frozen

from tocsin.protocol.errors import Busy, PlatformUnavailable
from tocsin.protocol.messages import Message
from tocsin.protocol.messages.codec import encode
from tocsin.tasks import Signal

BATCH = 256
"""Frames that one batch has at most, so that no reader keeps the loop from the others."""


@frozen
class MailboxStatistics:
    """What has gone through a mailbox: ``depth`` now, the deepest so far, frames handled, frames that died."""

    name: str
    capacity: int
    depth: int
    high_water: int
    handled: int
    dead: int


class Mailbox:
    """A bounded queue of frames with one reader and many writers; ``capacity`` is in frames."""

    def __init__(self, name: str, capacity: int = 1024) -> None:
        self.name = name
        self._capacity = capacity
        self._frames: deque[bytes] = deque()
        self._replies: list[bytes] = []
        self._states: dict[type[Message], bytes] = {}
        self._writers: OrderedDict[Event, bytes] = OrderedDict()  # who waits for room, and with what
        self._filled = Signal()
        self.on_filled: Callable[[], None] = self._filled.set
        """Called when something was put, or it was closed; what has its turn by that needs no :meth:`batch`."""
        self._closed = False
        self._failure: Exception | None = None
        """What its reader is to be told."""
        self._high_water = 0
        self._handled = 0
        self.dead = 0

    def send_frame_nowait(self, frame: bytes) -> None:
        """Put a frame.

        :raises Busy: the mailbox is full.
        :raises PlatformUnavailable: the mailbox is closed.
        """
        if self._closed:
            raise PlatformUnavailable(f"the mailbox {self.name} is closed")
        if len(self._frames) >= self._capacity:
            raise Busy(f"the mailbox {self.name} is full ({self._capacity} frames)")
        self._frames.append(frame)
        self.on_filled()

    async def send_frame(self, frame: bytes) -> None:
        """Put a frame, waiting for room.

        :raises PlatformUnavailable: the mailbox is closed.
        """
        try:
            self.send_frame_nowait(frame)
        except Busy:
            taken = Event()
            self._writers[taken] = frame
            try:
                await taken.wait()
            finally:
                self._writers.pop(taken, None)

    def send_nowait(self, message: Message) -> None:
        """Put a message, as :meth:`send_frame_nowait`."""
        self.send_frame_nowait(encode(message))

    async def send(self, message: Message) -> None:
        """Put a message, as :meth:`send_frame`."""
        await self.send_frame(encode(message))

    def send_frame_urgent(self, frame: bytes) -> None:
        """Put an answer, which never waits; one that comes after the end is counted as dead."""
        if self._closed:
            self.dead += 1
            return
        self._replies.append(frame)
        self.on_filled()

    def send_urgent(self, message: Message) -> None:
        """Put a message as an answer, as :meth:`reply`."""
        self.send_frame_urgent(encode(message))

    def send_state(self, message: Message) -> None:
        """Put how something stands, as a reply, in the place of an earlier message of its class that still waits."""
        if self._closed:
            self.dead += 1
            return
        self._states[type(message)] = encode(message)
        self.on_filled()

    async def batch(self) -> list[bytes]:
        """Wait until there is something, and take what is there: all replies, then states, then frames up to ``BATCH``.

        What :meth:`fail` was given is raised.

        :raises EndOfStream: the mailbox is closed and empty, or abandoned.
        """
        if self.has_any:
            await checkpoint()  # a reader that always finds something lets others run
        while self._failure is not None or not self.has_any:
            failure, self._failure = self._failure, None
            if failure is not None:
                raise failure
            if self._closed:
                raise EndOfStream
            await self._filled.wait()
        return self.take()

    def take(self) -> list[bytes]:
        """Take what is there, as :meth:`batch`."""
        frames, self._replies = self._replies, []
        if self._states:
            frames += self._states.values()
            self._states.clear()
        depth = len(frames) + len(self._frames)
        if depth > self._high_water:  # noqa: PLR1730  # a call of max costs as much as all else here
            self._high_water = depth
        if self._writers or depth > BATCH:
            self._drain(frames)
        else:
            frames += self._frames
            self._frames.clear()
        self._handled += len(frames)
        return frames

    @property
    def has_any(self) -> bool:
        """Whether a frame waits in it."""
        return bool(self._frames or self._replies or self._states)

    @property
    def is_to_be_read(self) -> bool:
        """Whether a frame waits in it, or its end."""
        return self._closed or bool(self._frames or self._replies or self._states)

    @property
    def is_closed(self) -> bool:
        """Whether nothing more can be put."""
        return self._closed

    def has_only(self, kind: type[Message]) -> bool:
        """Tell whether nothing waits in it but messages of one class, and no answers."""
        tag = kind.TAG
        return not self._replies and not self._states and all(frame[1] == tag for frame in self._frames)

    @property
    def is_full(self) -> bool:
        """Whether a frame would have to wait for room."""
        return len(self._frames) >= self._capacity

    @property
    def is_drained(self) -> bool:
        """Whether it is closed and empty."""
        return self._closed and not self.has_any

    @property
    def depth(self) -> int:
        """How many frames wait in it."""
        return len(self._frames) + len(self._replies) + len(self._states)

    def _drain(self, frames: list[bytes]) -> None:
        """Take frames up to ``BATCH``, and let in those who wait for the room."""
        while self._frames and len(frames) < BATCH:
            frames.append(self._frames.popleft())
            if self._writers:
                taken, frame = self._writers.popitem(last=False)
                self._frames.append(frame)
                taken.set()

    def fail(self, failure: Exception) -> None:
        """Have the next :meth:`batch` raise this: what has taken from the mailbox in the reader's place has failed."""
        self._failure = failure
        self._filled.set()

    def purge(self) -> int:
        """Throw away what waits, because it has no reader any more, and return how many frames died."""
        self._failure = None
        count = len(self._replies) + len(self._states)
        self._replies.clear()
        self._states.clear()
        while self._frames:
            frames: list[bytes] = []
            self._drain(frames)
            count += len(frames)
        self.dead += count
        return count

    def drop_frames(self) -> None:
        """Throw away what waits for its turn, and let in those who wait for the room: replies and states stay."""
        replies, states, self._replies, self._states = self._replies, self._states, [], {}
        self.purge()
        self._replies, self._states = replies, states

    def close(self) -> None:
        """Take nothing more; what is there, or waits for room, can still be read."""
        self._closed = True
        self.on_filled()

    def abandon(self) -> None:
        """Close it, and throw away what waits: it has no reader any more."""
        self.close()
        self.purge()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abandon()

    def statistics(self) -> MailboxStatistics:
        """Return the counters."""
        return MailboxStatistics(self.name, self._capacity, self.depth, self._high_water, self._handled, self.dead)
