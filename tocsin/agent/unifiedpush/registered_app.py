"""One registration in its life: asks the platform for its endpoint, has its pushes carried, and does what its table says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager, suppress

import anyio
from anyio.abc import TaskGroup
from attrs import evolve, frozen

from tocsin.agent.unifiedpush.connectors import Connectors
from tocsin.agent.unifiedpush.courier import Courier
from tocsin.agent.unifiedpush.raw_subscription import RawSubscription
from tocsin.agent.unifiedpush.registration_store import RegistrationStore
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.session import Session
from tocsin.bus_connection import BusLost
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.unifiedpush.connector_registration import (
    ENDING,
    SETTLED,
    TABLE,
    AppPresence,
    ConnectorRegistration,
    Effect,
    Event,
    Phase,
    dropped_at,
    event_of_endpoint,
    event_of_presence,
)
from tocsin.protocol.unifiedpush.delivery import Delivery
from tocsin.protocol.unifiedpush.distributor_call import Reason, RegisterCall
from tocsin.protocol.unifiedpush.no_endpoint import event_without_endpoint
from tocsin.tasks import task_group

Happening = Callable[[ConnectorRegistration], tuple[Event | None, ConnectorRegistration]]
"""Decides what has happened, from the registration as it is then, and returns that with what has changed in it."""


@frozen
class Surroundings:
    """What a registration lives in."""

    connectors: Connectors
    store: RegistrationStore
    session_of: Callable[[str], AbstractAsyncContextManager[Session]]
    """Lets an app into the platform."""
    is_connected: Callable[[], bool]
    """Tells whether there is a connection to the push service."""
    now: Callable[[], float]
    """Seconds since the epoch."""
    started: float


class RegisteredApp:
    """Lives until nothing is kept of its registration; what happens to it is taken one after the other."""

    def __init__(self, registration: ConnectorRegistration, around: Surroundings) -> None:
        self.registration = registration
        self._around = around
        self._happenings: list[Happening] = []
        self._changed = anyio.Event()
        self._ended = anyio.Event()
        self._serving = anyio.CancelScope()
        self._subscription: RawSubscription | None = None
        self.courier = Courier(registration.service, self._deliver, self._may_go, around.now)
        self._perform: dict[Effect, Callable[[], Awaitable[None]]] = {
            Effect.KEEP: self._keep,
            Effect.ASK_ENDPOINT: self._ask_endpoint,
            Effect.TELL_ENDPOINT: self._tell_endpoint,
            Effect.REVOKE: self._begin_revoking,
            Effect.CONFIRM: self._confirm,
            Effect.TELL_UNREGISTERED: self._tell_unregistered,
            Effect.FORGET: self._forget,
        }

    # What happens to it

    def register(self, asked: RegisterCall) -> None:
        """Its app registers, the first time or again."""
        self._note(
            lambda r: (
                None if r.phase in ENDING else Event.REGISTER,
                evolve(r, version=asked.version, description=asked.description, absent_since=None),
            )
        )

    def unregister(self) -> None:
        """Its app wants it no more."""
        self._note(lambda r: (None if r.phase in ENDING else Event.UNREGISTER, r))

    def remove(self) -> None:
        """The user removes it."""
        self._note(lambda r: (None if r.phase in ENDING else Event.REMOVED, r))

    def make_way(self) -> None:
        """Its app registers with another sender's key."""
        self._note(lambda r: (None if r.phase in ENDING else Event.OTHER_KEY, r))

    def try_with_other_token(self) -> None:
        """Its app registers with another token."""
        self._note(lambda r: (Event.OTHER_TOKEN if r.phase is Phase.WISHED else None, r))

    def give_up(self, reason: Reason) -> None:
        """No endpoint has come in time, for that reason."""
        self._note(lambda r: (event_without_endpoint(r.phase, reason), r))

    def note_presence(self, presence: AppPresence) -> None:
        """Its app was found so on the bus."""
        since = self._around.now() if presence is AppPresence.ABSENT else None
        self._note(lambda r: (event_of_presence(r.phase, presence), evolve(r, absent_since=since)))
        if presence is not AppPresence.ABSENT:
            self.courier.app_came()

    async def settled(self) -> None:
        """Wait until its app can be answered: it has an endpoint, or there is none, or it ends; and until that is written down."""
        while self._happenings or self.registration.phase not in SETTLED:
            await self._changed.wait()

    async def ended(self) -> None:
        """Wait until it lives no more."""
        await self._ended.wait()

    @property
    def fault(self) -> str:
        """What there is against an endpoint; empty where nothing was said."""
        return "" if self._subscription is None else self._subscription.fault

    @property
    def standing(self) -> str:
        """How it stands, in words; empty where its app takes its pushes."""
        if self.registration.phase is Phase.WAITING:
            return "waits for its app, which is not running and cannot be started"
        if self.registration.phase is Phase.UNREGISTERING:
            return "waits for the push service, to be unregistered"
        if self._subscription is None or not self._subscription.is_there:
            return f"waits for its endpoint{self.fault and ': '}{self.fault}"
        if self.courier.failures:
            return f"waits for its app, which has not taken a push {self.courier.failures} times"
        return ""

    # Its life

    async def run(self) -> None:
        """Live."""
        try:
            async with self._around.session_of(self.registration.app) as session, task_group() as tasks:
                r, connected = self.registration, self._around.is_connected
                self._subscription = RawSubscription(session, r.app, r.key, connected, self._carry, self._refused)
                self._tasks: TaskGroup = tasks
                tasks.start_soon(self._watch_absence)
                if r.phase is Phase.UNREGISTERING:
                    await self._begin_revoking()
                elif r.phase is not Phase.NEW:
                    await self._ask_endpoint()
                await self._go_through_happenings()
                tasks.cancel_scope.cancel()
        finally:
            self._happenings.clear()
            self._ended.set()
            self._tell_change()

    async def _go_through_happenings(self) -> None:
        while self.registration.phase is not Phase.DROPPED:
            if self._happenings:
                await self._step(self._happenings[0])
                del self._happenings[0]
                self._tell_change()
            else:
                await self._changed.wait()

    def _note(self, happening: Happening) -> None:
        self._happenings.append(happening)
        self._tell_change()

    def _tell_change(self) -> None:
        self._changed.set()
        self._changed = anyio.Event()

    async def _step(self, happening: Happening) -> None:
        event, changed = happening(self.registration)
        if event is not None:
            phase, effects = step(TABLE, self.registration.phase, event)
            self.registration = evolve(changed, phase=phase)
            for effect in effects:
                await self._perform[effect]()

    async def _watch_absence(self) -> None:
        """Have it dropped when its app has been away for long enough."""
        while True:
            absent = self.registration.absent_since
            if self.registration.phase is not Phase.WAITING or absent is None:
                await self._changed.wait()
                continue
            left = dropped_at(absent, self._around.started) - self._around.now()
            with anyio.move_on_after(max(left, 0.0)):
                await self._changed.wait()
                continue
            self._note(lambda r: (Event.ABSENT_FOR_DAYS if r.phase is Phase.WAITING else None, r))
            await self._changed.wait()

    # Effects

    async def _keep(self) -> None:
        await self._around.store.keep(self.registration)

    async def _forget(self) -> None:
        await self._around.store.forget(self.registration)

    async def _tell_endpoint(self) -> None:
        with suppress(BusLost):  # an app registers again when the distributor has come back
            await self._around.connectors.tell_endpoint(self.registration)

    async def _confirm(self) -> None:
        await self._tell_end(confirms=True)

    async def _tell_unregistered(self) -> None:
        await self._tell_end(confirms=False)

    async def _tell_end(self, *, confirms: bool) -> None:
        with suppress(BusLost):  # as above
            await self._around.connectors.tell_unregistered(self.registration, confirms=confirms)

    async def _ask_endpoint(self) -> None:
        assert self._subscription is not None  # noqa: S101  # it lives
        self._tasks.start_soon(self._serve, self._subscription)

    async def _begin_revoking(self) -> None:
        assert self._subscription is not None  # noqa: S101  # it lives
        self._serving.cancel()
        self._tasks.start_soon(self._revoke, self._subscription)

    # Its endpoint

    async def _serve(self, subscription: RawSubscription) -> None:
        with self._serving:
            await subscription.run()

    def _refused(self) -> None:
        """The push service, or what the user has set, gives none."""
        self.give_up(Reason.ACTION_REQUIRED)

    async def _revoke(self, subscription: RawSubscription) -> None:
        await subscription.revoke()
        self._note(lambda r: (Event.REVOKED, r))

    async def _carry(self, channel: PushNotificationChannel) -> None:
        self._note(lambda r: (event_of_endpoint(r, channel.uri), evolve(r, endpoint=channel.uri)))
        await self.courier.carry(channel)

    # Its pushes

    async def _deliver(self, message: bytes, message_id: str) -> Delivery:
        delivery = await self._around.connectors.deliver(self.registration, message, message_id)
        if delivery is Delivery.ABSENT:
            self.note_presence(AppPresence.ABSENT)
        return delivery

    async def _may_go(self) -> None:
        while self.registration.phase is Phase.WAITING:
            await self._changed.wait()
