"""What an exchange stands on, in memory: a store that can fail, a pusher that is told what to do, and lines that remember."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import anyio
from attrs import define, field

from tests.protocol.calling.board import hello
from tocsin.calling_service.calling_store import CallingStore, Kept
from tocsin.calling_service.exchange import Exchange
from tocsin.calling_service.pusher import Pusher
from tocsin.protocol.calling.switchboard_rows import CallRow, Endpoint, Pushed, PushRegistration, TurnRows
from tocsin.protocol.errors import InvalidArgument, StateUnavailable
from tocsin.protocol.messages.base import Message
from tocsin.protocol.messages.calling import (
    AcceptCall,
    CallPhase,
    CallRefused,
    CallReport,
    HangUpCall,
    RegisterForCallPush,
    StartCall,
)

M = TypeVar("M", bound=Message)


class MemoryCallingStore:
    """Keeps the rows of turns; while ``fault`` is said, nothing can be written."""

    def __init__(self) -> None:
        self.fault: str | None = None
        self.delay = 0.0
        """Seconds that a commit takes."""
        self.is_in_doubt = False
        """Whether the next thing that fails is written all the same."""
        self.commits = 0
        self.calls: dict[str, CallRow] = {}
        self.registrations: dict[Endpoint, PushRegistration] = {}

    async def load(self) -> Kept:
        """Return the calls and registrations."""
        return Kept(tuple(self.calls.values()), tuple(self.registrations.values()))

    async def commit(self, rows: TurnRows) -> None:
        """Write what a turn has to keep."""
        await anyio.sleep(self.delay)
        self.commits += 1
        if self.fault is not None and not self.is_in_doubt:
            raise StateUnavailable(self.fault)
        for call in rows.forgotten_calls:
            self.calls.pop(call, None)
        for endpoint in rows.forgotten_registrations:
            self.registrations.pop(endpoint, None)
        self.calls |= {row.call: row for row in rows.calls}
        self.registrations |= {each.endpoint: each for each in rows.registrations}
        if self.fault is not None:
            self.is_in_doubt = False
            raise StateUnavailable(self.fault, in_doubt=True)


@define
class Push:
    """A push that was made, when, and with what."""

    at: float
    uri: str
    body: bytes = field(repr=False)
    ttl: float

    @property
    def kind(self) -> int:
        """The id of its event."""
        return int(json.loads(self.body)["eventId"])


class RecordingPusher:
    """Notes each push, and answers what it is told to."""

    def __init__(self) -> None:
        self.pushes: list[Push] = []
        self.outcomes: dict[str, list[Pushed | Exception]] = {}
        """For a URI, what its pushes come to in turn; then they are accepted."""
        self.delay = 0.0
        """Seconds that a push takes."""
        self.under_way = 0
        self.most_at_a_time = 0

    def check(self, uri: str) -> None:
        """Trust what is on our host."""
        if not uri.startswith("https://push.test/"):
            raise InvalidArgument("the channel is not on a host that is trusted here")

    async def push(self, uri: str, body: bytes, ttl: float) -> Pushed:
        """Note a push."""
        self.pushes.append(Push(anyio.current_time(), uri, body, ttl))
        self.under_way += 1
        self.most_at_a_time = max(self.most_at_a_time, self.under_way)
        try:
            await anyio.sleep(self.delay)
        finally:
            self.under_way -= 1
        outcomes = self.outcomes.get(uri)
        outcome = outcomes.pop(0) if outcomes else Pushed.ACCEPTED
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    def kinds(self, uri: str) -> list[int]:
        """Return what was pushed to a channel, by the ids of the events."""
        return [push.kind for push in self.pushes if push.uri == uri]


class MemoryLine:
    """A connection that remembers what it is told."""

    def __init__(self, exchange: Exchange, endpoint: Endpoint) -> None:
        self.endpoint = endpoint
        self.told: list[Message] = []
        self.last_word: CallRefused | None = None
        self._exchange = exchange

    def tell(self, message: Message) -> None:
        """Remember a message."""
        self.told.append(message)

    def part(self, last_word: CallRefused) -> None:
        """Remember the last one."""
        self.last_word = last_word

    @property
    def phases(self) -> list[CallPhase]:
        """What it was told of how calls stand."""
        return [each.phase for each in self.told if isinstance(each, CallReport)]

    def last(self, kind: type[M]) -> M:
        """Return what it was told last, which has to be of a class."""
        message = self.told[-1]
        assert isinstance(message, kind), message
        return message

    async def connect(self, *open_calls: str, quiet: bool = False) -> MemoryLine:
        """Say hello."""
        await self._exchange.connect(self, hello(*open_calls, name=self.endpoint.device, quiet=quiet))
        return self

    async def leave(self) -> None:
        """Break."""
        await self._exchange.leave(self)

    async def ask(self, question: Message) -> Message:
        """Ask, and return what was told last."""
        await self._exchange.ask(self, question)
        return self.told[-1]

    async def start(self, callee: Endpoint, call: str = "c1") -> Message:
        """Call a user."""
        return await self.ask(StartCall(1, call, callee.user, video=True))

    async def accept(self, call: str = "c1") -> Message:
        """Accept a call."""
        return await self.ask(AcceptCall(2, call, muted=False, video=False))

    async def hang_up(self, call: str = "c1") -> Message:
        """Hang up."""
        return await self.ask(HangUpCall(3, call))

    async def register(self, uri: str) -> Message:
        """Be rung by pushes."""
        return await self.ask(RegisterForCallPush(4, uri, 86_400.0))


@define(eq=False)
class ExchangeWorld:
    """An exchange and what it stands on, which outlive it."""

    store: MemoryCallingStore = field(factory=MemoryCallingStore)
    pusher: RecordingPusher = field(factory=RecordingPusher)
    ahead: float = 1_000_000.0
    """By how much the service's time is ahead of the loop's."""
    exchange: Exchange = field(init=False)

    def now(self) -> float:
        """Tell the service's time."""
        return anyio.current_time() + self.ahead

    @asynccontextmanager
    async def running(self, make: Callable[..., Exchange] = Exchange, *, pushes: bool = True) -> AsyncIterator[None]:
        """Run an exchange from what was kept."""
        store: CallingStore = self.store  # type: ignore[assignment]  # users are not its matter
        pusher: Pusher | None = self.pusher if pushes else None
        self.exchange = make(store, pusher, now=self.now)
        async with self.exchange.running():
            yield

    async def line(self, endpoint: Endpoint, *open_calls: str, quiet: bool = False) -> MemoryLine:
        """Connect an endpoint."""
        return await MemoryLine(self.exchange, endpoint).connect(*open_calls, quiet=quiet)
