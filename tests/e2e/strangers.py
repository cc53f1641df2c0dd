"""Whom strangers attack, and how many of them do it at once."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Awaitable, Callable

from attrs import frozen
from websockets.exceptions import WebSocketException


@frozen
class Target:
    """The service, a channel's URI, a token for it, and one of an app that was removed; seconds that an attack lasts."""

    port: int
    uri: str
    token: str
    stale: str
    seconds: float
    number: int

    @property
    def url(self) -> str:
        """Where the service is."""
        return f"http://127.0.0.1:{self.port}"

    async def open(self, number: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Connect from one of a few addresses that are not the honest sender's."""
        opened = socket.socket()
        try:
            opened.setblocking(False)  # noqa: FBT003 - the socket's own signature
            opened.bind((f"127.0.0.{2 + number % 8}", 0))
            await asyncio.get_running_loop().sock_connect(opened, ("127.0.0.1", self.port))
        except OSError:
            opened.close()
            raise
        return await asyncio.open_connection(sock=opened)


async def several(target: Target, number: int, attack: Callable[[int], Awaitable[str]]) -> str:
    """Run an attack many times at once, and count what became of each."""

    async def one(index: int) -> str:
        try:
            async with asyncio.timeout(target.seconds):
                return await attack(index)
        except (OSError, asyncio.IncompleteReadError, WebSocketException) as failure:
            return "went on to the end" if isinstance(failure, TimeoutError) else f"cut off ({type(failure).__name__})"

    outcomes = Counter(await asyncio.gather(*(one(index) for index in range(number))))
    return ", ".join(f"{count:,} {outcome}" for outcome, count in outcomes.most_common())
