"""A whole platform on virtual time: its store, its service and its apps, and the means to break them; no real clock runs."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    AsyncExitStack,
    asynccontextmanager,
    contextmanager,
)
from functools import partial
from typing import cast
from unittest.mock import patch

import anyio
import trio
from anyio.abc import TaskGroup
from attrs import Factory, define
from trio._core import _run as trio_run
from trio.testing import MockClock

from tests.simulation.agent_runner import agent_serving
from tests.simulation.app_process import PlayedStream
from tests.simulation.clocks import DeviceClock, ServiceMachine, Time
from tests.simulation.faults import FragileStore, StoreFaults, WireFaults
from tests.simulation.processes import Processes
from tests.simulation.record import TICK, Record
from tests.simulation.reports import judged
from tests.simulation.service import Service
from tests.simulation.store import WatchedStore
from tocsin.actors.actor import Actor, Wait
from tocsin.actors.actor_runner import ActorRunner, Kernel
from tocsin.actors.alarm import Alarm
from tocsin.actors.lifecycle import STOP_TIMEOUT, stop_in_order
from tocsin.actors.returning_processes import ReturningProcesses
from tocsin.actors.supervisor import Supervisor
from tocsin.actors.topology import Platform
from tocsin.agent.launcher import Launcher
from tocsin.agent.session_door import SessionDoor
from tocsin.api.embedded import local_session
from tocsin.api.manager import PushNotificationManager
from tocsin.api.session import CLOSE_GRACE
from tocsin.host.promises import HostParts
from tocsin.persistence.store import Store
from tocsin.protocol.errors import FrameError, StateUnavailable
from tocsin.protocol.kernel.restart import RestartPolicy
from tocsin.protocol.messages import Arrivals, ChannelGranted, ConnectionUp, Message
from tocsin.protocol.platform.host_facts import HostFacts
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.retry_schedule import RetryPolicy
from tocsin.testing import PlayedSensor
from tocsin.testing.played_host import PlayedPolicy
from tocsin.transport.frame_traffic import ArrivalHandlers
from tocsin.transport.service_connection import ServiceConnection
from tocsin.transport.wire import Wire

RESTARTS = RestartPolicy(intensity=200)
"""Actors are made to fail far more often than the policy allows in life."""

COMES_UP = 600.0
"""Virtual seconds within which a platform comes up, however slow its store is."""


@contextmanager
def scheduling(seed: int) -> Iterator[None]:
    """Let the seed decide which of several tasks that could go on does so first."""
    with patch.object(trio_run, "_ALLOW_DETERMINISTIC_SCHEDULING", new=True):
        trio_run._r.seed(seed)
        yield


@define(eq=False)
class Life:
    """One life of the platform, from its start to its stop or its death."""

    platform: Platform
    store: FragileStore
    managers: dict[str, PushNotificationManager] = Factory(dict)
    actors: dict[str, Actor] = Factory(dict)
    crashes: set[tuple[str, str]] = Factory(set)
    """The actors that fail with the next message that they receive, or with the next batch that they flush."""
    scope: trio.CancelScope = Factory(trio.CancelScope)
    up: anyio.Event = Factory(anyio.Event)
    leave: anyio.Event = Factory(anyio.Event)
    ended: anyio.Event = Factory(anyio.Event)
    killed: bool = False
    failure: BaseException | None = None
    """Why the platform gave up by itself."""
    tasks: TaskGroup | None = None
    """What apps do while the platform is up."""
    door: SessionDoor | None = None
    """Where the processes of apps come in; None where there is no agent."""
    launcher: Launcher | None = None
    returning: ReturningProcesses | None = None
    serving: TaskGroup | None = None
    """The sockets of apps, while they are served."""
    streams: list[PlayedStream] = Factory(list)
    """The agent's ends of them."""


class Simulation:
    """What outlives the platform: time, the store, the service; and the platform that lives now.

    :param on_tick: called whenever time has passed and all is at rest.
    :param agent: whether the platform is one of an agent, so that processes of other apps come to it, and are launched.
    """

    life: Life

    def __init__(self, apps: tuple[str, ...], on_tick: Callable[[], None], *, agent: bool = False) -> None:
        self.apps = apps
        self.agent = agent
        self.on_tick = on_tick
        self.clock = MockClock()
        self.time = Time(self.clock.current_time)
        self.device = DeviceClock(self.time)
        self.machine = ServiceMachine(self.time)
        self.record = Record(self.clock.current_time, self.time)
        self.store = WatchedStore(self.record)
        self.disk = StoreFaults(self.record)
        self.wire = WireFaults(self.record)
        self.service = Service(self.record, self.wire, self.machine)
        self.record.granted = self.service.granted
        self.kernel = Kernel(clock=self.device, restarts=RESTARTS)
        self.processes = Processes(self)
        self.sensor, self.policy = PlayedSensor(HostFacts()), PlayedPolicy()

    @asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Hold the ground for lives; whatever lives at the end dies."""
        async with anyio.create_task_group() as self._tasks:
            try:
                yield
            finally:
                self.clock.autojump_threshold = 0  # what is on its way out may wait for a moment
                self._tasks.cancel_scope.cancel()

    @property
    def outside(self) -> TaskGroup:
        """The tasks that outlive the platform."""
        return self._tasks

    # Lives

    async def start(self) -> None:
        """Start the platform on what is stored; where it dies on its way, start it again."""
        while True:
            self.device.boot = self.time() - self.record.counts["acts"]  # a steady clock begins anywhere
            self.life = self._conceive()
            self._tasks.start_soon(self._live, self.life)
            if not await self._until([self.life.up, self.life.ended], COMES_UP):
                raise AssertionError("the platform does not come up")
            if not self.life.killed:
                return
            await self._bury()

    async def stop(self) -> None:
        """Stop it in order; time passes as it needs."""
        self.life.leave.set()
        await self._bury()

    def die(self) -> None:
        """Let the process die: nothing that it does has an effect any more."""
        self.life.killed = True
        self.life.store.alive = False
        self.life.scope.cancel()
        for stream in self.life.streams:
            stream.cut()
        self.record.life_ended()

    async def revive(self) -> bool:
        """Start the platform again if it has died, and tell whether it had."""
        if self.life.failure is not None:
            raise AssertionError(f"the platform gave up: {self.life.failure!r}")
        if self.life.killed:
            await self._bury()
            await self.start()
            return True
        return False

    async def _bury(self) -> None:
        limit = len(self.apps) * CLOSE_GRACE + STOP_TIMEOUT + TICK
        if not await self._until([self.life.ended], limit):
            raise AssertionError(f"the platform did not stop within {limit:g} s")
        self.record.life_ended()

    def _conceive(self) -> Life:
        store = FragileStore(self.store, self.disk, self.die)
        told_by = HostParts([self.sensor], self.policy)
        returning = self.processes.returning() if self.agent else None
        platform = Platform(
            cast(Store, store),  # it has a store's methods
            self.kernel,
            RetryPolicy(),
            launches=self.agent,
            host=told_by,
            returning=returning,
        )
        life = Life(platform, store, returning=returning)
        for runner in life.platform.actors.values():
            _watch(runner, life, self.record)
        self._watch_time(life)
        _watch_machine(life, self.record)
        return life

    def _watch_time(self, life: Life) -> None:
        """Note how late the device may be, by what it hears of the service's time."""
        clock = life.platform.service_clock
        hear = clock.hear
        self.record.lag_is(math.inf)

        def hear_watched(message: Message) -> None:
            hear(message)
            now = _time_of(message)
            if now is not None and not life.killed:
                self.record.lag_is(self.machine.now() - now)

        clock.__dict__["hear"] = hear_watched

    async def _live(self, life: Life) -> None:
        try:
            with life.scope:
                async with self._running(life):
                    life.up.set()
                    await life.leave.wait()
        except Exception as failure:  # noqa: BLE001  # whatever it was, it is told
            life.failure = failure
        self.record.say("the platform", "was killed" if life.killed else "has stopped", life.failure or "")
        life.ended.set()

    @asynccontextmanager
    async def _running(self, life: Life) -> AsyncIterator[None]:
        """Run a platform with all apps, as ``open_platform`` does; one that is killed does not stop in order."""
        platform = life.platform
        handlers = ArrivalHandlers(platform.deliver, platform.report)

        def dial() -> AbstractAsyncContextManager[Wire]:
            if not platform.host_owner.record.host.cloud_notifications:
                self.record.offend(
                    "no_connection_is_tried_where_policy_forbids_it", "the device has called its service"
                )
            return self.service.dial()

        connection = ServiceConnection(dial, "key", platform.connection, handlers, self.device.fraction)
        platform.host_reports.on_cloud = connection.allow
        try:
            async with anyio.create_task_group() as tasks:
                await platform.start(tasks)
                async with anyio.create_task_group() as wire:
                    wire.start_soon(connection.run)
                    async with AsyncExitStack() as stack:
                        for app in self.apps:
                            session = await stack.enter_async_context(local_session(platform, app))
                            life.managers[app] = PushNotificationManager(session, app, None)
                        life.tasks = wire
                        if self.agent:
                            await stack.enter_async_context(agent_serving(self, life))
                        yield
                    await stop_in_order(platform, connection)
                    wire.cancel_scope.cancel()
                tasks.cancel_scope.cancel()
        finally:
            platform.abandon()

    # Time

    async def advance(self, seconds: float) -> None:
        """Let time pass, from one deadline to the next; first, all comes to rest."""
        await anyio.wait_all_tasks_blocked()
        end = self.clock.current_time() + seconds
        while (left := end - self.clock.current_time()) > 1e-6:
            await self._jump_towards(left)

    async def _until(self, events: list[anyio.Event], limit: float) -> bool:
        """Let time pass until one of these happens, and tell whether it did within the limit."""
        await anyio.wait_all_tasks_blocked()
        end = self.clock.current_time() + limit
        while not any(event.is_set() for event in events):
            if (left := end - self.clock.current_time()) <= 0:
                return False
            await self._jump_towards(left)
        return True

    async def _jump_towards(self, left: float) -> None:
        deadline = trio.lowlevel.current_statistics().seconds_to_next_deadline
        self.clock.jump(min(left, max(deadline, 0.001)))
        await anyio.wait_all_tasks_blocked()
        self.at_rest()
        self.on_tick()

    def at_rest(self) -> None:
        """Note what time it is at the service while nothing can go on, and how late the device may be."""
        self.record.rested(self.machine.now())


def _watch_machine(life: Life, record: Record) -> None:
    """Note how the machine stands, and what is decided for apps, whenever the platform tells of it."""
    owner = life.platform.host_owner
    publish = owner._publish
    record.gates.machine_is(owner.record)

    async def publish_watched(host: HostRecord) -> None:
        await publish(host)
        if not life.killed:
            record.gates.machine_is(host)

    owner.__dict__["_publish"] = publish_watched


def _time_of(message: Message) -> float | None:
    if isinstance(message, Arrivals):
        return max((sent for sent in message.sent if sent is not None), default=None)
    return message.now if isinstance(message, ConnectionUp | ChannelGranted) else None


def _watch(runner: ActorRunner, life: Life, record: Record) -> None:
    """Let an actor be looked at, and fail where it is to; that it fails by itself is noted."""
    build, name = runner._build, runner.mailbox.name

    @contextmanager
    def watched(where: str) -> Iterator[None]:
        if (name, where) in life.crashes:
            life.crashes.discard((name, where))
            record.faults[f"crash in {where}"] += 1
            record.say("crash", name, where)
            raise RuntimeError(f"{name} was made to crash")
        try:
            yield
        except (StateUnavailable, FrameError):
            raise
        except Exception as failure:
            record.offend("actors_fail_only_when_made_to", f"{name} failed in {where}: {failure!r}")
            raise

    def build_watched(alarm: Alarm) -> Actor:
        record.began(name)
        actor = life.actors[name] = build(alarm)
        receive, flush = actor.receive, actor.flush

        def receive_watched(message: Message, frame: bytes) -> None:
            with watched("receive"):
                if not life.killed:  # what a dead process still does has no effect
                    record.received(actor, message)
                if isinstance(actor, Supervisor) and not life.killed:
                    with judged(record, actor, message):
                        receive(message, frame)
                else:
                    receive(message, frame)

        actor.__dict__.update({"receive": receive_watched, "flush": partial(_flush_within, watched, flush)})
        return actor

    runner._build = build_watched


def _flush_within(
    watched: Callable[[str], AbstractContextManager[None]], flush: Callable[[], Iterable[Wait]]
) -> Iterator[Wait]:
    with watched("flush"):
        for wait in flush():
            yield partial(_await_within, watched("flush"), wait)


async def _await_within(context: AbstractContextManager[None], wait: Wait) -> None:
    with context:
        await wait()
