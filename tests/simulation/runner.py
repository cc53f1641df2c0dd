"""A whole platform on virtual time: its store, its service and its apps, and the means to break them; no real clock runs."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from inspect import iscoroutine
from typing import Any

import anyio
import trio
from anyio import create_memory_object_stream
from anyio.abc import TaskGroup
from anyio.lowlevel import checkpoint
from anyio.streams.stapled import StapledObjectStream
from attrs import Factory, define
from trio.testing import MockClock

from tests.helpers import MemoryWire
from tocsin.actors.actor import Actor, ActorRunner, Kernel
from tocsin.actors.alarm import Alarm
from tocsin.actors.clock import Clock
from tocsin.actors.topology import STOP_TIMEOUT, Platform
from tocsin.api.embedded import open_session
from tocsin.api.manager import PushNotificationManager
from tocsin.persistence.memory import MemoryStore
from tocsin.persistence.store import Changes
from tocsin.protocol import messages as m
from tocsin.protocol.codec import decode, encode, split
from tocsin.protocol.restart import RestartPolicy
from tocsin.protocol.retry import RetryPolicy
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.tasks import task_group
from tocsin.transport.device import DeviceConnection, Inlet
from tocsin.transport.wire import Wire, WireBroken

EPOCH = 1.7e9
"""What the wall clock says when a run begins, in seconds."""

FOREVER = 4e9
"""When the channels of this service expire, in seconds since the epoch."""


class VirtualClock(Clock):
    """The wall clock goes with the loop's."""

    def wall(self) -> float:
        """Return the seconds since the epoch."""
        return EPOCH + anyio.current_time()


class WatchedStore(MemoryStore):
    """Remembers which payloads ended as handled, and which a gate has ever held back."""

    def __init__(self) -> None:
        super().__init__()
        self.handled: set[int] = set()
        self.held: set[int] = set()

    async def commit(self, changes: Changes) -> None:
        """Commit, and take notes."""
        before = self._open.keys() | {payload.sequence for payload in changes.accepted}
        await super().commit(changes)
        self.handled.update(before & set(changes.handled) - self._dead.keys())
        self.held.update(changes.held)


class Service:
    """A push service that sends again, on every connection, what was not acknowledged."""

    def __init__(self) -> None:
        self.reachable = True
        self.refusals: deque[int] = deque()
        self.channels: dict[str, tuple[str, str]] = {}
        self.granted: dict[str, str] = {}
        self.waiting: dict[str, m.Payload] = {}
        self.acknowledged: dict[str, None] = {}
        self._wire: MemoryWire | None = None

    @asynccontextmanager
    async def dial(self) -> AsyncIterator[Wire]:
        """Connect, as a device does."""
        if not self.reachable:
            raise WireBroken("the service is away")
        up, down = (create_memory_object_stream[bytes](1024) for _ in range(2))
        ours = MemoryWire(StapledObjectStream(down[0], up[1]))
        theirs = MemoryWire(StapledObjectStream(up[0], down[1]))
        try:
            async with anyio.create_task_group() as tasks:
                tasks.start_soon(self._serve, ours)
                try:
                    yield theirs
                finally:
                    tasks.cancel_scope.cancel()
        finally:
            with anyio.CancelScope(shield=True):
                await theirs.aclose()
                await ours.aclose()

    async def push(self, payload: m.Payload) -> None:
        """Send a payload now, if the device is there; and again with each connection until it is acknowledged."""
        if payload.id not in self.acknowledged:
            self.waiting[payload.id] = payload
        await self._send(payload)

    async def revoke(self, request: int, names: list[str]) -> None:
        """Take channels back."""
        for name in names:
            self.channels.pop(name, None)
        await self._send(m.ChannelsRevoked(request, tuple(names)))

    async def cut(self) -> None:
        """Break the connection."""
        wire, self._wire = self._wire, None
        if wire is not None:
            await wire.aclose()

    async def _serve(self, wire: MemoryWire) -> None:
        try:
            while True:
                for frame in split(await wire.receive()):
                    await self._take(wire, decode(frame))
        except WireBroken:
            await wire.aclose()
        finally:
            if self._wire is wire:
                self._wire = None

    async def _take(self, wire: MemoryWire, message: m.Message) -> None:
        match message:
            case m.Hello():
                self._wire = wire
                await self._send(m.Welcome(PROTOCOL_VERSION, 1024), *self.waiting.values())
            case m.RequestChannel(request) if self.refusals:
                await self._send(m.ChannelRefused(request, self.refusals.popleft(), "not now", None))
            case m.RequestChannel(request, app, remote_id, uri):
                name = uri if uri in self.channels else f"c{len(self.granted)}"
                self.channels[name] = app, remote_id
                self.granted[name] = app
                await self._send(m.ChannelGranted(request, name, name, FOREVER))
            case m.RevokeChannels(request, app):
                await self.revoke(request, [name for name, (owner, _) in self.channels.items() if owner == app])
            case m.Acknowledge(ids):
                for id_ in ids:
                    self.acknowledged[id_] = None
                    self.waiting.pop(id_, None)

    async def _send(self, *messages: m.Message) -> None:
        if self._wire is not None:
            await self._wire.send(b"".join(encode(message) for message in messages))


@define(eq=False)
class Run:
    """One life of the platform."""

    platform: Platform
    managers: dict[str, PushNotificationManager]
    tasks: TaskGroup
    actors: dict[str, Actor]
    crashes: set[str]
    kill: Callable[[], None]


@define(eq=False)
class Simulation:
    """What outlives the platform: time, the store, the service; and the platform that runs now."""

    apps: tuple[str, ...]
    clock: MockClock = Factory(MockClock)
    store: WatchedStore = Factory(WatchedStore)
    service: Service = Factory(Service)
    kernel: Kernel = Factory(lambda: Kernel(clock=VirtualClock(seed=0), restarts=RestartPolicy(intensity=40)))

    @asynccontextmanager
    async def run(self) -> AsyncIterator[Run]:
        """Run a platform with all apps, as ``open_platform`` does; a run that was killed does not stop in order."""
        platform = Platform(self.store, self.kernel, RetryPolicy())
        actors: dict[str, Actor] = {}
        crashes: set[str] = set()
        for actor in platform.actors.values():
            _let_crash(actor, actors, crashes)
        inlet = Inlet(platform.deliver, platform.report)
        connection = DeviceConnection(self.service.dial, "key", platform.connection, inlet, self.kernel.clock.fraction)
        try:
            async with task_group() as tasks:
                await platform.start(tasks)
                async with task_group() as wire:  # it ends before the actors do
                    wire.start_soon(connection.run)
                    async with AsyncExitStack() as stack:
                        managers = {}
                        for app in self.apps:
                            session = await stack.enter_async_context(open_session(platform, f"{app}/1"))
                            managers[app] = PushNotificationManager(session, app, None)
                        run = Run(platform, managers, wire, actors, crashes, tasks.cancel_scope.cancel)
                        yield run
                    wire.cancel_scope.cancel()
                with anyio.move_on_after(STOP_TIMEOUT, shield=True):
                    await platform.stop()
                tasks.cancel_scope.cancel()
        finally:
            platform.abandon()

    async def do(self, acts: list[tuple[Callable[..., Any], tuple[Any, ...], int | None]]) -> None:
        """Do things one after the other, each after so many turns of the scheduler, or when nothing can go on."""
        for act, arguments, turns in acts:
            result = act(*arguments)
            if iscoroutine(result):  # an operation is awaitable too, but nobody waits for it here
                await result
            if turns is None:
                await anyio.wait_all_tasks_blocked()
            else:
                for _ in range(turns):
                    await checkpoint()

    async def advance(self, seconds: float) -> None:
        """Let time pass, from one deadline to the next."""
        end = anyio.current_time() + seconds
        while (left := end - anyio.current_time()) > 1e-6:
            deadline = trio.lowlevel.current_statistics().seconds_to_next_deadline
            self.clock.jump(min(left, max(deadline, 0.001)))
            await anyio.wait_all_tasks_blocked()


def _let_crash(runner: ActorRunner, actors: dict[str, Actor], crashes: set[str]) -> None:
    """Make an actor's next receive raise whenever its name is among the crashes."""
    build, name = runner._build, runner.mailbox.name

    def build_fragile(alarm: Alarm) -> Actor:
        actor = actors[name] = build(alarm)
        receive = actor.receive

        def receive_or_crash(message: m.Message, frame: bytes) -> None:
            if name in crashes:
                crashes.discard(name)
                raise RuntimeError(f"{name} was made to crash")
            receive(message, frame)

        actor.__dict__["receive"] = receive_or_crash
        return actor

    runner._build = build_fragile
