"""Frames over a Unix socket, between an app and the agent of its user."""

from __future__ import annotations

from collections.abc import Sequence

import anyio
from anyio.abc import SocketAttribute, SocketStream
from anyio.lowlevel import checkpoint

from tocsin.protocol.errors import FrameError
from tocsin.protocol.messages.framing import FrameSplitter, with_lengths

_READ_AT_ONCE = 256 * 1024


class StreamBroken(Exception):
    """The peer has closed the stream, or it failed."""


class FrameStream:
    """Sends and receives frames; one task may read while another writes, and both have ended when the stream is closed.

    :param limit: the bytes that a received frame may have.
    """

    def __init__(self, stream: SocketStream, limit: int) -> None:
        # Not the stream itself: where its receive() is cancelled in the turn in which something comes, the loop complains.
        self._socket = stream.extra(SocketAttribute.raw_socket)  # noqa: S610  # no database is near
        self._splitter = FrameSplitter(limit)

    async def receive(self) -> list[bytes]:
        """Wait for frames, and return all that are there: one at least.

        :raises StreamBroken: there will be no more.
        :raises FrameError: the peer sends no frames, or one that is longer than the limit.
        """
        await checkpoint()  # a peer that always has something lets others have their turn
        while True:
            try:
                received = self._socket.recv(_READ_AT_ONCE)
            except BlockingIOError:
                await anyio.wait_readable(self._socket)
                continue
            except OSError as failure:
                raise StreamBroken(f"the stream failed: {failure}") from failure
            if not received:
                if not self._splitter.is_between_frames:
                    raise FrameError("the stream ended within a frame")
                raise StreamBroken("the peer has closed the stream")
            frames = self._splitter.feed(received)
            if frames:
                return frames

    async def send(self, frames: Sequence[bytes]) -> None:
        """Send frames, waiting for room.

        :raises StreamBroken: the peer does not read any more.
        """
        await checkpoint()
        left = memoryview(with_lengths(frames))
        while left:
            try:
                left = left[self._socket.send(left) :]
            except BlockingIOError:
                await anyio.wait_writable(self._socket)
            except OSError as failure:
                raise StreamBroken(f"the stream failed: {failure}") from failure
