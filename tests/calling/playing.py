"""A calling service that a test plays by hand, over wires in memory."""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import count
from math import inf
from pathlib import Path
from typing import Any, TypeVar

import anyio
from attrs import evolve

from tests.helpers import MemoryWire, memory_wires
from tocsin.calling import CallAgent, CallAgentOptions, CallClient, CallClientOptions, CallTokenCredential
from tocsin.protocol.messages.base import Message
from tocsin.protocol.messages.calling import (
    CALLING_VERSION,
    CallHello,
    CallPhase,
    CallReport,
    CallWelcome,
)
from tocsin.protocol.messages.codec import decode, encode, split
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.transport.wire import Wire, WireBroken

M = TypeVar("M", bound=Message)

BOB = "8:acs:contoso_bob"
ANN = "8:acs:contoso_ann"
TEAMS = "8:orgid:00000000-0000-0000-0000-0000000000aa"
CALL = "00000000-0000-0000-0000-000000000001"
CHANNEL = "https://push.test/w/?token=c1"

PATIENCE = 86_400.0
"""Virtual seconds after which a test gives up waiting."""

_numbers = count()


def token(user: str = BOB, *, kind: str = "acs", expires: float = 4e9) -> str:
    """Write a token as a service does; no client verifies it, and no two are the same."""
    claims = {"sub": user, "kind": kind, "exp": expires, "iat": 0, "jti": str(next(_numbers))}
    parts = (json.dumps(part).encode() for part in ({"alg": "HS256", "typ": "JWT"}, claims))
    return ".".join([*(urlsafe_b64encode(part).decode().rstrip("=") for part in parts), "c2lnbmVk"])


def push(event: int = 107, call: str = CALL, **fields: Any) -> str:
    """Write a push about a call of Ann's to Bob."""
    return json.dumps(
        {"eventId": event, "callId": call, "cp": "Y3A=", "recipientId": BOB, "callerId": ANN, "displayName": "Ann"}
        | fields
    )


RINGS = CallReport(
    request=0,
    call=CALL,
    phase=CallPhase.RINGING,
    incoming=True,
    peer=ANN,
    peer_name="Ann",
    video=False,
    rings_for=120.0,
    here=False,
    code=0,
    subcode=0,
    peer_muted=False,
    peer_held=False,
)
"""A call of Ann's rings for Bob."""


def ended(code: int, subcode: int, of: CallReport = RINGS, **fields: Any) -> CallReport:
    """Say that a call has ended."""
    return evolve(of, phase=CallPhase.ENDED, code=code, subcode=subcode, rings_for=0.0, **fields)


class PlayedService:
    """The service's end of every connection of an agent; refuses them while ``reachable`` is false."""

    place = "calling.test:443"

    def __init__(self) -> None:
        self.reachable = True
        self.dials = 0
        self.user = BOB
        self.token_left = 86_400.0
        self._send, self._connections = anyio.create_memory_object_stream[MemoryWire](64)
        self._wire: MemoryWire | None = None
        self._messages: list[Message] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Wire]:
        """Connect, as an agent does."""
        self.dials += 1
        if not self.reachable:
            raise WireBroken("the service is away", ConnectionCause.REFUSED)
        async with memory_wires() as (ours, theirs):
            self._send.send_nowait(ours)
            yield theirs

    async def accept(self, *, welcome: bool = True, patience: float = PATIENCE) -> CallHello:
        """Wait for the next connection, and welcome its agent."""
        with anyio.fail_after(patience):
            self._wire = await self._connections.receive()
        self._messages.clear()
        hello = await self.expect(CallHello)
        if welcome:
            await self.send(CallWelcome(CALLING_VERSION, self.user, self.token_left))
            await anyio.wait_all_tasks_blocked()
        return hello

    async def expect(self, kind: type[M]) -> M:
        """Wait for the next message, which must be of that class."""
        assert self._wire is not None
        with anyio.fail_after(PATIENCE):
            while not self._messages:
                self._messages += [decode(frame) for frame in split(await self._wire.receive())]
        message = self._messages.pop(0)
        assert isinstance(message, kind), message
        return message

    async def silent(self, seconds: float = 1.0) -> None:
        """Find that nothing comes for a while."""
        assert self._wire is not None
        assert not self._messages
        with anyio.move_on_after(seconds):
            raise AssertionError(split(await self._wire.receive()))

    async def send(self, *messages: Message) -> None:
        """Send messages in one chunk."""
        await self.send_bytes(b"".join(encode(message) for message in messages))

    async def send_bytes(self, chunk: bytes) -> None:
        """Send a chunk of anything."""
        assert self._wire is not None
        await self._wire.send(chunk)

    async def answer(self, question: Any, report: Message, **fields: Any) -> None:
        """Answer a question."""
        await self.send(evolve(report, request=question.request, **fields))  # type: ignore[misc]

    async def cut(self) -> None:
        """Break the connection."""
        assert self._wire is not None
        await self._wire.aclose()

    async def cut_off(self) -> None:
        """Find that the agent has broken the connection."""
        try:
            await self.expect(CallHello)
        except WireBroken:
            return
        raise AssertionError

    def close(self) -> None:
        """Close what waits for agents."""
        self._send.close()
        self._connections.close()


@asynccontextmanager
async def client_of(service: PlayedService, state: Path) -> AsyncIterator[CallClient]:
    """Let a client use the service that a test plays."""
    options = CallClientOptions(signalling=service)
    client = CallClient("https://calling.test", app="contoso.phone", state=state, options=options)
    client._fraction = lambda: 1.0
    try:
        async with client:
            yield client
    finally:
        service.close()


@asynccontextmanager
async def agent_of(
    service: PlayedService,
    state: Path,
    credential: CallTokenCredential | None = None,
    options: CallAgentOptions | None = None,
) -> AsyncIterator[CallAgent]:
    """Let Bob's agent be connected to the service that a test plays."""
    async with client_of(service, state) as client:
        yield await connected(service, client, credential, options)


async def connected(
    service: PlayedService,
    client: CallClient,
    credential: CallTokenCredential | None = None,
    options: CallAgentOptions | None = None,
) -> CallAgent:
    """Make Bob's agent, and welcome it."""
    made: list[CallAgent] = []

    async def make() -> None:
        made.append(await client.create_call_agent(credential or CallTokenCredential(token()), options))

    async with anyio.create_task_group() as tasks:
        tasks.start_soon(make)
        await service.accept(
            patience=inf
        )  # the file of the device is read in a thread, for which no virtual clock waits
    return made[0]
