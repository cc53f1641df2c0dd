"""Frames on a byte stream: each behind its length, four bytes with the highest first."""

from __future__ import annotations

from collections.abc import Iterable

from tocsin.protocol.errors import FrameError

HEAD = 4
"""Bytes of a length."""


def with_lengths(frames: Iterable[bytes]) -> bytes:
    """Return frames as they go over the stream, one after the other."""
    return b"".join([part for frame in frames for part in (len(frame).to_bytes(HEAD, "big"), frame)])


class FrameSplitter:
    """Cuts what arrives on a byte stream into frames; it holds one unfinished frame at most.

    :param limit: the bytes that a frame may have.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, received: bytes | memoryview) -> list[bytes]:
        """Take what was received, and return the frames that are whole by now.

        :raises FrameError: a frame is announced that is empty or longer than the limit; nothing after it can be read.
        """
        buffer = self._buffer
        buffer += received
        frames: list[bytes] = []
        start = 0
        while len(buffer) - start >= HEAD:
            length = int.from_bytes(buffer[start : start + HEAD], "big")
            if not 0 < length <= self._limit:
                raise FrameError(f"a frame has 1 to {self._limit} bytes, not {length}")
            end = start + HEAD + length
            if end > len(buffer):
                break
            frames.append(bytes(buffer[start + HEAD : end]))
            start = end
        del buffer[:start]
        return frames

    @property
    def is_between_frames(self) -> bool:
        """Whether all that was received is whole frames."""
        return not self._buffer
