"""The programs of a run: the calling service, which is killed, and a caller and two endpoints of one user, which stay.

What the three do with a call is chance: they accept, decline, let it ring, give up and hang up, each at some moment.
"""

from __future__ import annotations

import os
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup
from attrs import field, frozen

from tests.e2e.calling_kills.journal import ACCEPTING, BEGAN, CONNECTED, ENDED, LEAVING, RANG, Journal
from tests.e2e.crash.victims import APP, SOON, Pipe
from tests.e2e.hub_kills.hub_program import HUB, HubPlace
from tocsin.api.embedded import embedded
from tocsin.calling import (
    Call,
    CallAgent,
    CallAgentOptions,
    CallClient,
    CallEndReason,
    CallState,
    CallStateChangedEventArgs,
    CallsUpdatedEventArgs,
    CallTokenCredential,
    IncomingCall,
    IncomingCallReceivedEventArgs,
)
from tocsin.calling_service.calling_server import open_calling_service
from tocsin.calling_service.calling_settings import CallingSettings
from tocsin.persistence.state_folder import state_folder
from tocsin.protocol.calling import agent_connection
from tocsin.protocol.errors import CallEnded, PushError
from tocsin.protocol.hub.connection_string import write_connection_string
from tocsin.protocol.hub.rights import KEY_NAMES, Right

RING = 2.0
"""Seconds that a call rings; pushes that are good for less than two are dropped."""

KNOCK = 0.02
"""Seconds between two tries of what the service was not there for, and between two calls."""

SOME = 0.3
"""Seconds within which a program makes up its mind."""

TALK = 2.6
"""Seconds within which a call is hung up, also while it rings: some end before, as none answers."""

RECONNECTION = 0.2
"""Seconds until an agent connects again at most: with the usual wait, which grows with each kill, a run would take minutes."""

CALLS = 3
"""Calls that the caller has at a time."""


@frozen
class CallPlace:
    """What the calling service says at its first start: where it is, whom to call, and the tokens of the two users."""

    url: str
    callee: str
    callee_token: str = field(repr=False)
    caller_token: str = field(repr=False)


def serve_calls(pipe: Pipe[Any, Any], state: Path, port: int, push: HubPlace) -> None:
    """Run the calling service until told to leave; at its first start it makes the users, and says how they sign in.

    When asked, it says how all its calls have ended; None where they have not.
    """
    anyio.run(_serve, pipe, state, port, push, not state.exists())


async def _serve(pipe: Pipe[Any, Any], state: Path, port: int, push: HubPlace, first: bool) -> None:
    sends = write_connection_string(push.url, KEY_NAMES[Right.MANAGE], push.key)
    settings = CallingSettings.private(port=port, ring_time=RING, hub=HUB, hub_connection=sends)
    with state_folder(state) as folder:
        async with open_calling_service(folder, settings) as service:
            place = None
            if first:
                callee = await service.users.add("ann")
                await service.users.add("bob")
                tokens = [service.users.issue_token(name)[0] for name in ("ann", "bob")]
                place = CallPlace(service.url, callee.raw_id, *tokens)
            pipe.send(place)
            await anyio.wait_readable(pipe)
            while pipe.recv() is not None:
                calls = await service.calls()
                pipe.send({call.call: (call.code, call.subcode) if call.ended else None for call in calls})
                await anyio.wait_readable(pipe)


@frozen
class _Program:
    """A program of a run, and where it writes."""

    name: str
    journal: Journal
    chance: random.Random
    tasks: TaskGroup

    def note(self, call: str, what: str, reason: CallEndReason | None = None) -> None:
        self.journal.note(self.name, call, what, None if reason is None else (reason.code, reason.subcode))

    async def some_time(self, seconds: float = SOME) -> None:
        await anyio.sleep(self.chance.uniform(0, seconds))

    async def until_done(self, do: Any) -> Any:
        """Do something until the service has been there for it; None where the call is over."""
        while True:
            try:
                return await do()
            except CallEnded:
                return None
            except PushError:
                await anyio.sleep(KNOCK)

    async def talk(self, call: Call, hangs_up: float) -> None:
        """Be in a call until it has ended; ``hangs_up`` is how likely it is hung up here."""
        with call.state_changed(partial(self._state_changed, call)):
            self._state_changed(call)
            async with anyio.create_task_group() as tasks:
                if self.chance.random() < hangs_up:
                    tasks.start_soon(self._hang_up, call)
                reason = await call.wait_until_ended()
                tasks.cancel_scope.cancel()
            self.note(call.id, ENDED, reason)

    def _state_changed(self, call: Call, args: CallStateChangedEventArgs | None = None) -> None:
        if (call.state if args is None else args.state) is CallState.CONNECTED:
            self.note(call.id, CONNECTED)

    async def _hang_up(self, call: Call) -> None:
        await self.some_time(TALK)
        self.note(call.id, LEAVING)
        await self.until_done(call.hang_up)


@frozen
class _Endpoint(_Program):
    """One of the called user."""

    def rings(self, args: IncomingCallReceivedEventArgs) -> None:
        self.note(args.incoming_call.id, RANG)
        self.tasks.start_soon(self._answer, args.incoming_call)

    async def _answer(self, incoming: IncomingCall) -> None:
        way = self.chance.choices([self._accept, self._reject, self._let_ring], [5, 1, 4])[0]
        await way(incoming)

    async def _accept(self, incoming: IncomingCall) -> None:
        await self.some_time()
        self.note(incoming.id, ACCEPTING)
        call = await self.until_done(incoming.accept)
        if call is None:
            await self._let_ring(incoming)
        else:
            await self.talk(call, 0.3)

    async def _reject(self, incoming: IncomingCall) -> None:
        await self.some_time()
        self.note(incoming.id, LEAVING)
        await self.until_done(incoming.reject)
        await self._let_ring(incoming)

    async def _let_ring(self, incoming: IncomingCall) -> None:
        self.note(incoming.id, ENDED, await incoming.wait_until_ended())


@frozen
class _Caller(_Program):
    """The caller."""

    enough: anyio.Event = field(factory=anyio.Event)
    """It begins no more calls."""

    async def call_again_and_again(self, agent: CallAgent, callee: str) -> None:
        while not self.enough.is_set():
            call = await self.until_done(partial(agent.start_call, callee))
            await call.wait_until_ended()
            await self.some_time(KNOCK)

    def updated(self, args: CallsUpdatedEventArgs) -> None:
        for call in args.added_calls:  # also those whose start the service was not there for
            self.note(call.id, BEGAN)
            self.tasks.start_soon(self.talk, call, 1.0)  # sooner or later


def attend(pipe: Pipe[Any, Any], folder: Path, name: str, push: HubPlace, calls: CallPlace) -> None:
    """Run an endpoint until told to leave; first, and when asked, it says which of its calls are open."""
    _prepare(folder, name)
    anyio.run(_attend, pipe, _Place(folder, name, push, calls))


def attend_quietly(pipe: Pipe[Any, Any], folder: Path, name: str, push: HubPlace, calls: CallPlace) -> None:
    """Run an endpoint that learns of calls by pushes only."""
    _prepare(folder, name)
    anyio.run(_attend, pipe, _Place(folder, name, push, calls, quiet=True))


@frozen
class _Place:
    """Where an endpoint is."""

    folder: Path
    name: str
    push: HubPlace
    calls: CallPlace
    quiet: bool = False


async def _attend(pipe: Pipe[Any, Any], at: _Place) -> None:
    options = CallAgentOptions(at.name, disable_internal_push_for_incoming_call=at.quiet)
    async with (
        embedded(APP, at.folder / at.name, service=at.push.url, retries=SOON) as manager,
        _agent(at.folder / f"{at.name}-calls", at.calls.url, at.calls.callee_token, options) as agent,
        anyio.create_task_group() as tasks,
    ):
        endpoint = _Endpoint(at.name, Journal(at.folder), random.Random(at.name), tasks)  # noqa: S311  # not a secret
        channel = (await manager.create_channel(at.push.remote_id)).channel
        if channel is None:
            raise RuntimeError("no channel")

        async def handler(args: Any) -> None:
            args.handled = True
            await agent.handle_push_notification(args.payload)

        with agent.incoming_call_received(endpoint.rings), channel.push_received(handler):
            await agent.register_for_push_notification(channel.uri)
            await _say_what_is_open(pipe, agent)
            tasks.cancel_scope.cancel()


def call_often(pipe: Pipe[Any, Any], folder: Path, name: str, calls: CallPlace) -> None:
    """Run the caller; a first word lets it begin no more calls, and say when the last one has ended, a second one lets it leave."""
    _prepare(folder, name)
    anyio.run(_call_often, pipe, folder, name, calls)


async def _call_often(pipe: Pipe[Any, Any], folder: Path, name: str, calls: CallPlace) -> None:
    async with (
        _agent(folder / f"{name}-calls", calls.url, calls.caller_token, CallAgentOptions(name)) as agent,
        anyio.create_task_group() as tasks,
    ):
        caller = _Caller(name, Journal(folder), random.Random(name), tasks)  # noqa: S311  # not a secret
        with agent.calls_updated(caller.updated):
            pipe.send(None)
            async with anyio.create_task_group() as calling:
                for _ in range(CALLS):
                    calling.start_soon(caller.call_again_and_again, agent, calls.callee)
                await anyio.wait_readable(pipe)
                pipe.recv()
                caller.enough.set()
            await _say_what_is_open(pipe, agent)
            tasks.cancel_scope.cancel()


async def _say_what_is_open(pipe: Pipe[Any, Any], agent: CallAgent) -> None:
    """Say the ids of the calls that are not over, whenever that is asked, until told to leave."""
    while True:
        pipe.send([call.id for call in agent.calls] + [call.id for call in agent.incoming_calls])
        await anyio.wait_readable(pipe)
        if pipe.recv() is None:
            return


@asynccontextmanager
async def _agent(state: Path, url: str, token: str, options: CallAgentOptions) -> AsyncIterator[CallAgent]:
    async with CallClient(url, app=APP, state=state) as client:
        yield await client.create_call_agent(CallTokenCredential(token), options)


def _prepare(folder: Path, name: str) -> None:
    """Let agents come back soon, and have what this process writes to standard error in a file of the run."""
    for wait in ("FIRST_WAIT", "LONGEST_WAIT"):
        setattr(agent_connection, wait, RECONNECTION)
    with (folder / f"{name}.log").open("ab") as said:
        os.dup2(said.fileno(), 2)
