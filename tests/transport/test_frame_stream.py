"""Frames over a Unix socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from typing import Any

import anyio
import pytest
from anyio.abc import SocketAttribute, UNIXSocketStream

from tocsin.protocol.errors import FrameError
from tocsin.transport.frame_stream import FrameStream, StreamBroken

LIMIT = 64 * 1024


@pytest.fixture
def anyio_backend() -> str:
    """The agent runs on asyncio."""
    return "asyncio"


@pytest.fixture
async def ends() -> AsyncIterator[tuple[UNIXSocketStream, UNIXSocketStream]]:
    """Return both ends of a connection."""
    ours, theirs = socket.socketpair()
    async with await UNIXSocketStream.from_socket(ours) as one, await UNIXSocketStream.from_socket(theirs) as other:
        yield one, other


Ends = tuple[UNIXSocketStream, UNIXSocketStream]


async def test_frames_arrive_as_they_were_sent(ends: Ends) -> None:
    """More of them than a socket holds wait until the peer reads."""
    one, other = FrameStream(ends[0], LIMIT), FrameStream(ends[1], LIMIT)
    sent = [bytes([number % 256]) * (1 + number * 37 % LIMIT) for number in range(300)]
    received: list[bytes] = []
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(one.send, sent)
        await anyio.sleep(0.01)
        while len(received) < len(sent):
            received += await other.receive()
    assert received == sent


async def test_a_peer_that_closes_is_told_of(ends: Ends) -> None:
    """Between frames the stream is broken; within one, it was no frame."""
    frames = FrameStream(ends[0], LIMIT)
    await ends[1].aclose()
    with pytest.raises(StreamBroken, match="has closed"):
        await frames.receive()
    with pytest.raises(StreamBroken, match="failed"):
        await frames.send([b"x"])


async def test_an_end_within_a_frame_is_a_frame_error(ends: Ends) -> None:
    """What came of it is thrown away."""
    await ends[1].send(b"\0\0\0\x09half")
    await ends[1].aclose()
    with pytest.raises(FrameError, match="within a frame"):
        await FrameStream(ends[0], LIMIT).receive()


async def test_a_receiver_that_is_cancelled_as_something_comes_is_cancelled_only(ends: Ends) -> None:
    """The event loop has nothing to complain of, and what came is there for the next."""
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: complaints.append(context))
    frames = FrameStream(ends[0], LIMIT)
    receiver = asyncio.create_task(frames.receive())
    await asyncio.sleep(0.01)
    ends[1].extra(SocketAttribute.raw_socket).send(b"\0\0\0\x01x")  # noqa: S610  # no database is near
    asyncio.get_running_loop().call_soon(receiver.cancel)  # in the turn that finds the socket readable
    await asyncio.wait({receiver})
    assert receiver.cancelled()
    assert not complaints
    assert await frames.receive() == [b"x"]
