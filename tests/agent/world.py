"""An agent in this process, and apps that reach it over its socket."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import anyio
from attrs import Factory, define

from tocsin import PushNotificationChannel, PushNotificationManager, WnsClient, connect
from tocsin.agent.open_agent import Agent, open_agent
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import decode_own, encode
from tocsin.protocol.messages.unpacking import MAX_OWN_FRAME
from tocsin.protocol.values import AGENT_VERSION
from tocsin.shell.desktop import Desktop
from tocsin.transport.frame_stream import FrameStream

PATIENCE = 10.0
"""Seconds after which a test gives up."""


@define
class World:
    """A running agent, and how to reach it."""

    agent: Agent
    socket: Path
    end: anyio.Event = Factory(anyio.Event)
    ended: anyio.Event = Factory(anyio.Event)

    def connect(
        self, app: str, command: Sequence[str] = (sys.executable, "-c", "pass")
    ) -> AbstractAsyncContextManager[PushNotificationManager]:
        """Let a session of an app in, over the socket."""
        return connect(app, self.socket, command=command)

    async def channel(self, manager: PushNotificationManager) -> PushNotificationChannel:
        """Return the channel of an app."""
        assert manager.registration is not None
        with anyio.fail_after(PATIENCE):
            result = await manager.create_channel(manager.registration.remote_id)
        assert result.channel is not None, result
        return result.channel

    async def push(self, manager: PushNotificationManager, channel: PushNotificationChannel, *bodies: bytes) -> None:
        """Push as a server would."""
        registration = manager.registration
        assert registration is not None
        async with WnsClient(
            registration.client_id, registration.client_secret, token_url=registration.token_url
        ) as client:
            for body in bodies:
                await client.send(channel.uri, body)

    @asynccontextmanager
    async def socket_of(self, app: str) -> AsyncIterator[FrameStream]:
        """Connect as an app that speaks for itself, greeted already."""
        async with await anyio.connect_unix(self.socket) as stream:
            frames = FrameStream(stream, MAX_OWN_FRAME)
            await frames.send([encode(m.SessionHello(AGENT_VERSION, app))])
            first, *_ = await frames.receive()
            assert isinstance(decode_own(first), m.SessionWelcome)
            yield frames


@asynccontextmanager
async def world(folder: Path, desktop: Desktop | None = None) -> AsyncIterator[World]:
    """Run an agent with a push service of its own."""
    socket = folder / "agent.sock"
    async with open_agent(folder / "state", socket, desktop=desktop) as agent:
        yield World(agent, socket)
