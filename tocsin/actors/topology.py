"""Who stands before whom: the five actors, wired from the service's frames to the app's handlers.

::

    connection ──▶ payload_router ──▶ supervisor ──▶ session ──▶ activator_registry
         ▲  │            ▲ ▲            │  ▲  ▲         │               │
         │  │            │ └─ outcomes ─┘  │  └ outcomes┘               │
         │  │            │      and subscribers  └──────── activators ────────┘
         │  │            └─ channels ─┐
         └──┴──────────────── channel_requester ◀──▶ retry_scheduler

What goes down waits for room; what comes up was asked for, and never waits. What apps say of the machine and of the
user's settings goes to the host owner, which is no actor, and from there to the payload router.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from anyio.abc import TaskGroup
from attrs import frozen

from tocsin.actors.activator_registry import ActivatorRegistry
from tocsin.actors.actor import Actor, ActorRunner, Kernel
from tocsin.actors.alarm import Alarm
from tocsin.actors.channel_requester import ChannelRequester, Neighbours
from tocsin.actors.clock import ServiceClock
from tocsin.actors.connection_status import ConnectionRecord, ConnectionStatus
from tocsin.actors.host_owner import HostOwner
from tocsin.actors.inbox_effects import InboxEffects
from tocsin.actors.mailbox import Mailbox, MailboxStatistics
from tocsin.actors.payload_router import PayloadRouter
from tocsin.actors.power_reports import PowerReports
from tocsin.actors.retry_scheduler import RetryScheduler
from tocsin.actors.senses import Senses
from tocsin.actors.sessions import Sessions
from tocsin.actors.store_faults import StoreFaults
from tocsin.actors.supervisor import Supervisor
from tocsin.persistence.store import Store
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.dead_letter_policy import DeadLetterPolicy
from tocsin.protocol.errors import ProtocolViolation
from tocsin.protocol.platform.host_record import HostRecord
from tocsin.protocol.platform.retry_schedule import RetryPolicy

HOST_OWNER = "host_owner"
"""The owner of the machine's state and of the user's settings, which is no actor."""

FROM_SERVICE: dict[type[m.Message], tuple[str, ...]] = {
    m.ChannelGranted: ("channel_requester",),
    m.ChannelRefused: ("channel_requester",),
    m.ChannelsRevoked: ("channel_requester",),
    m.Arrivals: ("payload_router",),
}
"""What the service may send, and who takes it."""

FROM_CONNECTION: dict[type[m.Message], tuple[str, ...]] = {
    m.ConnectionUp: ("channel_requester", "payload_router"),
    m.ConnectionDown: ("channel_requester",),
}
"""What the connection says of itself, and who takes it."""

FROM_APPS: dict[type[m.Message], tuple[str, ...]] = {
    m.CreateChannel: ("channel_requester",),
    m.CancelCreateChannel: ("channel_requester",),
    m.CloseChannel: ("channel_requester",),
    m.RegisterActivator: ("activator_registry",),
    m.UnregisterActivators: ("activator_registry",),
    m.Subscribe: ("supervisor",),
    m.Unsubscribe: ("supervisor",),
    m.LeaveSession: ("supervisor", "activator_registry"),
    m.Handled: ("supervisor",),
    m.Outcomes: ("supervisor",),
    m.CancelWork: ("payload_router",),
    m.ChangeHost: (HOST_OWNER,),
    m.ChangeAppSettings: (HOST_OWNER,),
}
"""What an app may send, and who takes it."""

FROM_HOST_OWNER: dict[type[m.Message], tuple[str, ...]] = {
    m.HostChanged: ("payload_router",),
    m.AppSettingsChanged: ("payload_router",),
}
"""What the owner of the machine's state says, and who takes it; a ``PowerState`` goes to the connection."""

PEERS_OF: dict[str, tuple[str, ...]] = {
    "payload_router": ("supervisor",),
    "supervisor": ("payload_router", "activator_registry"),
    "activator_registry": (),
    "channel_requester": (),
    "retry_scheduler": ("channel_requester",),
}
"""Who has to know that an actor began anew; the sessions of apps always do."""


@frozen
class PlatformStatus:
    """How a platform stands."""

    store_fault: str | None
    """Why nothing can be stored just now, so that nothing is acknowledged; None while all is well."""
    connection: ConnectionStatus
    """Whether there is a connection to the push service; if not, why."""
    mailboxes: tuple[MailboxStatistics, ...]
    dead_frames: dict[str, int]
    """Frames that no actor could take, by mailbox."""
    unanswered: int
    """Answers to apps that had left."""

    @property
    def connected(self) -> bool:
        """Whether there is a connection to the push service."""
        return self.connection.connected


class Platform:
    """The five actors and what stands around them; opened by ``tocsin.actors.lifecycle``."""

    def __init__(
        self, store: Store, kernel: Kernel, retries: RetryPolicy, dead_letters: DeadLetterPolicy | None = None
    ) -> None:
        self.kernel = kernel
        self.sessions = Sessions()
        self.connection = Mailbox("connection")
        self._link = ConnectionRecord(kernel.clock)
        self.store_faults = StoreFaults(self.connection)
        self._stopping = False
        self._power = PowerReports(self.connection, self._link)
        self._host_owner = HostOwner(partial(self._mailboxes, FROM_HOST_OWNER), self._power)
        router, supervisor, registry = (Mailbox(n) for n in ("payload_router", "supervisor", "activator_registry"))
        requester, scheduler = Mailbox("channel_requester"), Mailbox("retry_scheduler")
        clock, sessions, connection = kernel.clock, self.sessions, self.connection
        self.service_clock = ServiceClock(clock)
        neighbours, kept = Neighbours(connection, scheduler, router), dead_letters or DeadLetterPolicy()

        def runner(mailbox: Mailbox, build: Callable[[Alarm], Actor]) -> ActorRunner:
            return ActorRunner(mailbox, build, kernel, self._announce)

        def senses(alarm: Alarm) -> Senses:
            return Senses(clock, self.service_clock, alarm)

        def build_router(alarm: Alarm) -> PayloadRouter:
            effects = InboxEffects(store, senses(alarm), kept)
            return PayloadRouter(store, self.service_clock, effects, connection, supervisor)

        self.actors = {
            actor.mailbox.name: actor
            for actor in (
                runner(router, build_router),
                runner(supervisor, lambda alarm: Supervisor(senses(alarm), router, sessions)),
                runner(registry, lambda _: ActivatorRegistry(store, sessions, supervisor)),
                runner(requester, lambda alarm: ChannelRequester(store, senses(alarm), sessions, neighbours)),
                runner(scheduler, lambda alarm: RetryScheduler(retries, clock, alarm, requester)),
            )
        }

    async def send(self, message: m.Message) -> None:
        """Take a message from an app to the actor, or to the owner, that it is for, waiting for room.

        :raises InvalidArgument: it changes what there is not; nothing was done.
        :raises IllegalCall: it is one that may not come now; nothing was done.
        """
        if isinstance(message, m.ChangeHost | m.ChangeAppSettings):
            await self._host_owner.change(message)
            return
        for mailbox in self._mailboxes(FROM_APPS, message):
            await mailbox.send(message)

    def send_nowait(self, message: m.Message) -> None:
        """Take a message from an app to the actor that it is for.

        :raises Busy: that actor's mailbox is full.
        """
        for mailbox in self._mailboxes(FROM_APPS, message):
            mailbox.send_nowait(message)

    def send_urgent(self, message: m.Message) -> None:
        """Take an app's answer, such as an outcome, to the actor that waits for it."""
        for mailbox in self._mailboxes(FROM_APPS, message):
            mailbox.send_urgent(message)

    async def deliver(self, messages: list[tuple[m.Message, bytes]]) -> None:
        """Take the service's messages with their frames to the actors that they are for, waiting for room.

        Once the platform stops they are left: what is not acknowledged comes again.

        :raises ProtocolViolation: one of them is not for devices; what came before it was taken.
        """
        for message, frame in messages:
            self.service_clock.hear(message)
            for mailbox in self._mailboxes(FROM_SERVICE, message):
                if self._stopping:
                    return
                await mailbox.send_frame(frame)

    async def report(self, message: m.ConnectionUp | m.ConnectionDown) -> None:
        """Take what the connection says of itself to the actor that it is for, and keep it for one that begins anew.

        The sessions of apps hear of it when it changes.
        """
        changed = self._link.note(message)
        self.service_clock.hear(message)
        if self._stopping:
            return
        if changed:
            self.sessions.send_to_all(message)
        if isinstance(message, m.ConnectionUp):
            self.store_faults.greet()
            self._power.greet()
        for mailbox in self._mailboxes(FROM_CONNECTION, message):
            await mailbox.send(message)

    @property
    def record(self) -> HostRecord:
        """What is known of the machine and of the user's settings."""
        return self._host_owner.record

    def status(self) -> PlatformStatus:
        """Return how the platform stands."""
        frames, answers = dict(self.kernel.dead_letters.counts), self.sessions.unanswered
        return PlatformStatus(self.store_faults.fault, self._link.status(), tuple(self.statistics()), frames, answers)

    def statistics(self) -> list[MailboxStatistics]:
        """Return the counters of all mailboxes."""
        return [actor.mailbox.statistics() for actor in self.actors.values()] + [self.connection.statistics()]

    async def start(self, tasks: TaskGroup) -> None:
        """Start the actors, from those that receive last, and wait until each has found its state."""
        for name in reversed(self.actors):
            tasks.start_soon(self.actors[name].run, name=name)
            await self.actors[name].started.wait()

    async def stop(self) -> None:
        """Stop in order: begin nothing new, bring what is under way to its end, let the actors drain, then the connection.

        A store that cannot be written is not waited for.
        """
        self._stopping = True
        self.actors["payload_router"].mailbox.send_urgent(m.Quiesce())
        with self.store_faults.bounding_stop():
            for name in ("channel_requester", "retry_scheduler", "supervisor", "activator_registry", "payload_router"):
                self.actors[name].mailbox.close()
                await self.actors[name].stopped.wait()
        self.connection.close()

    def abandon(self) -> None:
        """Close every mailbox for good, after the stop."""
        for mailbox in (self.connection, *(actor.mailbox for actor in self.actors.values())):
            mailbox.abandon()

    def _mailboxes(self, table: dict[type[m.Message], tuple[str, ...]], message: m.Message) -> list[Mailbox]:
        names = table.get(type(message))
        if names is None or HOST_OWNER in names:  # a change waits for its turn, so it comes by `send` only
            raise ProtocolViolation(f"{type(message).__name__} must not come from there")
        return [self.actors[name].mailbox for name in names]

    def _announce(self, restarted: str) -> None:
        """Tell everyone that an actor began anew, so that they tell it again what it cannot know."""
        for name in PEERS_OF[restarted]:
            self.actors[name].mailbox.send_urgent(m.ActorRestarted(restarted))
        state = self._link.last
        if state is not None and restarted in FROM_CONNECTION[type(state)]:
            self.actors[restarted].mailbox.send_urgent(state)
        if restarted in FROM_HOST_OWNER[m.HostChanged]:
            self._host_owner.repeat()
        self.sessions.send_to_all(m.ActorRestarted(restarted))
