"""The activator registry: knows what wakes which app, and who does its background work, also after a restart."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from uuid import UUID

from tocsin.actors.actor import Actor, Wait, receives, receives_from_apps
from tocsin.actors.sessions import Sessions
from tocsin.mailbox import Mailbox
from tocsin.persistence.store import Store, StoredActivator
from tocsin.protocol import messages as m
from tocsin.protocol.errors import PushError
from tocsin.protocol.kernel.machine import step
from tocsin.protocol.platform.activation import (
    Activators,
    SystemConditionType,
    check_conditions,
    parse_activators,
    parse_clsid,
)
from tocsin.protocol.platform.activator_registration import (
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
    """Owns the activators, by app."""

    name = "activator_registry"

    def __init__(self, store: Store, sessions: Sessions, supervisor: Mailbox) -> None:
        super().__init__()
        self._store = store
        self._sessions = sessions
        self._supervisor = supervisor
        self._apps: dict[str, Registrations] = {}
        self._keep: dict[tuple[str, Activators], Registered | None] = {}
        self._changed: dict[str, bool] = {}
        self._replies: list[tuple[str, m.Message]] = []
        self._forgotten: list[str] = []
        self._resumed: list[m.Stamped] = []
        self._perform: dict[Effect, Callable[[str, Registered], None]] = {
            Effect.KEEP: self._keep_activator,
            Effect.DROP: self._drop_activator,
            Effect.CANCEL_RUNNING: self._cancel_running,
        }

    async def start(self) -> None:
        """Read the activators of earlier processes; they still wake their apps."""
        for stored in await self._store.activators():
            activator = Activators(stored.activator)
            conditions = tuple(SystemConditionType(condition) for condition in stored.conditions)
            cancel = stored.cancel_on_condition_loss
            registered = Registered(activator, UUID(stored.clsid), conditions, cancel, stored.command)
            self._step(stored.app, registered, Event.RESTORED)
        await self._perform_all()  # the supervisor has to know, also if no app ever asks this actor anything

    @receives_from_apps(m.LeaveSession)
    def leave(self, _message: m.LeaveSession, stamped: m.Stamped) -> None:
        """A session is about to end: its classes go with it, its triggers stay."""
        self.session_ended(m.SessionEnded(stamped.session), b"")

    @receives(m.SessionEnded)
    def session_ended(self, message: m.SessionEnded, _: bytes) -> None:
        """A session is gone."""
        for app, registrations in self._apps.items():
            for registered in list(registrations.values()):
                if registered.sessions.pop(message.session, None) is not None:
                    self._step(app, registered, registered.event_of_departure())

    @receives(m.ForgetApp)
    def forget(self, message: m.ForgetApp, _: bytes) -> None:
        """An app was removed: nothing wakes it any more."""
        for registered in list(self._apps.get(message.app, {}).values()):
            self._step(message.app, registered, Event.FORGET)
        self._forgotten.append(message.app)

    @receives_from_apps(m.Resumed)
    def resumed(self, _message: m.Resumed, stamped: m.Stamped) -> None:
        """A session of before has registered all that it had: the supervisor hears of that behind it."""
        self._resumed.append(stamped)

    # Activators

    @receives_from_apps(m.RegisterActivator)
    def register(self, message: m.RegisterActivator, stamped: m.Stamped) -> None:
        """Register all flags or none."""
        session, app = stamped.session, stamped.app
        if session not in self._sessions:
            return  # it has left meanwhile
        current = self._apps.setdefault(app, {})
        try:
            flags, clsid = parse_activators(message.activators), parse_clsid(message.clsid)
            conditions = check_conditions(message.conditions)
            check_register(flags, clsid, current, session, packaged=message.packaged)
        except PushError as refused:
            self._refuse(session, message.request, refused)
            return
        for activator in EACH:
            if flags & activator:
                registered = current.get(activator) or Registered(activator)
                registered.clsid = clsid
                registered.conditions = conditions
                registered.cancel_on_condition_loss = message.cancel_on_condition_loss
                registered.command = message.command or registered.command
                registered.sessions[session] = message.has_handler
                self._step(app, registered, Event.REGISTER)
        self._replies.append((session, m.Done(message.request)))

    @receives_from_apps(m.UnregisterActivators)
    def unregister(self, message: m.UnregisterActivators, stamped: m.Stamped) -> None:
        """Unregister the flags in their order; those before one that is missing stay unregistered."""
        session, app = stamped.session, stamped.app
        current = self._apps.setdefault(app, {})
        try:
            flags = parse_activators(message.activators)
            for activator in EACH:
                if message.every and activator in current:
                    self._step(app, current[activator], Event.UNREGISTER_ALL)
                elif not message.every and flags & activator:
                    check_unregister(activator, current, session)
                    del current[activator].sessions[session]
                    self._step(app, current[activator], current[activator].event_of_unregistration())
        except PushError as refused:
            self._refuse(session, message.request, refused)
            return
        self._replies.append((session, m.Done(message.request)))

    @receives(m.ActorRestarted)
    def peer_restarted(self, message: m.ActorRestarted, _: bytes) -> None:
        """A supervisor that begins anew does not know what wakes an app."""
        if message.actor == "supervisor":
            for app in self._apps:
                self._changed.setdefault(app, False)

    def flush(self) -> Iterable[Wait]:
        """Perform the effects of the batch, which begin with what is to be written."""
        return (self._perform_all,)

    async def _perform_all(self) -> None:
        """Write first; what is not kept is not agreed to."""
        for (app, activator), kept in self._keep.items():
            if kept is None:
                await self._store.drop_activator(app, activator)
            else:
                conditions = tuple(int(condition) for condition in kept.conditions)
                await self._store.keep_activator(
                    StoredActivator(
                        app, activator, str(kept.clsid), conditions, kept.cancel_on_condition_loss, kept.command
                    )
                )
        for app, aborted in self._changed.items():
            self._supervisor.send_urgent(self._view(app, aborted=aborted))
        for resumed in self._resumed:
            self._supervisor.send_urgent(resumed)
        for session, reply in self._replies:
            self._sessions.send(session, reply)
        for app in self._forgotten:
            self._sessions.work.forget(self.name, app)
        for effects in (self._keep, self._changed, self._resumed, self._replies, self._forgotten):
            effects.clear()

    def _step(self, app: str, registered: Registered, event: Event) -> None:
        registered.phase, effects = step(TABLE, registered.phase, event)
        self._apps.setdefault(app, {})[registered.activator] = registered
        if registered.phase is not Phase.ACTIVE:
            registered.sessions.clear()
        if registered.phase is Phase.ABSENT:
            registered.command = b""  # or a registration without one would bring it back
        self._changed.setdefault(app, False)  # whatever it was, the supervisor has to look again
        for effect in effects:
            self._perform[effect](app, registered)

    def _keep_activator(self, app: str, registered: Registered) -> None:
        if registered.outlives_process():
            self._keep[app, registered.activator] = registered

    def _drop_activator(self, app: str, registered: Registered) -> None:
        if registered.outlives_process():
            self._keep[app, registered.activator] = None

    def _cancel_running(self, app: str, _: Registered) -> None:
        self._changed[app] = True

    def _view(self, app: str, *, aborted: bool) -> m.ActivatorChanged:
        """Build what the supervisor has to know of an app."""
        current = self._apps.get(app, {})
        trigger = next((r for a in _TRIGGERS if (r := current.get(a)) and r.phase is not Phase.ABSENT), None)
        servers = (current[activator].server() for activator in _SERVERS if activator in current)
        return m.ActivatorChanged(
            app,
            trigger is not None,
            next(filter(None, servers), ""),
            tuple(SystemConditionType(condition) for condition in trigger.conditions) if trigger else (),
            trigger.cancel_on_condition_loss if trigger else False,
            aborted,
            trigger.command if trigger else b"",
        )

    def _refuse(self, session: str, request: int, refused: PushError) -> None:
        self._replies.append((session, m.Failed(request, type(refused).__name__, str(refused), refused.hresult)))
