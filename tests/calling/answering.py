"""A calling service that answers agents by what a test lets it know of calls; the client is a real one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from attrs import evolve

from tests.calling.playing import BOB, CALL, RINGS, ended, token
from tests.helpers import PATIENCE, MemoryWire, memory_wires
from tocsin.calling import (
    CallAgent,
    CallAgentOptions,
    CallClient,
    CallClientOptions,
    CallEndReason,
    CallTokenCredential,
)
from tocsin.protocol.messages import calling as c
from tocsin.protocol.messages.base import Message
from tocsin.protocol.messages.codec import decode, encode, split
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.tasks import task_group
from tocsin.transport.wire import Wire, WireBroken

OTHER = "00000000-0000-0000-0000-000000000002"


class AnsweringService:
    """The service of one user; refuses connections while ``reachable`` is false."""

    place = "calling.test:443"

    def __init__(self) -> None:
        self.reachable = True
        self.calls: dict[str, c.CallReport] = {}
        self.asked: list[Message] = []
        self.refusals: dict[type[Message], list[c.CallRefused]] = {}
        """What the next questions of a class are refused with."""
        self.silent = False
        """Whether no question is answered."""
        self.granted = 86_400.0
        """Seconds that a registration is good for."""
        self._wire: MemoryWire | None = None
        self._heard = anyio.Event()

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Wire]:
        """Connect, as an agent does."""
        if not self.reachable:
            raise WireBroken("the service is away", ConnectionCause.REFUSED)
        async with memory_wires() as (ours, theirs), task_group() as tasks:
            self._wire = ours
            tasks.start_soon(self._serve, ours)
            yield theirs
            tasks.cancel_scope.cancel()

    async def ring(self, call: str = CALL, name: str = "Ann", *, video: bool = False) -> None:
        """Let a call ring."""
        self.know(call, name, video=video)
        await self._tell(self.calls[call])

    def know(self, call: str = CALL, name: str = "Ann", *, video: bool = False) -> None:
        """Let a call ring of which no agent is told."""
        self.calls[call] = evolve(RINGS, call=call, peer_name=name, video=video)

    async def rename(self, name: str, call: str = CALL) -> None:
        """Let the caller have another name."""
        self.calls[call] = evolve(self.calls[call], peer_name=name)
        await self._tell(self.calls[call])

    async def end(self, reason: CallEndReason, call: str = CALL) -> None:
        """Let a call end; the agent is told if it is connected."""
        self.end_unheard(reason, call)
        await self._tell(self.calls[call])

    def end_unheard(self, reason: CallEndReason, call: str = CALL) -> None:
        """Let a call end of which no agent is told."""
        self.calls[call] = ended(reason.code, reason.subcode, self.calls[call])

    async def cut(self) -> None:
        """Break the connection."""
        assert self._wire is not None
        await self._wire.aclose()

    def about(self, kind: type[Message]) -> list[Message]:
        """Return what was asked of a class."""
        return [each for each in self.asked if isinstance(each, kind)]

    @property
    def uris(self) -> list[str]:
        """What was to be registered, in its order."""
        return [each.uri for each in self.asked if isinstance(each, c.RegisterForCallPush)]

    async def until(self, enough: Callable[[], bool]) -> None:
        """Wait until enough was asked."""
        with anyio.fail_after(PATIENCE):
            while not enough():
                await self._heard.wait()

    async def _tell(self, *messages: Message) -> None:
        if self._wire is not None:
            try:
                await self._wire.send(b"".join(map(encode, messages)))
            except WireBroken:
                return

    async def _serve(self, wire: MemoryWire) -> None:
        try:
            while True:
                for frame in split(await wire.receive()):
                    message = decode(frame)
                    self.asked.append(message)
                    self._heard.set()
                    self._heard = anyio.Event()
                    await wire.send(b"".join(map(encode, self._answers(message))))
        except WireBroken:
            return

    def _answers(self, message: Message) -> list[Message]:
        if self.silent:
            return []
        refusals = self.refusals.get(type(message))
        if refusals:
            return [evolve(refusals.pop(0), request=message.request)]  # type: ignore[attr-defined]  # of a question
        match message:
            case c.CallHello():
                ringing = [each for each in self.calls.values() if each.phase is c.CallPhase.RINGING]
                known = [self.calls[each] for each in message.open_calls if each in self.calls]
                return [c.CallWelcome(c.CALLING_VERSION, BOB, 86_400.0), *ringing, *known]
            case c.RegisterForCallPush():
                return [c.CallPushRegistered(message.request, self.granted)]
            case c.CallGoodbye() | c.UnregisterFromCallPush():
                return [c.CallDone(message.request)]
            case c.AcceptCall() if self.calls[message.call].phase is c.CallPhase.RINGING:
                self._become(message.call, c.CallPhase.CONNECTING)
            case c.CallReady():
                self._become(message.call, c.CallPhase.CONNECTED)
            case c.RejectCall() if self.calls[message.call].phase is c.CallPhase.RINGING:
                self.calls[message.call] = ended(603, 0, self.calls[message.call])
            case c.HangUpCall():
                self.calls[message.call] = ended(0, 0, self.calls[message.call])
            case _:
                pass
        assert isinstance(message, c.AttendCall | c.AcceptCall | c.CallReady | c.RejectCall | c.HangUpCall), message
        unknown = evolve(RINGS, call=message.call, phase=c.CallPhase.UNKNOWN, rings_for=0.0)
        return [evolve(self.calls.get(message.call, unknown), request=message.request)]

    def _become(self, call: str, phase: c.CallPhase) -> None:
        self.calls[call] = evolve(self.calls[call], phase=phase, here=True, rings_for=0.0)


@asynccontextmanager
async def client_of(service: AnsweringService, state: Path) -> AsyncIterator[CallClient]:
    """Let a client use a service that a test plays."""
    options = CallClientOptions(signalling=service)
    async with CallClient("https://calling.test", app="contoso.phone", state=state, options=options) as client:
        yield client


async def agent_of(client: CallClient, options: CallAgentOptions | None = None) -> CallAgent:
    """Make the agent of the user of the service."""
    return await client.create_call_agent(CallTokenCredential(token()), options)
