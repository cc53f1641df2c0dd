"""What comes over a WebSocket: frames become messages, which wait for the application; frames that do not are counted."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import Message
from websockets.frames import Frame, Opcode

MAX_MESSAGE: Final = 256 * 1024
"""Bytes of a message at most; what a device says at a time are a few frames."""

MAX_HOLLOW: Final = 1_000
"""Frames in a ping interval that bring no message: control frames, parts of messages, and messages without content."""

_WHOLE: Final = frozenset({Opcode.BINARY, Opcode.TEXT})


class Incoming:
    """Puts messages together, queues them for the application, and knows how many bytes are kept meanwhile."""

    __slots__ = ("_begun", "_given", "_is_text", "_waiter", "_waiting", "events", "hollow")

    def __init__(self) -> None:
        self._begun: bytearray | None = None  # what has come of a message that has not ended
        self._is_text = False
        self._waiting = 0  # bytes of messages that the application has not taken
        self._given = 0  # bytes of the message that it works on
        self._waiter: asyncio.Future[None] | None = None  # of the application, while nothing is queued
        self.events: list[bytes | str | Message] = []
        """Messages, and other events of ASGI, that the application has not taken."""
        self.hollow = 0
        """Frames since the last ping that have brought no message."""

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return len(self._begun or b"") + self._waiting + self._given

    def count(self, frame: Frame, *, unwanted: bool) -> None:
        """Count a frame that brings no message, or one that is not wanted any more."""
        if unwanted or frame.opcode not in _WHOLE or not (frame.fin and frame.data):
            self.hollow += 1

    def assemble(self, frame: Frame) -> bool:
        """Take a frame of data; tell whether a message ends with it, which is then queued for the application."""
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        if not frame.fin:
            if self._begun is None:
                self._begun = bytearray()
            self._begun += frame.data
            return False
        whole = bytes(frame.data) if self._begun is None else bytes(self._begun + frame.data)
        self._begun = None
        message = whole.decode(errors="replace") if self._is_text else whole
        self._waiting += len(message)
        self.put(message)
        return True

    def put(self, event: bytes | str | Message) -> None:
        """Queue a message, or an event as ASGI has it, for the application."""
        self.events.append(event)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
        self._waiter = None

    def put_disconnect(self, code: int) -> None:
        """Queue the end of the connection, with its close code."""
        self.put({"type": "websocket.disconnect", "code": int(code)})

    def arrival(self) -> asyncio.Future[None]:
        """Return a future that is done once an event is queued."""
        self._waiter = asyncio.get_running_loop().create_future()
        return self._waiter

    def take(self) -> Message:
        """Return the first event, as ASGI has it; the bytes of a message are kept until :meth:`release`."""
        event = self.events.pop(0)
        if not isinstance(event, bytes | str):
            return event
        self._waiting -= len(event)
        self._given = len(event)
        return {"type": "websocket.receive", "bytes" if isinstance(event, bytes) else "text": event}

    def release(self) -> None:
        """Note that the application has done with what it got."""
        self._given = 0

    def forget(self) -> None:
        """Let go of what has begun: nothing more is wanted."""
        self._begun = None
