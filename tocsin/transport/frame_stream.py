"""Frames over a Unix socket, between an app and the agent of its user."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from anyio import EndOfStream
from anyio.abc import ByteStream

from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages.framing import FrameSplitter, with_lengths

_READ_AT_ONCE = 256 * 1024


class StreamBroken(Exception):
    """The peer has closed the stream, or it failed."""


class FrameStream:
    """Sends and receives frames; one task may read while another writes.

    :param limit: the bytes that a received frame may have.
    """

    def __init__(self, stream: ByteStream, limit: int) -> None:
        self._stream = stream
        self._splitter = FrameSplitter(limit)

    async def receive(self) -> list[bytes]:
        """Wait for frames, and return all that are there: one at least.

        :raises StreamBroken: there will be no more.
        :raises FrameError: the peer sends no frames, or one that is longer than the limit.
        """
        while True:
            try:
                received = await self._stream.receive(_READ_AT_ONCE)
            except EndOfStream:
                if not self._splitter.is_between_frames:
                    raise FrameError("the stream ended within a frame") from None
                raise StreamBroken("the peer has closed the stream") from None
            except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as failure:
                raise StreamBroken(f"the stream failed: {failure.__cause__ or failure}") from failure
            frames = self._splitter.feed(received)
            if frames:
                return frames

    async def send(self, frames: Sequence[bytes]) -> None:
        """Send frames, waiting for room.

        :raises StreamBroken: the peer does not read any more.
        """
        try:
            await self._stream.send(with_lengths(frames))
        except (anyio.BrokenResourceError, anyio.ClosedResourceError, OSError) as failure:
            raise StreamBroken(f"the stream failed: {failure.__cause__ or failure}") from failure
