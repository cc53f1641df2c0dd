"""A service that answers when a test says so, over HTTP."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from attrs import Factory, define

from tests.helpers import listening

TOKEN = json.dumps({"access_token": "t1", "expires_in": 86400}).encode()


@define
class OnDemand:
    """A service that answers a post when the test says so, and hands out tokens at once."""

    url: str = ""
    came: list[str] = Factory(list)
    """The names of the posts that have come, by what stands behind ``token=``."""
    _arrived: asyncio.Condition = Factory(asyncio.Condition)
    _may_answer: dict[str, asyncio.Event] = Factory(dict)

    def uri(self, name: str) -> str:
        """Return the URI of a channel with that name."""
        return f"{self.url}/w/?token={name}"

    async def has_come(self, count: int) -> list[str]:
        """Wait until so many posts have come; return their names, in the order in which they came."""
        async with self._arrived:
            await self._arrived.wait_for(lambda: len(self.came) >= count)
        return self.came

    def answer(self, name: str) -> None:
        """Let the post with that name be answered."""
        self._may_answer[name].set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer the requests of one connection, until it ends."""
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split()[0]))
            body = TOKEN if b"/accesstoken.srf " in head else await self._take(head)
            writer.write(
                b"HTTP/1.1 200 OK\r\nX-WNS-Status: received\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )

    async def _take(self, head: bytes) -> bytes:
        name = head.partition(b"token=")[2].split()[0].decode()
        self._may_answer[name] = asyncio.Event()
        async with self._arrived:
            self.came.append(name)
            self._arrived.notify_all()
        await self._may_answer[name].wait()
        return b""


@asynccontextmanager
async def on_demand() -> AsyncIterator[OnDemand]:
    """Run such a service."""
    service = OnDemand()
    async with listening(service.serve) as port:
        service.url = f"http://127.0.0.1:{port}"
        yield service
