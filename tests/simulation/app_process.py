"""The processes of apps that reach the platform through an agent: they come and go, stall, crash, and outlive agents.

Sessions, ports and the agent's door are the real ones; the sockets between them are pairs, whose ends are read at once.
"""

from __future__ import annotations

import errno
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast
from uuid import UUID

import anyio
from anyio.abc import SocketStream

from tests.simulation.apps import Handler, Handlers
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.identity import Identity
from tocsin.api.manager import PushNotificationManager
from tocsin.api.session import Session
from tocsin.api.session_lifetime import open_session
from tocsin.protocol.errors import ChannelClosed, PushError
from tocsin.protocol.platform.activation import Activators, PushNotificationActivationInfo
from tocsin.protocol.platform.command import Command
from tocsin.tasks import task_group
from tocsin.transport.agent_port import AgentPort
from tocsin.transport.frame_stream import StreamBroken

if TYPE_CHECKING:
    from tests.simulation.processes import Processes

UNPACKAGED, PACKAGED, LIAR = "contoso.chat", "contoso.feed", "contoso.liar"
AWAY: tuple[str, ...] = (UNPACKAGED, PACKAGED)
"""The apps whose processes come and go."""

CLSID = UUID("f80e541e-3606-48fb-935e-118a3c5f41f6")
REMOTE_ID = "f80e541e-3606-48fb-935e-118a3c5f41f7"

AGENT = Path("/agent")
CRASH = 0.01
"""Seconds into its work at which a process crashes; a life of no time at all would let a loop of crashes look like one that never rests."""


def command_of(app: str) -> Command:
    """Return what starts an app."""
    return Command((b"/app", app.encode()), b"/", ())


class PlayedStream:
    """One end of a socket between an app and an agent."""

    def __init__(self, end: socket.socket) -> None:
        end.setblocking(False)  # noqa: FBT003  # the only way
        self._end = end

    def extra(self, _: Any) -> socket.socket:
        """Return the socket, as anyio's streams do."""
        return self._end

    def cut(self) -> None:
        """Let neither end send any more; what was sent arrives."""
        with suppress(OSError):  # it was closed before
            self._end.shutdown(socket.SHUT_RDWR)

    async def aclose(self) -> None:
        """Close it."""
        self._end.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._end.close()


class SteppedPort(AgentPort):
    """A port whose session takes nothing while it stalls."""

    def __init__(
        self, app: str, fraction: Callable[[], float], dial: Callable[[Path], Awaitable[SocketStream]]
    ) -> None:
        super().__init__(AGENT, app, fraction=fraction, dial=dial)
        self.goes_on = anyio.Event()
        self.goes_on.set()

    async def receive(self) -> list[bytes]:
        """Wait for frames, and for the app to take them."""
        frames = await super().receive()
        await self.goes_on.wait()
        return frames


class AppProcess:
    """A process of an app, from its start to its end.

    :param work: what its handlers do with what they get.
    :param claim: the secret that it was launched with; empty where it was not launched.
    """

    def __init__(self, processes: Processes, name: str, app: str, work: str, claim: str = "") -> None:
        self.name = name
        self.app = app
        self.ended = anyio.Event()
        self.leave = anyio.Event()
        self.is_dead = False
        self.stalls = False
        self.handlers = Handlers(processes.sim.record, {app: work}, process=name)
        self.work = work
        self.manager: PushNotificationManager | None = None
        self._up = anyio.Event()
        self._processes = processes
        self._claim = claim
        self._stream: PlayedStream | None = None
        self._scope = anyio.CancelScope()
        self._port = SteppedPort(app, processes.sim.device.fraction, self._dial)

    async def run(self) -> None:
        """Live."""
        with self._scope:
            try:
                async with self._port.connected() as (frames, early), task_group() as tasks:
                    tasks.start_soon(self._port.carry, frames, early)
                    async with open_session(self._port, self._claim or None) as session:
                        await self._live(session)
                    await self._port.finish(1.0)
                    tasks.cancel_scope.cancel()
            except* (StreamBroken, PushError):
                pass  # there is no agent, or no payload for it
        self._forget_work()
        self._processes.living.remove(self)
        self.ended.set()

    def die(self) -> None:
        """Let it end in the middle of what it does: nothing that it does has an effect any more."""
        if not self.is_dead:
            self.is_dead = True
            self._processes.sim.record.say("process dies", self.name)
            if self._stream is not None:
                self._stream.cut()
            self._scope.cancel()
            self._forget_work()

    async def is_up(self) -> bool:
        """Wait until it has its session, or has ended; tell which."""
        async with anyio.create_task_group() as tasks:

            async def wait_for(event: anyio.Event) -> None:
                await event.wait()
                tasks.cancel_scope.cancel()

            tasks.start_soon(wait_for, self._up)
            tasks.start_soon(wait_for, self.ended)
        return self._up.is_set()

    def stall(self) -> None:
        """Take nothing that comes any more, until it goes on."""
        self.stalls = True
        self._port.goes_on = anyio.Event()
        self._forget_work()

    def go_on(self) -> None:
        """Take what comes."""
        self._port.goes_on.set()

    def attach_all(self) -> None:
        """Let a handler take the payloads of the app's channels."""
        assert self.manager is not None
        for channel, stored in self._processes.sim.store._channels.items():
            if stored.app == self.app:
                with suppress(ChannelClosed):
                    handler = self._handler(self.work, self.handlers.foreground(self.work))
                    self.manager._session.subscribe(channel, handler)

    async def register(self, activators: Activators, *, works: bool) -> None:
        """Register for the background; where it does no work, others are launched for it."""
        assert self.manager is not None
        handler = self._handler(self.work, self.handlers.background(self.app)) if works else None
        await self.manager.register_activator(PushNotificationActivationInfo(activators, CLSID), handler)

    async def request(self) -> None:
        """Request the app's channel."""
        assert self.manager is not None
        await self.manager.create_channel(REMOTE_ID)

    async def _live(self, session: Session) -> None:
        packaged = self.app == PACKAGED
        identity = Identity(packaged=True, family_name=self.app, classes={CLSID: ("/app",)}) if packaged else Identity()
        self.manager = PushNotificationManager(session, self.app, None, identity, lambda _: command_of(self.app))
        self._up.set()
        if session.launched is not None:
            await self._do(await session.launched.args())
        else:
            await self.leave.wait()

    async def _do(self, args: PushNotificationReceivedEventArgs) -> None:
        """Do the work that it was launched for; it has been done when the session ends in order."""
        if self.work in {"hangs", "ignores stop", "crashes", "defers for long"}:
            await self._handler(self.work, self.handlers.background(self.app))(args)
        else:
            self.handlers.record.call(args, self.name)
            self.handlers.record.done.add(args.id)

    def _handler(self, mode: str, inner: Handler) -> Handler:
        async def handle(args: PushNotificationReceivedEventArgs) -> None:
            if mode == "crashes":
                self.handlers.record.call(args, self.name)
                await anyio.sleep(CRASH)
                self.die()
                await anyio.sleep_forever()
            if not self.is_dead:
                await inner(args)

        return handle

    async def _dial(self, _: Path) -> SocketStream:
        if self.is_dead:
            raise ConnectionRefusedError(errno.ECONNREFUSED, "")
        self._stream = self._processes.connect()
        return cast(SocketStream, self._stream)

    def _forget_work(self) -> None:
        record = self._processes.sim.record
        record.works = [work for work in record.works if work.call.process != self.name]
