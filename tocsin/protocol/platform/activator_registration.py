"""Activator registration: what may be registered, in which order it is checked, and what outlives the process.

Source: ``RegisterActivator``, ``UnregisterActivator`` and ``IsActivatorSupported`` of the Windows App SDK 1.0 preview 3,
with its defects done right: a reused trigger stays registered and takes the new conditions, and a second registration
that fails leaves the first one alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import auto
from uuid import UUID

from attrs import Factory, define

from tocsin.protocol.errors import InvalidArgument, NotFound
from tocsin.protocol.kernel.machine import Label
from tocsin.protocol.platform.activation import Activators, parse_activators
from tocsin.protocol.text import quoted

NULL_CLSID = UUID(int=0)


class Phase(Label):
    """Where one activator of an app stands."""

    ABSENT = auto()
    STORED = auto()
    """Registered by an earlier process: it still wakes the app."""
    ACTIVE = auto()
    """Registered by one process at least that lives."""


class Event(Label):
    """What happens to it."""

    RESTORED = auto()
    REGISTER = auto()
    UNREGISTER = auto()
    UNREGISTER_ALL = auto()
    FORGET = auto()
    """The app was removed; its work is cancelled for that reason, by another word."""
    RELEASED = auto()
    """One of several processes that have registered it has it no more."""
    PROCESS_GONE = auto()
    """The last process that had registered it has left: a trigger stays."""
    SERVER_GONE = auto()
    """The last process that had registered it has left: a class goes with it."""


class Effect(Label):
    """What the registry has to do."""

    KEEP = auto()
    DROP = auto()
    CANCEL_RUNNING = auto()


TABLE: dict[tuple[Phase, Event], tuple[Phase, tuple[Effect, ...]]] = {
    (Phase.ABSENT, Event.RESTORED): (Phase.STORED, ()),
    (Phase.ABSENT, Event.REGISTER): (Phase.ACTIVE, (Effect.KEEP,)),
    (Phase.ABSENT, Event.UNREGISTER_ALL): (Phase.ABSENT, ()),
    (Phase.ABSENT, Event.FORGET): (Phase.ABSENT, ()),
    (Phase.STORED, Event.FORGET): (Phase.ABSENT, (Effect.DROP,)),
    (Phase.ACTIVE, Event.FORGET): (Phase.ABSENT, (Effect.DROP,)),
    (Phase.STORED, Event.REGISTER): (Phase.ACTIVE, (Effect.KEEP,)),
    (Phase.STORED, Event.UNREGISTER_ALL): (Phase.ABSENT, (Effect.DROP, Effect.CANCEL_RUNNING)),
    (Phase.ACTIVE, Event.REGISTER): (Phase.ACTIVE, (Effect.KEEP,)),
    (Phase.ACTIVE, Event.RELEASED): (Phase.ACTIVE, ()),
    (Phase.ACTIVE, Event.UNREGISTER): (Phase.ABSENT, (Effect.DROP, Effect.CANCEL_RUNNING)),
    (Phase.ACTIVE, Event.UNREGISTER_ALL): (Phase.ABSENT, (Effect.DROP, Effect.CANCEL_RUNNING)),
    (Phase.ACTIVE, Event.PROCESS_GONE): (Phase.STORED, ()),
    (Phase.ACTIVE, Event.SERVER_GONE): (Phase.ABSENT, ()),
}

EACH = (Activators.PUSH_TRIGGER, Activators.COM_ACTIVATOR, Activators.PROTOCOL_ACTIVATOR)
"""The single activators, in the order in which they are registered and unregistered."""

_NAMES = {
    Activators.PUSH_TRIGGER: "PushTrigger",
    Activators.COM_ACTIVATOR: "ComActivator",
    Activators.PROTOCOL_ACTIVATOR: "ProtocolActivator",
}
_OF_PACKAGED = Activators.PUSH_TRIGGER | Activators.COM_ACTIVATOR


@define
class Registered:
    """One activator of an app: its CLSID, the sessions that have registered it, and where it stands."""

    activator: Activators
    clsid: UUID = NULL_CLSID
    conditions: tuple[int, ...] = ()
    cancel_on_condition_loss: bool = False
    command: bytes = b""
    """What starts a process of the app, packed; empty where it is not known."""
    sessions: dict[str, bool] = Factory(dict)
    """The sessions that live, the newest last, and whether each has a handler for the work."""
    phase: Phase = Phase.ABSENT

    def outlives_process(self) -> bool:
        """Whether it stays when the process that registered it leaves."""
        return self.activator is not Activators.COM_ACTIVATOR

    def server(self) -> str:
        """Return the session that does the work: the newest that has a handler; empty where none has."""
        return next((session for session in reversed(self.sessions) if self.sessions[session]), "")

    def event_of_departure(self) -> Event:
        """Decide which event it is that a session has it no more, or is gone."""
        if self.sessions:
            return Event.RELEASED
        return Event.PROCESS_GONE if self.outlives_process() else Event.SERVER_GONE

    def event_of_unregistration(self) -> Event:
        """Decide which event it is that a session unregisters it: a class is served by the other processes as before."""
        return Event.RELEASED if self.sessions and not self.outlives_process() else Event.UNREGISTER


def is_supported(activators: Activators, *, packaged: bool) -> bool:
    """Tell whether an app may register these flags.

    :raises InvalidArgument: no flag at all, or the protocol activator together with others.
    """
    activators = parse_activators(activators)
    if not activators:
        raise InvalidArgument("say which activators: none of the flags is set")
    if activators & Activators.PROTOCOL_ACTIVATOR and activators & _OF_PACKAGED:
        raise InvalidArgument("PROTOCOL_ACTIVATOR cannot be combined with PUSH_TRIGGER or COM_ACTIVATOR")
    return not activators & (Activators.PROTOCOL_ACTIVATOR if packaged else _OF_PACKAGED)


def check_register(
    activators: Activators, clsid: UUID, current: Mapping[Activators, Registered], session: str, *, packaged: bool
) -> None:
    """Check a registration of a session before anything of it is done, in the order of the Windows App SDK.

    :raises InvalidArgument: it cannot be made; what was registered before stays.
    """
    if not is_supported(activators, packaged=packaged):
        kind = "a packaged" if packaged else "an unpackaged"
        raise InvalidArgument(f"{kind} app cannot register {quoted(activators)}: see is_activator_supported")
    for activator in EACH:
        if not activators & activator:
            continue
        name, before = _NAMES[activator], current.get(activator)
        if activator is not Activators.PROTOCOL_ACTIVATOR and clsid == NULL_CLSID:
            raise InvalidArgument(f"{name} needs a CLSID that is not null")
        if before is not None and session in before.sessions:
            raise InvalidArgument(f"{name} already registered.")
        reused = before is not None and before.phase is not Phase.ABSENT and activator is Activators.PUSH_TRIGGER
        if before is not None and reused and before.clsid != clsid:
            raise InvalidArgument("RegisterActivator has different clsid registered.")


def check_unregister(activator: Activators, current: Mapping[Activators, Registered], session: str) -> None:
    """Check that a session can unregister a single activator.

    :raises NotFound: this process has not registered it (ERROR_NOT_FOUND).
    """
    before = current.get(activator)
    if before is None or session not in before.sessions:
        raise NotFound(f"{_NAMES[activator]} not registered.")
