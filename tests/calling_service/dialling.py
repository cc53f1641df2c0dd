"""An agent played by a test, over a real WebSocket to a real calling service."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from websockets.asyncio.client import ClientConnection, connect

from tests.calling_service.played_agent import hello
from tocsin.calling_service.calling_server import CallingService
from tocsin.protocol.messages import Message, codec
from tocsin.protocol.messages.calling import CALLING_PATH, CallReport, CallWelcome

M = TypeVar("M", bound=Message)


class DiallingAgent:
    """An agent, as its WebSocket sees it."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._frames: deque[bytes] = deque()

    async def send(self, *messages: Message) -> None:
        """Send messages in one WebSocket message."""
        await self.socket.send(b"".join(map(codec.encode, messages)))

    async def receive(self, kind: type[M]) -> M:
        """Take the next message, which must be of that kind."""
        while not self._frames:
            data = await self.socket.recv()
            assert isinstance(data, bytes)
            self._frames.extend(codec.split(data))
        message = codec.decode(self._frames.popleft())
        assert isinstance(message, kind), message
        return message

    async def report(self) -> CallReport:
        """Take the next report on a call."""
        return await self.receive(CallReport)

    async def hello(self, token: str, device: str = "phone", **fields: Any) -> CallWelcome:
        """Say hello, and be let in."""
        await self.send(hello(token, device, **fields))
        return await self.receive(CallWelcome)

    async def closed(self) -> tuple[int, str]:
        """Wait until the service closes the connection; return its code and reason."""
        await self.socket.wait_closed()
        assert self.socket.close_code is not None
        return self.socket.close_code, self.socket.close_reason or ""


@asynccontextmanager
async def dial(service: CallingService, **options: Any) -> AsyncIterator[DiallingAgent]:
    """Connect an agent that has said nothing yet."""
    url = f"ws{service.url.removeprefix('http')}{CALLING_PATH}"
    async with connect(url, compression=None, ping_interval=None, **options) as socket:
        yield DiallingAgent(socket)


@asynccontextmanager
async def agent_of(
    service: CallingService, name: str, device: str = "phone", **fields: Any
) -> AsyncIterator[DiallingAgent]:
    """Connect an agent of a user, which is added where it is missing."""
    if service.users.named(name) is None:
        await service.users.add(name, name.capitalize())
    async with dial(service) as agent:
        await agent.hello(service.users.issue_token(name)[0], device, **fields)
        yield agent
