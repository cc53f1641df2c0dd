"""A supervisor between the router and a session, which a test plays."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
from attrs import evolve

from tests.helpers import next_messages
from tocsin.actors.actor_runner import ActorRunner, Kernel
from tocsin.actors.clock import LoopClock, ServiceClock
from tocsin.actors.returning_processes import ReturningProcesses
from tocsin.actors.routes import FROM_APPS
from tocsin.actors.senses import Senses
from tocsin.actors.sessions import Sessions
from tocsin.actors.supervisor import Supervisor
from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import decode, encode
from tocsin.protocol.platform.activation import CancellationReason, SystemConditionType
from tocsin.protocol.platform.launches import LaunchPurpose
from tocsin.protocol.values import DropReason, NotificationType, Outcome

VIRTUAL = 10_000.0
REASONS = list(CancellationReason)


def delivery(
    sequence: int, channel: str = "c1", app: str = "mail", expires: float | None = None, attempt: int = 1
) -> m.Deliveries:
    """Build a payload on its way."""
    row = m.PayloadRow(sequence, f"id{sequence}", NotificationType.RAW, b"ding", attempt, expires, channel)
    return m.Deliveries(app, (row,))


def toast(sequence: int) -> m.Deliveries:
    """Build a toast on its way."""
    deliveries = delivery(sequence)
    return evolve(deliveries, rows=tuple(row._replace(type=NotificationType.TOAST) for row in deliveries.rows))


def activator(
    *conditions: SystemConditionType,
    app: str = "mail",
    session: str = "s",
    triggered: bool = True,
    cancel_on_condition_loss: bool = False,
    aborted: bool = False,
    command: bytes = b"",
) -> m.ActivatorChanged:
    """Build what the registry says of an app."""
    return m.ActivatorChanged(app, triggered, session, conditions, cancel_on_condition_loss, aborted, command)


def at_work(message: m.Message) -> int:
    """Return the sequence number of the payload whose background work this message begins."""
    assert isinstance(message, m.Activation)
    deliveries = decode(message.delivery)
    assert isinstance(deliveries, m.Deliveries)
    return m.PayloadRow._make(deliveries.rows[0]).sequence


class Harness:
    """A supervisor between the router and one session, ``s``."""

    def __init__(
        self, *, launches: bool = True, shows: bool = False, returning: ReturningProcesses | None = None
    ) -> None:
        self.mailbox, self.router, self.session = Mailbox("supervisor"), Mailbox("payload_router"), Mailbox("s", 20_000)
        self.launcher = Mailbox("launcher")
        self.shell = Mailbox("shell")
        self.returning = returning or ReturningProcesses()
        self.returning.on_return = self._tell_returned
        self.sessions = Sessions(None, self.returning)
        self.sessions.add("mail", self.session)
        kernel = Kernel(LoopClock(seed=1))
        self.at_service = at_service = ServiceClock(kernel.clock)
        at_service.hear(m.ConnectionUp(1024, time.time()))
        self.runner = ActorRunner(
            self.mailbox,
            lambda alarm: Supervisor(
                Senses(kernel.clock, at_service, alarm),
                self.router,
                self.sessions,
                self.launcher if launches else None,
                self.shell if shows else None,
            ),
            kernel,
            lambda _: None,
        )
        self._up: list[m.Message | m.SettlementRow] = []
        self._down: list[m.Message] = []
        self._orders: list[m.Message] = []

    def _tell_returned(self, purpose: LaunchPurpose, app: str) -> None:
        if purpose is LaunchPurpose.PUSH:
            self.mailbox.send_urgent(m.AppReturned(app))

    def tell(self, *messages: m.Message | m.OutcomeRow) -> None:
        """Tell the supervisor; each outcome by itself."""
        for message in messages:
            if isinstance(message, m.OutcomeRow):
                outcomes = m.Outcomes((message,))
                handled = m.Handled((message.sequence,), (message.attempt,))
                self.tell_from("s", "mail", handled if message.outcome is Outcome.HANDLED else outcomes)
            elif type(message) in FROM_APPS:
                self.tell_from("s", "mail", message)
            else:
                self.mailbox.send_nowait(message)

    def tell_from(self, session: str, app: str, *messages: m.Message) -> None:
        """Tell the supervisor what a session of an app says."""
        for message in messages:
            self.mailbox.send_nowait(m.Stamped(session, app, encode(message)))

    async def down(self) -> m.Message:
        """Wait for what goes to the session next."""
        while not self._down:
            self._down += await next_messages(self.session, VIRTUAL)
        return self._down.pop(0)

    async def ordered(self) -> m.Message:
        """Wait for what the launcher is to do next."""
        while not self._orders:
            self._orders += await next_messages(self.launcher, VIRTUAL)
        return self._orders.pop(0)

    async def launch_first(self) -> None:
        """Have a process launched for the first payload of an app that does not run."""
        self.tell(activator(session="", command=b"c"), delivery(1))
        assert await self.ordered() == m.Launch("mail", 1, 1, b"c")

    async def up(self) -> m.Message | m.SettlementRow:
        """Wait for what goes to the router next, or for the next row of it."""
        while not self._up:
            for message in await next_messages(self.router, VIRTUAL):
                if isinstance(message, m.Settlements):
                    self._up += map(m.SettlementRow._make, message.rows)
                elif isinstance(message, m.Handled):
                    self._up += [m.SettlementRow(number, "", Outcome.HANDLED, None, "") for number in message.sequences]
                else:
                    self._up.append(message)
        return self._up.pop(0)

    async def stay_silent(self, *mailboxes: Mailbox) -> None:
        """Wait until all is done that was told, and see that nothing has come to the launcher or these mailboxes."""
        await anyio.sleep(1)
        assert not self._orders
        assert [mailbox.name for mailbox in (self.launcher, *mailboxes) if mailbox.depth] == []

    async def begin_background(self, sequence: int = 1, activation: m.ActivatorChanged | None = None) -> None:
        """Bring a payload to where its background work runs."""
        self.tell(activation or activator())
        assert isinstance(await self.up(), m.AppReady)
        self.tell(delivery(sequence))
        assert await self.down() == delivery(sequence)
        self.tell(m.OutcomeRow(sequence, Outcome.NOT_HANDLED, "", 1))
        assert await self.up() == m.Parked(sequence, "c1")
        assert at_work(await self.down()) == sequence

    async def settled(self) -> tuple[int, Outcome, DropReason | None, str]:
        """Wait for the next end of a payload."""
        while not isinstance(message := await self.up(), m.SettlementRow):
            pass
        return message.sequence, message.outcome, message.reason, message.detail


@asynccontextmanager
async def running(
    *,
    subscriber: bool = True,
    launches: bool = True,
    shows: bool = False,
    returning: ReturningProcesses | None = None,
) -> AsyncIterator[Harness]:
    """Run a supervisor whose router has begun with it; with a subscriber, the session takes the payloads of two channels."""
    harness = Harness(launches=launches, shows=shows, returning=returning)
    with harness.mailbox, harness.router, harness.session:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(harness.runner.run)
            harness.tell(m.Fence())
            assert await harness.down() == m.Fence()
            for channel in ("c1", "c2") if subscriber else ():
                harness.tell(m.Subscribe(channel))
                assert await harness.up() == m.ChannelSubscribed("mail", channel)
            yield harness
            assert harness.runner.restarts == 0
            tasks.cancel_scope.cancel()
