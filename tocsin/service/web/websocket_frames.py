"""The frames of a WebSocket (RFC 6455 §5), as a server reads and makes them: pure, and with nothing kept between two messages.

The parser of ``websockets`` is a generator on a state machine for both sides; a server with many devices, each of which says
little at a time, spent more on it than on all else that a message took.
"""

from __future__ import annotations

from struct import Struct
from typing import Final

from websockets.exceptions import ProtocolError
from websockets.frames import Close, CloseCode, Opcode

try:
    from websockets.speedups import apply_mask
except ImportError:  # where it could not be compiled
    from websockets.utils import apply_mask

MAX_MESSAGE: Final = 256 * 1024
"""Bytes of a message at most; what a device says at a time are a few frames."""

CONTINUATION: Final = int(Opcode.CONT)
TEXT: Final = int(Opcode.TEXT)
BINARY: Final = int(Opcode.BINARY)
CLOSE: Final = int(Opcode.CLOSE)
PING: Final = int(Opcode.PING)
PONG: Final = int(Opcode.PONG)

_OPCODES: Final = frozenset(map(int, Opcode))
_FIN: Final = 0x80
_RESERVED: Final = 0x70
_WHOLE: Final = _FIN | BINARY
_MASKED: Final = 0x80
_LONG: Final = 126  # in the place of a length: it is in the next two bytes
_LONGER: Final = 127  # or in the next eight
_SHORT_HEAD: Final = Struct(">BB").pack
_LONG_HEAD: Final = Struct(">BBH").pack
_LONGER_HEAD: Final = Struct(">BBQ").pack
_MAX_CONTROL: Final = 125  # bytes of a control frame
_MAX_REASON: Final = _MAX_CONTROL - 2  # bytes of the text of a close frame


class BrokenFrames(Exception):
    """What came is no WebSocket's; it is closed with this code and these words."""

    def __init__(self, code: int, words: str) -> None:
        super().__init__(words)
        self.code = code
        self.words = words


class FrameReader:
    """Makes messages of a client's bytes, one after the other as they are asked for; it keeps what is not whole, and what was not asked for."""

    __slots__ = ("_at", "_opcode", "begun", "hollow", "unread")

    def __init__(self) -> None:
        self.unread: bytes | bytearray = b""
        """What came and has not been read to its end."""
        self._at = 0  # how much of it was read
        self.begun: bytearray | None = None
        """What has come of a message that has not ended."""
        self._opcode = CONTINUATION  # of that message
        self.hollow = 0
        """Frames that have brought no message: control frames, parts of messages, and messages without content; its owner sets it back."""

    @property
    def size(self) -> int:
        """Bytes that are kept."""
        return len(self.unread) - self._at + len(self.begun or b"")

    def feed(self, data: bytes) -> None:
        """Take bytes as they came."""
        if not self.unread:
            self.unread = data
            return
        if not isinstance(self.unread, bytearray):
            self.unread = bytearray(self.unread)
        del self.unread[: self._at]
        self._at = 0
        self.unread += data

    def next(self) -> tuple[int, bytes] | None:
        """Return the opcode and the content of the next message or control frame; None until more has come.

        :raises BrokenFrames: what came is against the protocol, or too much; there is nothing to be read any more.
        """
        while len(data := self.unread) >= (at := self._at) + 2:
            head, length, key = data[at], data[at + 1] - _MASKED, at + 2
            if length >= _LONG:
                key += 2 if length == _LONG else 8
                if len(data) < key:
                    return None
                length = int.from_bytes(data[at + 2 : key], "big")
            if head != _WHOLE or self.begun is not None or not 0 <= length <= MAX_MESSAGE:
                self._check(head, length)
            begin = key + 4
            end = begin + length
            if len(data) < end:
                return None
            content = apply_mask(data[begin:end], data[key:begin])
            if end < len(data):
                self._at = end
            else:
                self.unread, self._at = b"", 0
            if head == _WHOLE and content:
                return BINARY, content
            found = self._take(head, content)
            if found is not None:
                return found
        return None

    def _check(self, head: int, length: int) -> None:
        """Refuse a frame by its head, before its content has come; its length is negative where it is not masked."""
        begun, opcode = self.begun, head & ~(_FIN | _RESERVED)
        if opcode not in _OPCODES:
            raise _wrong("invalid opcode")
        if length < 0:
            raise _wrong("incorrect masking")
        if length > MAX_MESSAGE - len(begun or b""):
            after = "" if begun is None else f"after reading {len(begun)} bytes "
            words = f"frame with {length} bytes {after}exceeds limit of {MAX_MESSAGE} bytes"
            raise BrokenFrames(CloseCode.MESSAGE_TOO_BIG, words)
        if head & _RESERVED:
            raise _wrong("reserved bits must be 0")
        if opcode > BINARY and length > _MAX_CONTROL:
            raise _wrong("control frame too long")
        if opcode > BINARY and not head & _FIN:
            raise _wrong("fragmented control frame")
        if opcode == CONTINUATION and begun is None:
            raise _wrong("unexpected continuation frame")
        if CONTINUATION < opcode <= BINARY and begun is not None:
            raise _wrong("expected a continuation frame")

    def _take(self, head: int, content: bytes) -> tuple[int, bytes] | None:
        """Take a frame that is no binary message by itself; return what ends with it."""
        opcode = head & ~_FIN
        if opcode == TEXT and head & _FIN and content:
            return TEXT, content
        self.hollow += 1
        if opcode == CLOSE:
            self._check_close(content)
        if opcode > BINARY:
            return opcode, content
        if opcode != CONTINUATION:
            self._opcode, self.begun = opcode, bytearray()
        assert self.begun is not None  # noqa: S101  # else its continuation was refused
        self.begun += content
        if not head & _FIN:
            return None
        whole, self.begun = bytes(self.begun), None
        return self._opcode, whole

    def _check_close(self, content: bytes) -> None:
        """Refuse a close frame that says nothing valid, or comes within a message."""
        try:
            Close.parse(content)
        except ProtocolError as wrong:
            raise _wrong(str(wrong)) from None
        except UnicodeDecodeError as wrong:
            raise BrokenFrames(CloseCode.INVALID_DATA, f"{wrong.reason} at position {wrong.start}") from None
        if self.begun is not None:
            raise _wrong("incomplete fragmented message")


def _wrong(words: str) -> BrokenFrames:
    return BrokenFrames(CloseCode.PROTOCOL_ERROR, words)


def frame(opcode: int, content: bytes) -> bytes:
    """Make a frame that is a message, or a control frame."""
    length = len(content)
    if length < _LONG:
        return _SHORT_HEAD(_FIN | opcode, length) + content
    if length < 1 << 16:
        return _LONG_HEAD(_FIN | opcode, _LONG, length) + content
    return _LONGER_HEAD(_FIN | opcode, _LONGER, length) + content


def close_frame(code: int, reason: str) -> bytes:
    """Make a close frame; its text is cut so that it fits."""
    return frame(CLOSE, code.to_bytes(2, "big") + cut_reason(reason).encode())


def close_code(content: bytes) -> int:
    """Return the code that a close frame has."""
    return int.from_bytes(content[:2], "big") if content else CloseCode.NO_STATUS_RCVD


def cut_reason(reason: str) -> str:
    """Cut the text of a close frame so that it fits (RFC 6455 §5.5), between two characters."""
    return reason.encode()[:_MAX_REASON].decode(errors="ignore")
