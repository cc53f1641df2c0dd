"""The activator registry: knows who takes the payloads of which channel and app, and gives them to it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from uuid import UUID

from tocsin.actors.actor import Actor, receives
from tocsin.actors.mailbox import Mailbox
from tocsin.actors.sessions import Sessions
from tocsin.persistence.store import Store, StoredActivator
from tocsin.protocol import messages as m
from tocsin.protocol.activation import Activators, SystemConditionType, check_conditions, parse_activators, parse_clsid
from tocsin.protocol.codec import decode_own, encode
from tocsin.protocol.errors import PlatformUnavailable, PushError
from tocsin.protocol.machine import step
from tocsin.protocol.registration import (
    EACH,
    TABLE,
    Effect,
    Event,
    Phase,
    Registered,
    check_register,
    check_unregister,
)

_TRIGGERS = (Activators.PUSH_TRIGGER, Activators.PROTOCOL_ACTIVATOR)
_SERVERS = (Activators.COM_ACTIVATOR, Activators.PROTOCOL_ACTIVATOR)

Registrations = dict[Activators, Registered]


class ActivatorRegistry(Actor):
    """Owns the sinks, by channel, and the activators, by app."""

    name = "activator_registry"

    def __init__(self, store: Store, sessions: Sessions, supervisor: Mailbox) -> None:
        super().__init__()
        self._store = store
        self._sessions = sessions
        self._supervisor = supervisor
        self._sinks: dict[str, str] = {}
        self._apps: dict[str, Registrations] = {}
        self._keep: dict[tuple[str, Activators], Registered | None] = {}
        self._changed: dict[str, bool] = {}
        self._up: list[m.Message] = []
        self._replies: list[tuple[str, m.Message]] = []
        self._down: list[Callable[[], None] | tuple[str, bytes]] = []

    async def start(self) -> None:
        """Read the activators of earlier processes; they still wake their apps."""
        for stored in await self._store.activators():
            activator = Activators(stored.activator)
            conditions = tuple(SystemConditionType(condition) for condition in stored.conditions)
            registered = Registered(activator, UUID(stored.clsid), conditions, stored.cancel_on_condition_loss)
            self._step(stored.app, registered, Event.RESTORED)

    # Sinks

    @receives(m.AttachSink)
    def attach(self, message: m.AttachSink, _: bytes) -> None:
        """The session takes the payloads of a channel; the last one to say so wins."""
        if self._sessions.find(message.session) is None:
            return  # it has left meanwhile
        self._sinks[message.channel] = message.session
        self._up.append(m.SinkOpened(message.channel))
        self._replies.append((message.session, m.Done(message.request)))

    @receives(m.DetachSink)
    def detach(self, message: m.DetachSink, _: bytes) -> None:
        """It takes them no more, unless another session has taken over."""
        if self._sinks.get(message.channel) == message.session:
            self._close_sink(message.channel)
        self._replies.append((message.session, m.Done(message.request)))

    @receives(m.LeaveSession)
    def leave(self, message: m.LeaveSession, _: bytes) -> None:
        """A session has ended: its sinks and classes go with it, its triggers stay."""
        for channel in [channel for channel, session in self._sinks.items() if session == message.session]:
            self._close_sink(channel)
        for app, registrations in self._apps.items():
            for registered in list(registrations.values()):
                if registered.session == message.session and registered.phase is Phase.ACTIVE:
                    stays = registered.outlives_process()
                    self._step(app, registered, Event.PROCESS_GONE if stays else Event.SERVER_GONE)

    # Activators

    @receives(m.RegisterActivator)
    def register(self, message: m.RegisterActivator, _: bytes) -> None:
        """Register all flags or none."""
        if self._sessions.find(message.session) is None:
            return  # it has left meanwhile
        current = self._apps.setdefault(message.app, {})
        try:
            flags, clsid = parse_activators(message.activators), parse_clsid(message.clsid)
            conditions = check_conditions(message.conditions)
            check_register(flags, clsid, current, packaged=message.packaged)
        except PushError as refused:
            self._refuse(message.session, message.request, refused)
            return
        for activator in EACH:
            if flags & activator:
                registered = current.get(activator) or Registered(activator)
                registered.clsid = clsid
                registered.conditions = conditions
                registered.cancel_on_condition_loss = message.cancel_on_condition_loss
                registered.session = message.session
                registered.has_handler = message.has_handler
                self._step(message.app, registered, Event.REGISTER)
        self._replies.append((message.session, m.Done(message.request)))

    @receives(m.UnregisterActivators)
    def unregister(self, message: m.UnregisterActivators, _: bytes) -> None:
        """Unregister the flags in their order; those before one that is missing stay unregistered."""
        current = self._apps.setdefault(message.app, {})
        try:
            flags = parse_activators(message.activators)
            for activator in EACH:
                if message.every and activator in current:
                    self._step(message.app, current[activator], Event.UNREGISTER_ALL)
                elif not message.every and flags & activator:
                    check_unregister(activator, current)
                    self._step(message.app, current[activator], Event.UNREGISTER)
        except PushError as refused:
            self._refuse(message.session, message.request, refused)
            return
        self._replies.append((message.session, m.Done(message.request)))

    # Payloads

    @receives(m.Offer)
    def offer(self, message: m.Offer, _: bytes) -> None:
        """Give payloads to the sessions that take those of their channels in the foreground."""
        takers = {self._sinks.get(channel, "") for channel in message.channels}
        if len(takers) == 1:
            self._down.append((takers.pop(), message.deliveries))
        else:
            self._down += self._apart(message.deliveries)

    @receives(m.Activation)
    def activate(self, message: m.Activation, frame: bytes) -> None:
        """Give a payload to the session that does its app's background work."""
        self._down.append((message.session, frame))

    @receives(m.CancelDelivery, m.AbortDelivery)
    def cancel(self, message: m.CancelDelivery | m.AbortDelivery, _: bytes) -> None:
        """Tell the sessions: the one that has the payload knows it."""
        self._down.append(lambda: self._sessions.tell_all(message))

    @receives(m.Fence)
    def fence(self, _message: m.Fence, frame: bytes) -> None:
        """Tell the sessions, in order with the payloads."""
        self._down += [(name, frame) for name in self._sessions.names()]

    @receives(m.ActorRestarted)
    def peer_restarted(self, message: m.ActorRestarted, _: bytes) -> None:
        """A router that begins anew does not know which lanes are open; a supervisor may have lost what it was told."""
        if message.actor in {"payload_router", "supervisor"}:
            self._up.extend(m.SinkOpened(channel) for channel in self._sinks)
            for app in self._apps:
                self._changed.setdefault(app, False)

    async def flush(self) -> None:
        """Write first, then give payloads to sessions, in order; one without a session comes back."""
        for (app, activator), kept in self._keep.items():
            if kept is None:
                await self._store.drop_activator(app, activator)
            else:
                conditions = tuple(int(condition) for condition in kept.conditions)
                await self._store.keep_activator(
                    StoredActivator(app, activator, str(kept.clsid), conditions, kept.cancel_on_condition_loss)
                )
        for effect in self._down:
            if not isinstance(effect, tuple):
                effect()
            else:
                session, frame = effect
                if not await self._give(session, frame):
                    self._supervisor.answer(m.NoSinks(_sequences(frame)))
        self._up.extend(self._view(app, aborted=aborted) for app, aborted in self._changed.items())
        for message in self._up:
            self._supervisor.answer(message)
        for session, reply in self._replies:
            self._sessions.answer(session, reply)
        for effects in (self._keep, self._down, self._changed, self._up, self._replies):
            effects.clear()

    def _step(self, app: str, registered: Registered, event: Event) -> None:
        registered.phase, effects = step(TABLE, registered.phase, event)
        self._apps.setdefault(app, {})[registered.activator] = registered
        self._changed[app] = self._changed.get(app, False) or Effect.CANCEL_RUNNING in effects
        if registered.phase is not Phase.ACTIVE:
            registered.session, registered.has_handler = "", False
        if registered.outlives_process() and Effect.KEEP in effects:
            self._keep[app, registered.activator] = registered
        elif registered.outlives_process() and Effect.DROP in effects:
            self._keep[app, registered.activator] = None

    def _view(self, app: str, *, aborted: bool) -> m.ActivatorChanged:
        """Build what the supervisor has to know of an app."""
        current = self._apps.get(app, {})
        trigger = next((r for a in _TRIGGERS if (r := current.get(a)) and r.phase is not Phase.ABSENT), None)
        server = next(
            (r for a in _SERVERS if (r := current.get(a)) and r.phase is Phase.ACTIVE and r.has_handler), None
        )
        return m.ActivatorChanged(
            app,
            trigger is not None,
            server.session if server else "",
            tuple(SystemConditionType(condition) for condition in trigger.conditions) if trigger else (),
            trigger.cancel_on_condition_loss if trigger else False,
            aborted,
        )

    def _apart(self, frame: bytes) -> list[tuple[str, bytes]]:
        """Take payloads apart by the session that takes them."""
        deliveries = decode_own(frame)
        assert isinstance(deliveries, m.Deliveries)  # noqa: S101  # the router has made it
        rows: defaultdict[str, list[m.Delivery]] = defaultdict(list)
        for row in deliveries.rows:
            rows[self._sinks.get(row[-1], "")].append(row)
        return [(session, encode(m.Deliveries(deliveries.app, tuple(several)))) for session, several in rows.items()]

    def _close_sink(self, channel: str) -> None:
        del self._sinks[channel]
        self._up.append(m.SinkClosed(channel))

    def _refuse(self, session: str, request: int, refused: PushError) -> None:
        self._replies.append((session, m.Failed(request, type(refused).__name__, str(refused), refused.hresult)))

    async def _give(self, name: str, frame: bytes) -> bool:
        session = self._sessions.find(name)
        if session is None:
            return False
        try:
            await session.put(frame)
        except PlatformUnavailable:
            return False
        return True


def _sequences(frame: bytes) -> tuple[int, ...]:
    """Return the sequence numbers of the payloads in a frame."""
    message = decode_own(frame)
    if isinstance(message, m.Deliveries):
        return tuple(row[0] for row in message.rows)
    return (message.sequence,) if isinstance(message, m.Activation) else ()
