"""What waits to go to one device, and what the device has yet to acknowledge.

A sender's POST waits here, for ``acknowledge_timeout`` at most; a backlog that is full refuses it at once.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from enum import Enum, auto, unique
from functools import partial
from typing import Final

from attrs import define

from tocsin.protocol.service.device_connection import Phase
from tocsin.service.web.flags import Flag

MAX_FRAMES = 256
"""Frames of one chunk at most."""

MAX_BYTES = 64 * 1024
"""Bytes that a chunk has before its last frame at most."""

_MAX_ANSWERS = 64
_NOTHING: Final[deque[_Pending]] = deque(maxlen=0)
"""A backlog while nothing waits: one of its own would weigh 760 bytes."""


@unique
class PushResult(Enum):
    """How the attempt to push a payload to its device ended."""

    ACKNOWLEDGED = auto()
    """The device has committed it."""
    OFFLINE = auto()
    """The device has no connection; nothing was sent."""
    LOST = auto()
    """The connection ended before the acknowledgement: the device may have it or not."""
    TIMED_OUT = auto()
    """No acknowledgement came in time: the device may have it or not."""
    BUSY = auto()
    """Too many payloads wait for this device; nothing was sent."""
    SUSPENDED = auto()
    """The device says that it can store nothing; it may have the payload or not."""
    STORED = auto()
    """It is in the offline store."""
    NOT_STORED = auto()
    """It was for the offline store, which cannot be written just now."""
    LAPSED = auto()
    """This node may do nothing for any device just now; told to its own senders only."""
    NO_ROOM = auto()
    """It was for the offline store, which keeps no more."""
    HELD_BACK = auto()
    """The device's power state holds it back, and it may not wait."""
    CLOUD_DISABLED = auto()
    """The device does not want it: group policy forbids notifications from the network."""
    NOTIFICATIONS_DISABLED = auto()
    """The device does not want it: the app's notifications are off."""
    TYPE_DISABLED = auto()
    """The device does not want it: what is of its type is off."""


_ACKNOWLEDGED = PushResult.ACKNOWLEDGED  # up to Python 3.11 looking it up in its class costs as much as settling
_UP, _SUSPENDED = Phase.UP, Phase.SUSPENDED


@define(eq=False)
class _Pending:
    """A payload whose sender waits to be called with the result; ``deadline`` on the loop's clock."""

    id: str
    frame: bytes
    deadline: float
    settle: Callable[[PushResult], None]


class Outbox:
    """One connection's way out: answers first, then payloads in order, within the device's window.

    What comes from the offline store goes before what comes now. No sender waits for its acknowledgement; it keeps
    its place in the window until it is acknowledged.

    All payloads have the same time to be acknowledged, so that those sent, then those waiting, are in order of their
    deadlines: one alarm for the oldest serves them all.

    :param window: payloads sent and not acknowledged at a time.
    :param backlog: payloads that wait for the window.
    :param timeout: seconds from the push to the acknowledgement.
    """

    __slots__ = (
        "_alarm", "_answers", "_backlog", "_emptied", "_late", "_limit", "_loop", "_sent", "_stored",
        "_timeout", "_window", "on_filled", "phase"
    )  # fmt: skip

    def __init__(self, window: int, backlog: int, timeout: float) -> None:
        self._window = window
        self._limit = backlog
        self._timeout = timeout
        self._loop = asyncio.get_running_loop()
        self._answers: list[bytes] = []
        self._backlog: deque[_Pending] = _NOTHING
        self._sent: dict[str, _Pending] = {}
        self.phase = Phase.GREETING
        """Where the connection stands; written by its owner alone, and kept here, where each payload looks at it."""
        self._stored: list[tuple[str, bytes]] = []
        # Sent, and their senders wait no more: they keep their places. A set would weigh more.
        self._late: dict[str, None] = {}
        self._alarm: asyncio.TimerHandle | None = None
        self._emptied = Flag()
        self.on_filled: Callable[[], None] = _ignore
        """Called when there may be something to send."""

    @property
    def depth(self) -> int:
        """Payloads that wait, or are sent and not acknowledged."""
        return len(self._backlog) + len(self._sent)

    async def push(self, id: str, frame: bytes) -> PushResult:  # noqa: A002 - the field's name
        """Queue a payload and wait for what becomes of it."""
        refusal = self.closed_for
        if refusal is not None:
            return refusal
        result: asyncio.Future[PushResult] = self._loop.create_future()
        self.push_nowait(id, frame, partial(_wake, result))
        return await result

    @property
    def closed_for(self) -> PushResult | None:
        """Why no payload can be queued just now; None where one can."""
        if self.phase is _SUSPENDED:
            return PushResult.SUSPENDED
        return PushResult.BUSY if len(self._backlog) >= self._limit else None

    def push_nowait(self, id: str, frame: bytes, settled: Callable[[PushResult], None]) -> None:  # noqa: A002 - the field's name
        """Queue a payload, while ``closed_for`` is None, and call back with what becomes of it."""
        pending = _Pending(id, frame, self._loop.time() + self._timeout, settled)
        if self._backlog is _NOTHING:
            self._backlog = deque()
        self._backlog.append(pending)
        self.on_filled()
        if self._alarm is None:
            self._alarm = self._loop.call_at(pending.deadline, self._ring)

    def send_answer(self, frame: bytes) -> None:
        """Queue an answer; it goes before all payloads that wait."""
        self._answers.append(frame)
        self.on_filled()

    def send_behind_stored(self, frame: bytes) -> None:
        """Queue a word on payloads, behind what is stored and before what waits; a device that does not listen misses it."""
        if len(self._answers) + sum(not id for id, _ in self._stored) >= _MAX_ANSWERS:  # noqa: A001 - the field's name
            return
        if self._stored:
            self._stored.append(("", frame))
        else:
            self._answers.append(frame)
        self.on_filled()

    def may_acknowledge(self, id: str) -> bool:  # noqa: A002 - the field's name
        """Tell whether the device may still acknowledge that payload, whose sender waits no more."""
        return id in self._late

    def release(self) -> None:
        """Send what came while what is stored went first."""
        if self._backlog:
            self.on_filled()

    def offer(self, frames: Sequence[tuple[str, bytes]]) -> None:
        """Queue stored payloads, each an id and a frame."""
        self._stored.extend(frames)
        self.on_filled()

    def take_back(self) -> list[str]:
        """Return the ids of the stored payloads that were not sent yet, and do not send them."""
        ids = [id for id, _ in self._stored if id]  # noqa: A001 - the field's name
        self._answers += [frame for id, frame in self._stored if not id]  # noqa: A001 - the field's name
        self._stored.clear()
        self._emptied.set()
        return ids

    async def room_for_stored(self) -> None:
        """Wait until all stored payloads have been sent."""
        while self._stored:
            self._emptied.clear()
            await self._emptied.wait()

    async def room(self) -> None:
        """Wait until there is room for an answer: a device that does not listen is not listened to."""
        while len(self._answers) >= _MAX_ANSWERS:
            self._emptied.clear()
            await self._emptied.wait()

    def acknowledge(self, ids: Sequence[str]) -> list[str]:
        """Settle the payloads that the device has committed; return the ids of those that no push waits for."""
        others = []
        for id in ids:  # noqa: A001 - the field's name
            pending = self._sent.pop(id, None)
            if pending is None:
                self._late.pop(id, None)
                others.append(id)
            else:
                pending.settle(_ACKNOWLEDGED)
        if self._backlog or self._stored:
            self.on_filled()
        return others

    def give_up(self) -> None:
        """Settle what waits for a device that can store nothing; what was sent keeps its place in the window."""
        self._late.update(dict.fromkeys(self._sent))
        self._settle_all(PushResult.SUSPENDED)

    def drop_waiting(self, begins: bytes = b"") -> None:
        """Tell the senders of what was not sent that it was not acknowledged, and never send it: it is decided elsewhere what becomes of it.

        :param begins: how the frames begin that are meant.
        """
        waiting, staying = list[_Pending](), deque[_Pending]()
        for each in self._backlog:
            (waiting if each.frame.startswith(begins) else staying).append(each)
        self._backlog = staying or _NOTHING
        for each in waiting:
            each.settle(PushResult.TIMED_OUT)

    def pass_on(self) -> None:
        """Have nothing more to do with payloads: all that was not acknowledged is for another connection; answers still go out."""
        self._stored.clear()
        self._late.clear()
        self._emptied.set()
        self._settle_all(PushResult.LOST)

    def fail(self) -> None:
        """Tell all waiting senders that the connection has ended; nothing more is to be sent."""
        self.on_filled = _ignore
        if self._alarm is not None:
            self._alarm.cancel()
        self._settle_all(PushResult.LOST)

    def _settle_all(self, result: PushResult) -> None:
        pending = (*self._sent.values(), *self._backlog)
        self._sent.clear()
        self._backlog = _NOTHING
        for each in pending:
            each.settle(result)

    def take_chunk(self) -> bytes:
        """Return all that may go out now, up to the limits of one chunk; nothing where nothing may."""
        return b"".join(self.take_frames())

    def take_frames(self) -> list[bytes]:
        """Do the same, and leave the frames apart."""
        frames: list[bytes] = []
        size = 0
        while (self._answers or self._stored or self._backlog) and len(frames) < MAX_FRAMES and size < MAX_BYTES:
            frame = self._take()
            if frame is None:
                break
            frames.append(frame)
            size += len(frame)
        return frames

    def _take(self) -> bytes | None:
        """Take one of the frames that wait, unless it is for room in the window."""
        if self._answers:
            self._emptied.set()
            return self._answers.pop(0)
        if len(self._sent) + len(self._late) >= self._window:
            return None
        if self._stored:
            return self._take_stored()
        if self.phase is not _UP:
            return None
        pending = self._backlog.popleft()
        if not self._backlog:
            self._backlog = _NOTHING
        self._sent[pending.id] = pending
        return pending.frame

    def _take_stored(self) -> bytes:
        id, frame = self._stored.pop(0)  # noqa: A001 - the field's name
        if id:  # else it is no payload
            self._late[id] = None
        if not self._stored:
            self._emptied.set()
        return frame

    def _ring(self) -> None:
        """Settle what has timed out, and set the alarm for the oldest that is left."""
        now = self._loop.time()
        while (oldest := next(iter(self._sent.values()), None)) and oldest.deadline <= now:
            del self._sent[oldest.id]
            self._late[oldest.id] = None
            oldest.settle(PushResult.TIMED_OUT)
        while self._backlog and self._backlog[0].deadline <= now:
            self._backlog.popleft().settle(PushResult.TIMED_OUT)
        waiting = oldest or (self._backlog[0] if self._backlog else None)
        self._alarm = self._loop.call_at(waiting.deadline, self._ring) if waiting else None


def _ignore() -> None:
    """Stand in for what writes, before the device has said hello and when it has left."""


def _wake(waiting: asyncio.Future[PushResult], result: PushResult) -> None:
    """Wake a sender's task, unless it has been cancelled."""
    if not waiting.done():
        waiting.set_result(result)
