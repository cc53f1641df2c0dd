"""What a peer sends over a WebSocket: frames become messages, and are counted where they do not."""

from __future__ import annotations

from typing import Final

from websockets.frames import Frame, Opcode

MAX_MESSAGE: Final = 256 * 1024
"""Bytes of a message at most; what a device says at a time are a few frames."""

MAX_HOLLOW: Final = 1_000
"""Frames in a ping interval that bring no message: control frames, parts of messages, and messages without content."""

_WHOLE: Final = frozenset({Opcode.BINARY, Opcode.TEXT})


class Incoming:
    """Puts messages together, and knows how much is kept meanwhile."""

    __slots__ = ("_begun", "_given", "_is_text", "_waiting", "hollow")

    def __init__(self) -> None:
        self._begun: bytearray | None = None  # what has come of a message that has not ended
        self._is_text = False
        self._waiting = 0  # bytes of messages that the application has not taken
        self._given = 0  # bytes of the message that it works on
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

    def assemble(self, frame: Frame) -> bytes | str | None:
        """Take a frame of data; return the message that ends with it, which then waits for the application."""
        if frame.opcode is not Opcode.CONT:
            self._is_text = frame.opcode is Opcode.TEXT
        if not frame.fin:
            if self._begun is None:
                self._begun = bytearray()
            self._begun += frame.data
            return None
        whole = bytes(frame.data) if self._begun is None else bytes(self._begun + frame.data)
        self._begun = None
        message = whole.decode(errors="replace") if self._is_text else whole
        self._waiting += len(message)
        return message

    def hand_over(self, message: bytes | str) -> None:
        """Note that the application has got a message."""
        self._waiting -= len(message)
        self._given = len(message)

    def release(self) -> None:
        """Note that the application has done with what it got."""
        self._given = 0

    def forget(self) -> None:
        """Let go of what has begun: nothing more is wanted."""
        self._begun = None
