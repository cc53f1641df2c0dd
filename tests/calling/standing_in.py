"""A client, its agent and its calls whose calling service is the test itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio

from tocsin.calling.call import Call
from tocsin.calling.call_agent import CommonCallAgent
from tocsin.calling.call_client import CallClient
from tocsin.calling.call_event import CallEvent
from tocsin.calling.event_arguments import (
    CallAgentChangedEventArgs,
    CallerInfo,
    CallerInfoChangedEventArgs,
    ConnectionStateChangedEventArgs,
    IncomingCallReceivedEventArgs,
    PushNotificationHandledEventArgs,
)
from tocsin.calling.handler_calls import HandlerCalls
from tocsin.calling.incoming_call import IncomingCall
from tocsin.calling.options import AcceptCallOptions
from tocsin.protocol.calling.agent_connection import ConnectionReason, ConnectionState
from tocsin.protocol.calling.end_reason import DECLINED, CallEndReason
from tocsin.protocol.calling.push_notification import PushEventType, PushNotificationDetails
from tocsin.protocol.calling.push_outcome import PushOutcome
from tocsin.protocol.calling.raw_id import read_raw_id
from tocsin.protocol.errors import CallEnded, IllegalCall, NotFound, PlatformUnavailable, PushError
from tocsin.tasks import task_group

ANN = "8:acs:contoso_ann"


class StandInCall(Call):
    """A call that was accepted."""

    def __init__(self, id_: str, options: AcceptCallOptions | None) -> None:
        self._id, self.options = id_, options

    @property
    def id(self) -> str:
        """The call's id."""
        return self._id


class StandInRing(IncomingCall):
    """A call that rings until the test, or an answer, ends that."""

    def __init__(self, calls: HandlerCalls, id_: str, name: str = "Ann", *, video: bool = False) -> None:
        self._id, self._video = id_, video
        self._caller = CallerInfo(name, read_raw_id(ANN))
        self._reason: CallEndReason | None = None
        self._over = anyio.Event()
        self.caller_info_changed = CallEvent("the caller", calls)
        self.call_ended = CallEvent("an end", calls)
        self.failures: list[PushError] = []
        """What the next answers fail with."""
        self.accepted: StandInCall | None = None
        self.left = 120.0

    @property
    def id(self) -> str:
        """The call's id."""
        return self._id

    @property
    def caller_info(self) -> CallerInfo:
        """Who calls."""
        return self._caller

    @property
    def is_video_enabled(self) -> bool:
        """Whether with video."""
        return self._video

    @property
    def is_ringing(self) -> bool:
        """Whether it rings."""
        return not self._over.is_set()

    @property
    def rings_for(self) -> float:
        """For how long."""
        return self.left if self.is_ringing else 0.0

    @property
    def call_end_reason(self) -> CallEndReason | None:
        """Why not."""
        return self._reason

    def rename(self, name: str) -> None:
        """Let the caller's name become known."""
        self._caller = CallerInfo(name, self._caller.identifier)
        self.caller_info_changed.emit(CallerInfoChangedEventArgs(self, self._caller))

    def end(self, reason: CallEndReason | None) -> None:
        """Let it ring no more."""
        self._reason = reason
        self._over.set()

    async def accept(self, options: AcceptCallOptions | None = None) -> Call:
        """Accept it."""
        await self._answer()
        self.accepted = StandInCall(self._id, options)
        self.end(None)
        return self.accepted

    async def reject(self) -> None:
        """Decline it."""
        await self._answer()
        self.end(DECLINED)

    async def _answer(self) -> None:
        await anyio.lowlevel.checkpoint()
        if self.failures:
            raise self.failures.pop(0)
        if self._reason is not None:
            raise CallEnded("it rings no more", reason=(self._reason.code, self._reason.subcode))
        if self.accepted is not None:
            raise IllegalCall("it was accepted before")

    async def wait_until_ended(self) -> CallEndReason | None:
        """Wait until it rings no more."""
        await self._over.wait()
        return self._reason


class StandInAgent(CommonCallAgent):
    """An agent whose service the test plays: what is in ``at_service`` is what it knows of calls."""

    def __init__(self, calls: HandlerCalls) -> None:
        self.handlers = calls
        self.connected = True
        self.at_service: dict[str, StandInRing] = {}
        self.asked: list[str] = []
        self.uris: list[str] = []
        self.failures: list[PushError] = []
        """What the next registrations fail with."""
        self.connection_state_changed = CallEvent("a connection", calls)
        self.received: CallEvent[IncomingCallReceivedEventArgs] = CallEvent("a ring", calls, self._standing)
        self._rings: list[StandInRing] = []

    def _standing(self) -> list[IncomingCallReceivedEventArgs]:
        return [IncomingCallReceivedEventArgs(each) for each in self._rings if each.is_ringing]

    @property
    def connection_state(self) -> ConnectionState:
        """Whether it is connected."""
        return ConnectionState.CONNECTED if self.connected else ConnectionState.DISCONNECTED

    @property
    def incoming_calls(self) -> tuple[IncomingCall, ...]:
        """What rings."""
        return tuple(each for each in self._rings if each.is_ringing)

    def make(self, id_: str, name: str = "Ann", *, video: bool = False) -> StandInRing:
        """Let the service have a call that this agent has not heard of."""
        self.at_service[id_] = made = StandInRing(self.handlers, id_, name, video=video)
        return made

    def ring(self, id_: str, name: str = "Ann", *, video: bool = False) -> StandInRing:
        """Let a call ring."""
        made = self.make(id_, name, video=video)
        self.hear(made)
        return made

    def hear(self, ring: StandInRing) -> None:
        """Tell of a call that rings."""
        if ring not in self._rings:
            self._rings.append(ring)
            self.received.emit(IncomingCallReceivedEventArgs(ring))

    async def attend_call(self, call_id: str) -> IncomingCall:
        """Ask the service."""
        self.asked.append(call_id)
        await anyio.lowlevel.checkpoint()
        if not self.connected:
            raise PlatformUnavailable("there was no connection")
        ring = self.at_service.get(call_id)
        if ring is None:
            raise NotFound("no such call")
        if not ring.is_ringing:
            reason = ring.call_end_reason
            raise CallEnded("it rings no more", reason=None if reason is None else (reason.code, reason.subcode))
        self.hear(ring)
        return ring

    def connect(self, *, connected: bool = True) -> None:
        """Let it be connected, or not."""
        self.connected = connected
        self.connection_state_changed.emit(
            ConnectionStateChangedEventArgs(self, self.connection_state, ConnectionReason.NONE)
        )

    async def register_for_push_notification(self, uri: str) -> None:
        """Take a channel."""
        await anyio.lowlevel.checkpoint()
        if self.failures:
            raise self.failures.pop(0)
        self.uris.append(uri)

    async def unregister_push_notification(self, *, every_device: bool = False) -> None:
        """Forget it."""
        await anyio.lowlevel.checkpoint()
        if self.failures:
            raise self.failures.pop(0)
        self.uris.append(f"unregistered {every_device}")


class StandInClient(CallClient):
    """A client that has an agent when the test says so."""

    def __init__(self, state: Path, calls: HandlerCalls) -> None:
        self._folder, self._handlers = state, calls
        self._agent: StandInAgent | None = None
        self._there = anyio.Event()
        self.call_agent_changed = CallEvent("an agent", calls, self._standing_agent)
        self.incoming_call_received = CallEvent("a ring", calls, self._standing_rings)
        self.push_notification_handled = CallEvent("a push", calls)

    @property
    def app(self) -> str:
        """The app's name."""
        return "contoso.phone"

    @property
    def state(self) -> Path:
        """The folder."""
        return self._folder

    @property
    def call_agent(self) -> CommonCallAgent | None:
        """The agent."""
        return self._agent

    def make_agent(self, *, connected: bool = True) -> StandInAgent:
        """Let there be an agent."""
        self._agent = agent = StandInAgent(self._handlers)
        agent.connected = connected
        agent.received.add(self.incoming_call_received.emit)
        self._there.set()
        self.call_agent_changed.emit(CallAgentChangedEventArgs(agent))
        return agent

    async def wait_for_call_agent(self) -> CommonCallAgent:
        """Wait for it."""
        await self._there.wait()
        assert self._agent is not None
        return self._agent

    def tell_of_push(self, ring: StandInRing, reason: CallEndReason | None, outcome: PushOutcome) -> None:
        """Let a push about a call that this process did not ring for have been looked at."""
        details = PushNotificationDetails(
            PushEventType.STOP_RINGING,
            110,
            ring.id,
            ring.caller_info.identifier,
            display_name=ring.caller_info.display_name,
            has_incoming_video=ring.is_video_enabled,
        )
        self.push_notification_handled.emit(PushNotificationHandledEventArgs(outcome, details, None, reason))

    def _standing_agent(self) -> list[CallAgentChangedEventArgs]:
        return [] if self._agent is None else [CallAgentChangedEventArgs(self._agent)]

    def _standing_rings(self) -> list[IncomingCallReceivedEventArgs]:
        return [] if self._agent is None else self._agent._standing()


@asynccontextmanager
async def standing_in(state: Path) -> AsyncIterator[StandInClient]:
    """Make a client, whose handlers are called while the block runs."""
    calls = HandlerCalls()
    async with task_group() as tasks:
        calls.start(tasks)
        yield StandInClient(state, calls)
        calls.end()
        tasks.cancel_scope.cancel()
