"""An agent played by a test, at the WebSocket of a connection: and the exchange behind that."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar, cast

import anyio
from attrs import Factory, define

from tocsin.calling_service.calling_connections import CallingConnections
from tocsin.calling_service.calling_settings import CallingSettings
from tocsin.calling_service.calling_store import UserRow
from tocsin.calling_service.exchange import Exchange, Line
from tocsin.calling_service.users import VerifiedToken
from tocsin.protocol.calling.call_token import CallTokenKind
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.messages import Message, codec
from tocsin.protocol.messages.calling import CALLING_VERSION, CallDone, CallHello, CallRefused, CallWelcome
from tocsin.repeat_log import RepeatLog
from tocsin.service.web.queued_websocket import QueuedWebSocket

M = TypeVar("M", bound=Message)

ANN, BOB = "8:acs:contoso_ann", "8:acs:contoso_bob"
EPOCH = 1_800_000_000.0


class PlayedExchange(Exchange):
    """Answers all questions with CallDone, and remembers what it was asked."""

    def __init__(self) -> None:
        self.lines: list[Line] = []
        self.hellos: list[CallHello] = []
        self.asked: list[Any] = []
        self.left: list[Line] = []
        self.goodbyes = 0
        self.word: CallRefused | None = None
        """What connections are parted with, if they are not let in."""

    async def connect(self, line: Line, hello: CallHello) -> None:
        """Let an endpoint in."""
        self.hellos.append(hello)
        self.lines.append(line)
        if self.word is not None:
            line.part(self.word)

    async def ask(self, line: Line, question: Any) -> None:
        """Take a question."""
        self.asked.append(question)
        line.tell(CallDone(question.request))

    async def leave(self, line: Line, *, said_goodbye: bool = False) -> None:
        """Note that a connection has ended."""
        if line not in self.left:
            self.left.append(line)
        self.goodbyes += said_goodbye


@define
class PlayedAgent:
    """The agent's side of one connection."""

    incoming: Any
    outgoing: Any
    reads: bool = True
    closed: tuple[int, str] | None = None
    _frames: list[bytes] = Factory(list)
    ended: anyio.Event = Factory(anyio.Event)

    async def send(self, *messages: Message) -> None:
        """Send messages in one WebSocket message."""
        await self.say(b"".join(map(codec.encode, messages)))

    async def say(self, data: bytes | None, text: str | None = None) -> None:
        """Send bytes, or a text."""
        await self.incoming.send(text if data is None else data)

    async def leave(self) -> None:
        """End the connection."""
        await self.incoming.send(None)

    async def receive(self, kind: type[M]) -> M:
        """Take the next message, which must be of that kind."""
        while not self._frames:
            sent = await self.outgoing.receive()
            assert isinstance(sent, bytes), sent
            self._frames.extend(codec.split(sent))
        message = codec.decode(self._frames.pop(0))
        assert isinstance(message, kind), message
        return message

    async def hello(self, whose: str = "ann", device: str = "phone", **fields: Any) -> CallWelcome:
        """Say hello with a token, and be let in."""
        await self.send(hello(whose, device, **fields))
        return await self.receive(CallWelcome)

    async def refused(self) -> CallRefused:
        """Take the last word."""
        return await self.receive(CallRefused)

    async def end(self) -> tuple[int, str]:
        """Wait for the close frame that comes next, and return its code and reason."""
        assert not self._frames, codec.decode(self._frames[0])
        code, reason = await self.outgoing.receive()
        await self.ended.wait()
        return code, reason


@define
class PlayedWire:
    """The service's side of it."""

    receive: Callable[[], Awaitable[Any]]
    send: Callable[[Any], Awaitable[None]]

    async def close(self, code: int, reason: str) -> None:
        """Send a close frame."""
        await self.send((code, reason))


def hello(whose: str = "ann", device: str = "phone", **fields: Any) -> CallHello:
    """Make a hello with a token."""
    values = {"version": CALLING_VERSION, "name": "", "quiet": False, "open_calls": (), **fields}
    return CallHello(token=whose, device=device, **values)


@define
class PlayedService:
    """Connections, on an exchange that is played."""

    exchange: PlayedExchange
    connections: CallingConnections
    began: float

    def now(self) -> float:
        """Tell the service's time."""
        return EPOCH + anyio.current_time() - self.began

    @asynccontextmanager
    async def agent(self, room: float = 1_000) -> AsyncIterator[PlayedAgent]:
        """Open a connection; ``room`` are the messages that fit into the peer's buffer."""
        give, take = anyio.create_memory_object_stream[Any](100)
        put, got = anyio.create_memory_object_stream[Any](room)
        agent = PlayedAgent(give, got)

        async def serve() -> None:
            await self.connections.serve(cast(QueuedWebSocket, PlayedWire(take.receive, put.send)))
            agent.ended.set()

        with give, take, put, got:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(serve)
                yield agent
                tasks.cancel_scope.cancel()


def played_service(**settings: Any) -> PlayedService:
    """Make connections; tokens are the name of a user, and perhaps the seconds for which they are good: ``ann 3600``."""

    def verify(token: str) -> VerifiedToken:
        name, _, left = token.partition(" ")
        if name not in {"ann", "bob"}:
            raise InvalidArgument("that is no token")
        user = UserRow(f"8:acs:contoso_{name}", name, name.capitalize(), CallTokenKind.ACS, EPOCH)
        return VerifiedToken(user, EPOCH + anyio.current_time() - began + float(left or 3_600))

    exchange, began = PlayedExchange(), anyio.current_time()
    connections = CallingConnections(
        exchange,
        CallingSettings(**settings),
        verify,
        lambda: EPOCH + anyio.current_time() - began,
        RepeatLog(anyio.current_time),
    )
    return PlayedService(exchange, connections, began)
