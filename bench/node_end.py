"""The process that is forwarded to: ``python -m bench.node_end KIND LOOP``; its first line is the authority of the nodes.

It prints its port, and runs until its input ends. ``node`` answers each forward at once; ``echo`` sends back what comes.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Awaitable, Callable, Sequence
from typing import cast

from bench.framework import run_on
from bench.receiving import say, until_input_ends
from tocsin.protocol.messages.node_protocol import AcknowledgeThere, WithdrawThere
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.forwarding import ForwardedPost, ForwardResult
from tocsin.service.nodes.forwards_out import Settled
from tocsin.service.nodes.link_server import serving_links
from tocsin.service.nodes.link_terms import LinkTerms
from tocsin.service.nodes.node_identity import NodeIdentity
from tocsin.service.nodes.taken_link import TakingContext
from tocsin.service.web.dev_authority import KeyedCertificate
from tocsin.service.web.listener import listen


class _Taker:
    """Acknowledges whatever comes."""

    def take_now(self, post: ForwardedPost, settled: Settled) -> bool:
        """Acknowledge it."""
        del post
        settled(PushResult.ACKNOWLEDGED)
        return True

    async def take(self, post: ForwardedPost) -> ForwardResult:
        """Never be asked."""
        raise NotImplementedError

    def look(self, devices: Sequence[str]) -> None:
        """Have no devices."""

    def withdraw(self, message: WithdrawThere) -> None:
        """Have none that could be told."""

    def acknowledge(self, message: AcknowledgeThere) -> None:
        """Have none that could have acknowledged."""


class _Echo(asyncio.Protocol):
    """Sends back what comes."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember whom to answer."""
        self._transport = cast(asyncio.Transport, transport)  # that of uvloop is none by its class

    def data_received(self, data: bytes) -> None:
        """Send it back."""
        self._transport.write(data)


async def node(identity: NodeIdentity) -> None:
    """Take forwards."""
    listener = await listen("127.0.0.1", 0, None)
    around = TakingContext(identity, lambda: 1, "bench", _Taker(), LinkTerms(), RepeatLog())
    async with serving_links(listener, around):
        say(listener.getsockname()[1])
        await until_input_ends()


async def echo(identity: NodeIdentity) -> None:
    """Take bytes."""
    listener = await listen("127.0.0.1", 0, None)
    server = await asyncio.get_running_loop().create_server(_Echo, sock=listener, ssl=identity.for_taking())
    async with server:
        say(listener.getsockname()[1])
        await until_input_ends()


KINDS: dict[str, Callable[[NodeIdentity], Awaitable[None]]] = {"node": node, "echo": echo}


async def main(kind: str) -> None:
    """Be another node of the authority on the first line."""
    line = await asyncio.get_running_loop().run_in_executor(None, sys.stdin.buffer.readline)
    await KINDS[kind](NodeIdentity("b", KeyedCertificate.read(json.loads(line).encode())))


if __name__ == "__main__":
    run_on(sys.argv[2], lambda: main(sys.argv[1]))
