"""A connection between two nodes, of itself."""

from __future__ import annotations

import asyncio
import socket
from functools import partial

import pytest

from tocsin.protocol.messages import Message
from tocsin.service.devices.turn import WritingTurn
from tocsin.service.nodes.link_stream import LinkStream


class _Owner:
    """What a connection belongs to, which says nothing."""

    def made(self, stream: LinkStream) -> None:
        """Know of it."""

    def take(self, message: Message) -> None:
        """Take nothing."""
        raise AssertionError(message)

    def frames(self) -> list[bytes]:
        """Have nothing to say."""
        return []

    def ended(self, why: str, *, wrong: bool) -> None:
        """Know of the end."""
        del why, wrong


async def test_what_is_given_up_does_not_come_later() -> None:
    """The other node gets no more of it when it reads on, or when the wire between both is whole again: others have taken its place by then."""
    loop, stream = asyncio.get_running_loop(), LinkStream(_Owner(), WritingTurn())
    with socket.create_server(("127.0.0.1", 0)) as listener:
        await loop.create_connection(lambda: stream, *listener.getsockname())
        with listener.accept()[0] as other:
            other.settimeout(5)
            stream.transport.write(bytes(32 * 1024 * 1024))  # more than the system takes
            stream.cut()
            await stream.over
            with pytest.raises(ConnectionResetError):
                all(iter(partial(other.recv, 1 << 20), b""))
