"""Who stands before whom: the actors, wired from the service's frames to the app's handlers.

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
from contextlib import suppress
from functools import partial

from anyio.abc import TaskGroup

from tocsin.actors.activator_registry import ActivatorRegistry
from tocsin.actors.actor import Actor
from tocsin.actors.actor_runner import ActorRunner, Kernel
from tocsin.actors.alarm import Alarm
from tocsin.actors.app_removal import AppRemoval, Removed
from tocsin.actors.channel_requester import ChannelRequester, Neighbours
from tocsin.actors.clock import ServiceClock
from tocsin.actors.connection_status import ConnectionRecord
from tocsin.actors.desktop_calls import DesktopCalls
from tocsin.actors.host_owner import HostOwner
from tocsin.actors.host_reports import HostReports
from tocsin.actors.inbox_effects import InboxEffects
from tocsin.actors.operator_desk import OperatorDesk
from tocsin.actors.payload_router import PayloadRouter, RouterNeighbours
from tocsin.actors.payload_watch import PayloadWatch
from tocsin.actors.push_messages import PushMessages
from tocsin.actors.retry_scheduler import RetryScheduler
from tocsin.actors.returning_processes import ReturningProcesses
from tocsin.actors.routes import (
    FROM_APPS,
    FROM_CONNECTION,
    FROM_DOOR,
    FROM_HOST_OWNER,
    FROM_SERVICE,
    HOST_OWNER,
    LAUNCHER,
    NO_ACTORS,
    PEERS_OF,
    SHELL,
    STOP_ORDER,
    USAGE_METER,
)
from tocsin.actors.senses import Senses
from tocsin.actors.sessions import Sessions, Stamp
from tocsin.actors.shell import Shell, ShellParts
from tocsin.actors.store_faults import StoreFaults
from tocsin.actors.supervisor import Supervisor
from tocsin.actors.usage_meter import UsageMeter
from tocsin.host.promises import HostParts
from tocsin.mailbox import Mailbox, MailboxStatistics
from tocsin.persistence.store import Store
from tocsin.platform_status import PlatformStatus
from tocsin.protocol import messages as m
from tocsin.protocol.delivery.dead_letter_policy import DeadLetterPolicy
from tocsin.protocol.errors import PlatformUnavailable, ProtocolViolation, StateUnavailable
from tocsin.protocol.hresult import HResult
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.activation import CancellationReason
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.platform.retry_schedule import RetryPolicy
from tocsin.shell.opener import LinkOpener


class Platform:
    """The five actors, the shell where there is one, and what stands around them; opened by ``tocsin.actors.lifecycle``."""

    def __init__(  # noqa: PLR0913  # what is optional has a name
        self,
        store: Store,
        kernel: Kernel,
        retries: RetryPolicy,
        dead_letters: DeadLetterPolicy | None = None,
        *,
        launches: bool = False,
        shell: ShellParts | None = None,
        host: HostParts | None = None,
        returning: ReturningProcesses | None = None,
    ) -> None:
        self.kernel = kernel
        self._store = store
        self.watch = PayloadWatch(kernel.clock)
        self.sessions = Sessions(self.watch, returning)
        if returning is not None:
            returning.on_return = self._tell_returned
        self.connection = Mailbox("connection")
        self.launcher = Mailbox(LAUNCHER) if launches else None
        self.shell = Mailbox(SHELL) if shell is not None else None
        self._beside = {LAUNCHER: self.launcher, SHELL: self.shell}
        """What may be missing: an app hears of that in words, or by a time that is over."""
        self._link = ConnectionRecord(kernel.clock)
        self.store_faults = StoreFaults(self.connection)
        self._stopping = False
        self._shell_is_open = False
        self.host_reports = HostReports(self.connection, self._link)
        self.host_owner = HostOwner(
            partial(self._mailboxes, FROM_HOST_OWNER),
            self.sessions,
            self.host_reports,
            store,
            kernel.clock,
            host or HostParts(),
        )
        self.usage = UsageMeter(store, kernel.clock, self.host_owner, self.watch, self.sessions)
        self._removal = AppRemoval(
            store, self.sessions, self.host_owner, lambda name: self.actors[name].mailbox, self.shell
        )
        router, supervisor, registry = (Mailbox(n) for n in ("payload_router", "supervisor", "activator_registry"))
        requester, scheduler = Mailbox("channel_requester"), Mailbox("retry_scheduler")
        sessions, connection = self.sessions, self.connection
        self.service_clock = ServiceClock(kernel.clock)
        self.operator_desk = OperatorDesk(router, store)
        messages = PushMessages()
        beside_router = RouterNeighbours(
            connection, supervisor, self.operator_desk, messages, lambda: self._shell_is_open
        )
        neighbours, kept = Neighbours(connection, scheduler, router, messages), dead_letters or DeadLetterPolicy()

        runner, senses = self._runner, self._senses

        def build_router(alarm: Alarm) -> PayloadRouter:
            effects = InboxEffects(store, senses(alarm), kept, self.watch)
            return PayloadRouter(store, self.service_clock, effects, beside_router)

        self.actors = {
            actor.mailbox.name: actor
            for actor in (
                runner(router, build_router),
                runner(
                    supervisor,
                    lambda alarm: Supervisor(senses(alarm), router, sessions, self.launcher, self.shell),
                ),
                runner(registry, lambda _: ActivatorRegistry(store, sessions, supervisor)),
                runner(requester, lambda alarm: ChannelRequester(store, senses(alarm), sessions, neighbours)),
                runner(scheduler, lambda alarm: RetryScheduler(retries, kernel.clock, alarm, requester)),
            )
        }
        self.desktop_calls: DesktopCalls | None = None
        self.link_opener: LinkOpener | None = None
        self._shell_store = None if shell is None else shell.store
        if shell is not None and self.shell is not None:
            self.actors[SHELL] = self._shell_runner(shell, self.shell, supervisor)

    def _runner(self, mailbox: Mailbox, build: Callable[[Alarm], Actor]) -> ActorRunner:
        return ActorRunner(mailbox, build, self.kernel, self._announce)

    def _senses(self, alarm: Alarm) -> Senses:
        return Senses(self.kernel.clock, self.service_clock, alarm)

    def _shell_runner(self, parts: ShellParts, mailbox: Mailbox, supervisor: Mailbox) -> ActorRunner:
        stir = partial(mailbox.send_state, m.DesktopStirred())
        calls = self.desktop_calls = DesktopCalls(parts.desktop, stir, parts.picture)
        opener = self.link_opener = LinkOpener(partial(_tell_opened, mailbox)) if parts.opens_links else None
        return self._runner(
            mailbox,
            lambda alarm: Shell(
                parts.store,
                self._senses(alarm),
                supervisor,
                self.sessions,
                calls=calls,
                launcher=self.launcher,
                open_link=None if opener is None else opener.open,
                boot=parts.boot,
            ),
        )

    def _tell_returned(self, purpose: LaunchPurpose, app: str) -> None:
        mailbox = self.actors["supervisor"].mailbox if purpose is LaunchPurpose.PUSH else self.shell
        if mailbox is not None:
            mailbox.send_urgent(m.AppReturned(app))

    def open_shell(self) -> None:
        """Let the shell take what is to be shown of channels that no session takes."""
        self._shell_is_open = True
        self.actors["payload_router"].mailbox.send_urgent(m.ShellOpened())

    def let_in(self, app: str, mailbox: Mailbox) -> Stamp:
        """Let a session of an app in; it is told how the platform and the machine stand."""
        stamp = Stamp(mailbox.name, app)
        self.sessions.add(app, mailbox)
        mailbox.send_state(self.standing())
        self.host_owner.greet(stamp)
        return stamp

    async def let_go(self, stamp: Stamp) -> None:
        """Forget a session; what it still has comes back, behind what it has said, once there is room."""
        self.sessions.remove(stamp.session)
        with suppress(PlatformUnavailable):  # the platform stops: what a session has is in the inbox
            for mailbox in self._mailboxes(FROM_DOOR, m.SessionEnded(stamp.session)):
                await mailbox.send(m.SessionEnded(stamp.session))

    def let_go_now(self, stamp: Stamp) -> None:
        """Forget a session of this process, behind the outcomes that it has sent."""
        self.sessions.remove(stamp.session)
        for mailbox in self._mailboxes(FROM_DOOR, m.SessionEnded(stamp.session)):
            mailbox.send_urgent(m.SessionEnded(stamp.session))

    async def send(self, stamp: Stamp, message: m.Message, frame: bytes) -> None:
        """Take a message of a session, which ``frame`` holds, to the actor, or to the owner, that it is for, waiting for room.

        :raises ProtocolViolation: it is none that apps may send.
        """
        if isinstance(message, m.ChangeHost | m.ChangeAppSettings):
            await self.host_owner.change(stamp, message)
            return
        if isinstance(message, m.ReportUsage | m.AskUsage):
            await self.usage.answer(stamp, message)
            return
        mailboxes = self._mailboxes(FROM_APPS, message)
        if not mailboxes and FROM_APPS[type(message)] == (SHELL,):
            self._refuse(stamp, message)
        for mailbox in mailboxes:
            await mailbox.send_frame(stamp.put_on(frame))

    def send_nowait(self, stamp: Stamp, message: m.Message) -> None:
        """Take a message of a session to the actor that it is for.

        :raises Busy: that actor's mailbox is full.
        """
        for mailbox in self._mailboxes(FROM_APPS, message):
            mailbox.send_frame_nowait(stamp.put_on(encode(message)))

    def send_urgent(self, stamp: Stamp, message: m.Message) -> None:
        """Take what a session in this process owes, such as an outcome, to the actor that waits for it."""
        for mailbox in self._mailboxes(FROM_APPS, message):
            mailbox.send_frame_urgent(stamp.put_on(encode(message)))

    async def deliver(self, messages: list[tuple[m.Message, bytes]]) -> None:
        """Take the service's messages with their frames to the actors that they are for, waiting for room.

        Once the platform stops they are left: what is not acknowledged comes again.

        :raises ProtocolViolation: one of them is not for devices; what came before it was taken.
        """
        self.host_owner.ask()
        for message, frame in messages:
            self._note_arrival(message, frame)
            for mailbox in self._mailboxes(FROM_SERVICE, message):
                if self._stopping:
                    return
                await mailbox.send_frame(frame)

    def deliver_now(self, messages: list[tuple[m.Message, bytes]]) -> bool:
        """Take payloads in the turn in which they come, and let the actors have theirs; False where they are to be delivered.

        That is where they would have to wait, and where there is more to be seen to.
        """
        if len(messages) != 1 or self._stopping:
            return False
        message, frame = messages[0]
        if not isinstance(message, m.Arrivals):
            return False
        (router,) = self._mailboxes(FROM_SERVICE, message)
        if router.is_full:
            return False
        self.host_owner.ask()
        self._note_arrival(message, frame)
        self.kernel.line.lead(partial(router.send_frame_nowait, frame))
        return True

    def _note_arrival(self, message: m.Message, frame: bytes) -> None:
        self.service_clock.hear(message)
        self.usage.received(message, frame)
        if self.watch.active and isinstance(message, m.Arrivals):
            self.watch.arrived(message)

    async def report(self, message: m.ConnectionUp | m.ConnectionDown) -> None:
        """Take what the connection says of itself to the actor that it is for, and keep it for one that begins anew.

        The sessions of apps hear of it when it changes.
        """
        changed = self._link.note(message)
        self.service_clock.hear(message)
        if self._stopping:
            return
        if changed:
            self.sessions.send_state_to_all(self.standing())
        if isinstance(message, m.ConnectionUp):
            self.store_faults.greet()
            self.host_reports.greet()
        for mailbox in self._mailboxes(FROM_CONNECTION, message):
            await mailbox.send(message)

    async def holds_anything(self) -> bool:
        """Tell whether any app holds a channel, waits for one, has a trigger, or has toasts that may be clicked."""
        return bool(await self.holders())

    async def holders(self) -> set[str]:
        """Return the apps that hold a channel, wait for one, have a trigger, or have toasts that may be clicked."""
        # A request first: it becomes a channel meanwhile, and never the other way round.
        requests, channels = await self._store.requests(), await self._store.channels()
        activators = await self._store.activators()
        awaited = set[str]() if self._shell_store is None else await self._shell_store.awaited()
        return awaited | {r.app for r in requests} | {c.app for c in channels} | {a.app for a in activators}

    async def forget(self, app: str) -> Removed:
        """Remove an app, with all that is kept of it; its payloads become dead letters.

        :raises NotFound: there is no such app.
        """
        try:
            removed = await self._removal.remove(app)
            await self.usage.forget(app)
            return removed
        finally:
            self.sessions.changed.set()  # it is to be looked again whether the agent is of use

    async def log_off(self) -> None:
        """Cancel all work with ``LOGGING_OFF``, begin none, and wait until it has ended: for the grace at most."""
        self.actors["payload_router"].mailbox.send_urgent(m.Quiesce())
        await self._removal.stop_work("", CancellationReason.LOGGING_OFF)

    def status(self) -> PlatformStatus:
        """Return how the platform stands."""
        frames, answers = dict(self.kernel.dead_letters.counts), self.sessions.unanswered
        return PlatformStatus(self.store_faults.fault, self._link.status(), tuple(self.statistics()), frames, answers)

    def standing(self) -> m.PlatformStanding:
        """Return how the platform stands, as its sessions are told."""
        return self._link.standing(self.store_faults.fault)

    def note_fault(self, fault: str | None) -> None:
        """Note why nothing can be stored, or None when it can be again; the service and the sessions learn that it is so."""
        self.store_faults.note(fault)
        self.sessions.send_state_to_all(self.standing())

    def statistics(self) -> list[MailboxStatistics]:
        """Return the counters of all mailboxes."""
        return [actor.mailbox.statistics() for actor in self.actors.values()] + [self.connection.statistics()]

    async def start(self, tasks: TaskGroup) -> None:
        """Start the actors, from those that receive last, and wait until each has found its state."""
        tasks.start_soon(self.host_owner.run, name=HOST_OWNER)
        await self.host_owner.looked()
        self.host_owner.repeat()  # before anything is judged
        tasks.start_soon(self.usage.run, name=USAGE_METER)
        for name in reversed(self.actors):
            tasks.start_soon(self.actors[name].run, name=name)
            await self.actors[name].started.wait()

    async def stop(self) -> None:
        """Stop in order: begin nothing new, bring what is under way to its end, let the actors drain, then the connection.

        A store that cannot be written is not waited for.
        """
        self._stopping = True
        for name in {"payload_router", SHELL} & self.actors.keys():
            self.actors[name].mailbox.send_urgent(m.Quiesce())
        with self.store_faults.bounding_stop():
            for name in STOP_ORDER:
                if name in self.actors:
                    self.actors[name].mailbox.close()
                    await self.actors[name].stopped.wait()
            with suppress(StateUnavailable):
                await self.usage.keep()
        self.connection.close()
        if self.launcher is not None:
            self.launcher.close()

    def abandon(self) -> None:
        """Close every mailbox for good, after the stop."""
        beside = [self.connection] if self.launcher is None else [self.connection, self.launcher]
        for mailbox in (*beside, *(actor.mailbox for actor in self.actors.values())):
            mailbox.abandon()

    def _mailboxes(self, table: dict[type[m.Message], tuple[str, ...]], message: m.Message) -> list[Mailbox]:
        names = table.get(type(message))
        if names is not None and len(names) == 1 and names[0] in self.actors:  # as with nearly all
            return [self.actors[names[0]].mailbox]
        if names is None or not NO_ACTORS.isdisjoint(names):  # a change waits for its turn, so it comes by `send` only
            raise ProtocolViolation(f"{type(message).__name__} must not come from there")
        places = [self._beside[name] if name in self._beside else self.actors[name].mailbox for name in names]
        return [mailbox for mailbox in places if mailbox is not None]

    def _refuse(self, stamp: Stamp, message: m.Message) -> None:
        """Answer a question about toasts, tiles or badges where nothing shows them."""
        request = getattr(message, "request", None)
        if request is not None:
            text = "this platform shows no toasts, tiles or badges: it was opened without a desktop"
            self.sessions.send(stamp.session, m.Failed(request, "NotSupported", text, HResult.ERROR_NOT_SUPPORTED))

    def _announce(self, restarted: str) -> None:
        """Tell its peers and all sessions that an actor began anew, so that they tell it again what it cannot know."""
        for name in PEERS_OF[restarted]:
            self.actors[name].mailbox.send_urgent(m.ActorRestarted(restarted))
        state = self._link.last
        if state is not None and restarted in FROM_CONNECTION[type(state)]:
            self.actors[restarted].mailbox.send_urgent(state)
        if restarted in FROM_HOST_OWNER[m.HostChanged]:
            self.host_owner.repeat()
        self.sessions.send_to_all(m.ActorRestarted(restarted))


def _tell_opened(shell: Mailbox, number: int, failure: str) -> None:
    """Tell the shell how the opening of a link went."""
    shell.send_urgent(m.ActivationDone(number, 0, failure))
