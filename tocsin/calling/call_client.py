"""The entrance to calling: makes the agent of a user, and takes pushes also before there is one."""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Final, Self, TypeVar

import anyio
from anyio.abc import TaskGroup
from attrs import frozen

from tocsin.calling.agent_events import AgentEvents, HasAgentEvents
from tocsin.calling.agent_session import SessionParts
from tocsin.calling.call_agent import CallAgent, CommonCallAgent, TeamsCallAgent
from tocsin.calling.call_event import CallEvent
from tocsin.calling.call_token_credential import CallTokenCredential, SignIn
from tocsin.calling.device_id import DeviceId
from tocsin.calling.handler_calls import HandlerCalls
from tocsin.calling.incoming_call import IncomingCall
from tocsin.calling.options import CallAgentOptions, CallClientOptions
from tocsin.calling.push_desk import AnyPush, PushReader
from tocsin.calling.websocket_signalling import WebSocketSignalling
from tocsin.private_file import folder_of
from tocsin.protocol.arguments import check_app_name, check_kind
from tocsin.protocol.calling.call_token import CallTokenKind
from tocsin.protocol.calling.push_outcome import PushOutcome
from tocsin.protocol.calling.push_registration import check_ttl
from tocsin.protocol.errors import IllegalCall, InvalidArgument, NotSupported
from tocsin.repeat_log import INTERVAL, RepeatLog
from tocsin.tasks import apart, running_loop, task_group

logger = logging.getLogger(__name__)

A = TypeVar("A", CallAgent, TeamsCallAgent)

CLOSE_GRACE: Final = 0.5
"""Seconds that handlers may go on when the block is left."""

_LEFT: Final = "the block of the call client was left, and there will be no agent"
_WHOSE: Final = {CallTokenKind.ACS: "create_call_agent", CallTokenKind.TEAMS: "create_teams_call_agent"}


@frozen
class CallAgentChangedEventArgs:
    """The client has got an agent, or its agent was disposed."""

    agent: CommonCallAgent | None


class CallClient(HasAgentEvents):
    """A calling service as an app uses it: ``async with CallClient(url, app="contoso.phone") as client``.

    When the block is left, open calls are hung up (within 1 s), the agent is disposed, and handlers come to their end
    (0.5 s) or are cancelled.

    :param url: of the calling service, ``http://`` or ``https://``.
    :param app: the name of the app, printable, 1 to 128 characters: each app of a user is an endpoint of its own on a device.
    :param state: the folder for the id of this device; by default the user's, such as ``~/.local/state/tocsin/calling``. Made where it
        is missing.
    :param options: what else may be chosen.
    :raises InvalidArgument: an argument cannot be right.
    :raises NotSupported: when the block is entered: the event loop is not asyncio's.
    """

    def __init__(
        self,
        url: str,
        *,
        app: str,
        state: str | PathLike[str] | None = None,
        options: CallClientOptions | None = None,
    ) -> None:
        check_app_name(app)
        check_kind(options, "options", CallClientOptions, type(None))
        default = WebSocketSignalling(url)
        self._signalling = (options and options.signalling) or default
        self._app, self._state = app, folder_of(state, "calling")
        self._device = DeviceId(self._state, app)
        self._handlers = HandlerCalls()
        self._events = AgentEvents("a call client", self._handlers, self._ringing)
        self._repeats = RepeatLog()
        self._reader = PushReader(self._events, self._repeats)
        self._agent: CommonCallAgent | None = None
        self._is_creating = False
        self._is_made = False
        """Whether the agent was handed out."""
        self._is_over = False
        """Whether the block was left."""
        self._made = anyio.Event()
        self._tasks: TaskGroup | None = None
        self._life: AbstractAsyncContextManager[None] | None = None
        self._fraction: Callable[[], float] = random.random
        self._changed = CallEvent[CallAgentChangedEventArgs]("the agent of a client", self._handlers, self._standing)

    def __repr__(self) -> str:
        """Show where its service is."""
        return f"CallClient({self._signalling.place})"

    async def __aenter__(self) -> Self:
        if self._life is not None:
            raise IllegalCall("the block of a call client is entered once: make another client")
        if running_loop() is None and isinstance(self._signalling, WebSocketSignalling):
            raise NotSupported("WebSockets need asyncio's event loop: run the app with asyncio.run()")
        self._life = self._live()
        await self._life.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._life is not None  # noqa: S101  # Python enters first
        await self._life.__aexit__(kind, error, trace)

    @property
    def app(self) -> str:
        """The name of the app."""
        return self._app

    @property
    def state(self) -> Path:
        """The folder for the id of this device, and for what else the client's room keeps; it may not be there yet."""
        return self._state

    @property
    def call_agent_changed(self) -> CallEvent[CallAgentChangedEventArgs]:
        """There is an agent, or none any more. A handler that is added hears at once of the one that there is."""
        return self._changed

    @property
    def malformed_pushes(self) -> int:
        """How many pushes could not be read."""
        return self._reader.malformed

    @property
    def call_agent(self) -> CommonCallAgent | None:
        """The agent, if there is one that is not disposed."""
        return self._agent if self._is_made and self._agent is not None and not self._agent.is_disposed else None

    async def wait_for_call_agent(self) -> CommonCallAgent:
        """Return the agent, waiting until there is one.

        :raises IllegalCall: the block of the client was left.
        """
        while (agent := self.call_agent) is None:
            if self._is_over:
                raise IllegalCall(_LEFT)
            await self._made.wait()
        return agent

    async def create_call_agent(
        self, credential: CallTokenCredential, options: CallAgentOptions | None = None
    ) -> CallAgent:
        """Make the agent of a communication user, after its first attempt to connect: where that fails, it goes on trying.

        :raises InvalidArgument: the token is none, has expired and there is no refresher, is a Teams user's, or the service refuses
            it (``hresult`` 0x80070057).
        :raises IllegalCall: this client has an agent that is not disposed, or its block has not begun or is left.
        :raises PlatformUnavailable: the refresher was asked for a token, and has failed.
        :raises StateUnavailable: the id of this device cannot be read or written.
        """
        return await self._create(CallAgent, CallTokenKind.ACS, credential, options)

    async def create_teams_call_agent(
        self, credential: CallTokenCredential, options: CallAgentOptions | None = None
    ) -> TeamsCallAgent:
        """Make the agent of a Teams user; as :meth:`create_call_agent`, which is for all others."""
        return await self._create(TeamsCallAgent, CallTokenKind.TEAMS, credential, options)

    async def handle_push_notification(self, notification: AnyPush) -> PushOutcome:
        """Give a push to the agent; without one it is kept (the 32 newest) until there is. No push makes this fail."""
        if self._agent is not None:
            return await self._agent.handle_push_notification(notification)
        details = self._reader.read(notification)
        return PushOutcome.MALFORMED if details is None else self._reader.keep(details)

    async def _create(
        self, cls: type[A], kind: CallTokenKind, credential: CallTokenCredential, options: CallAgentOptions | None
    ) -> A:
        check_kind(credential, "a credential", CallTokenCredential)
        check_kind(options, "options", CallAgentOptions, type(None))
        options = options or CallAgentOptions()
        if kind is CallTokenKind.TEAMS:
            check_ttl(options.push_notification_ttl.total_seconds(), is_teams=True)
        if self._tasks is None:
            raise IllegalCall("a call client makes agents within its block: 'async with CallClient(...) as client'")
        if self._is_creating or (self._agent is not None and not self._agent._has_ended):
            raise IllegalCall("a call client has one agent: dispose it first, or make another client")
        self._is_creating = True
        try:
            token, claims = await credential.sign_in()
            if claims.kind is not kind:
                raise InvalidArgument(f"the call token is of kind {claims.kind}: use {_WHOSE[claims.kind]} for it")
            device = await anyio.to_thread.run_sync(self._device.read_or_make)
            parts = SessionParts(self._signalling, self._handlers, self._reader, device, self._fraction)
            if self._tasks is None:
                raise IllegalCall(_LEFT)
            agent = cls(parts, SignIn(credential, token, claims.user), options, self._events)
            self._agent, self._is_made = agent, False
            self._tasks.start_soon(self._run, agent, name=f"the agent of {claims.user.raw_id}")
        finally:
            self._is_creating = False
        try:
            await agent._wait_until_settled()
        except BaseException:
            agent._begin_to_dispose()
            with anyio.CancelScope(shield=True):  # there is nothing to hang up
                await agent.dispose()
            raise
        if agent.is_disposed:
            raise IllegalCall(_LEFT)
        self._is_made = True
        made, self._made = self._made, anyio.Event()
        made.set()
        self._changed.emit(CallAgentChangedEventArgs(agent))
        return agent

    async def _run(self, agent: CommonCallAgent) -> None:
        try:
            await agent._run()
        finally:
            was_made = self._is_made and self._agent is agent
            if self._agent is agent:
                self._agent = None
            if was_made:
                self._changed.emit(CallAgentChangedEventArgs(None))

    def _ringing(self) -> Iterable[IncomingCall]:
        return () if self._agent is None else self._agent.incoming_calls

    def _standing(self) -> Iterable[CallAgentChangedEventArgs]:
        agent = self.call_agent
        return () if agent is None else (CallAgentChangedEventArgs(agent),)

    @apart
    @asynccontextmanager
    async def _live(self) -> AsyncIterator[None]:
        """Let agents live and handlers be called; at the end all come to theirs, in order."""
        async with task_group() as tasks:
            self._tasks = tasks
            self._handlers.start(tasks)
            tasks.start_soon(self._sweep)
            try:
                yield
            finally:
                self._tasks, self._is_over = None, True
                self._made.set()
                with anyio.CancelScope(shield=True):  # bounded by LEAVING and CLOSE_GRACE
                    if self._agent is not None:
                        await self._agent.dispose()
                    with anyio.move_on_after(CLOSE_GRACE):
                        await self._handlers.done()
                for name in self._handlers.running:
                    logger.warning("%s is cut off: the block of its call client was left", name)
                self._handlers.end()
                self._repeats.close()
                tasks.cancel_scope.cancel()

    async def _sweep(self) -> None:
        while True:
            await self._repeats.to_sweep.wait()
            await anyio.sleep(INTERVAL)
            self._repeats.sweep()
