"""The sensor of presence: whether the user of this process is logged on, and at the machine, as logind says."""

from __future__ import annotations

import os
from typing import Any, Final

from attrs import evolve

from tocsin.bus_connection import BusCallRefused
from tocsin.host.bus_sensor import BusObject, BusSensor
from tocsin.host.readings import LOGGED_OFF, Presence, read_user
from tocsin.host.system_bus import SystemBus
from tocsin.protocol.platform.host_facts import HostFacts

SERVICE: Final = "org.freedesktop.login1"
MANAGER: Final = "org.freedesktop.login1.Manager"
MANAGER_PATH: Final = "/org/freedesktop/login1"
NONE: Final = "/"
"""The path of the session of a user who has none."""

_USER_TYPES: Final = {"State": "s", "Display": "(so)"}
_SESSION_TYPES: Final = {"IdleHint": "b", "LockedHint": "b", "Active": "b"}


class LogindSensor(BusSensor):
    """Looks at the session that logind says to be the user's display: the graphical one, where there are several.

    The manager's own ``IdleHint`` is not looked at: it is True where there is no session.

    :param uid: the user; None for that of this process.
    """

    def __init__(self, bus: SystemBus, uid: int | None = None) -> None:
        super().__init__(bus, "logind", (SERVICE,))
        self._uid = os.getuid() if uid is None else uid
        self._owner = ""
        self._user = _user_at("")
        self._session = _session_at("")
        self._presence = Presence()

    async def _look(self) -> HostFacts:
        for member in ("UserNew", "UserRemoved"):
            await self._match(
                f"type='signal',sender='{SERVICE}',interface='{MANAGER}',path='{MANAGER_PATH}',member='{member}'"
            )
        path = await self._user_path()
        self.standing = f"{SERVICE} on the system bus"
        if path is None:
            await self._settle(NONE)
            return LOGGED_OFF
        if not path:
            return HostFacts()
        if path != self._user.path:
            await self._unmatch(_signals_of(self._user))
            self._user = _user_at(path)
        found, self._owner = await self._properties(SERVICE, self._user)
        facts = read_user(found)
        _, session = found.get("Display", ("", ""))
        await self._settle(session)
        if session == NONE or facts.session_connected is False:
            return evolve(facts, user_present=False)
        if not session:  # it is not said which
            return facts
        about, self._owner = await self._properties(SERVICE, self._session)
        return evolve(facts, user_present=self._presence.read(about))

    async def _user_path(self) -> str | None:
        """Return the path of the user; None for one who is not logged on, and an empty one where that is not said."""
        try:
            answer = await self._call(SERVICE, MANAGER, MANAGER_PATH, "GetUser", "u", [self._uid])
        except BusCallRefused as refused:
            if refused.name.endswith(".NoSuchUser"):
                return None
            raise
        if answer.signature == "o":
            return str(answer.body[0])
        self._complain(f"{MANAGER}.GetUser", f"it answers {answer.signature!r}, and not 'o'")
        return ""

    async def _settle(self, path: str) -> None:
        """Look at another session from now on, where it is another."""
        if path != self._session.path:
            for rule in (_signals_of(self._session), *_locks_of(self._session)):
                await self._unmatch(rule)
            self._session, self._presence = _session_at(path), Presence()
        if path not in {"", NONE}:
            for rule in _locks_of(self._session):
                await self._match(rule)

    def _is_changed_by(self, message: Any) -> bool:
        if message.sender != self._owner and self._owner:
            return False
        if message.interface == MANAGER and message.member in {"UserNew", "UserRemoved"} and message.signature == "uo":
            return bool(message.body[0] == self._uid)
        if message.path == self._session.path and message.interface == self._session.interface:
            if message.member in {"Lock", "Unlock"}:
                self._presence.hear(message.member)
                return True
            return False
        return self._user.is_changed_by(message) or self._session.is_changed_by(message)


def _user_at(path: str) -> BusObject:
    return BusObject(path, "org.freedesktop.login1.User", _USER_TYPES)


def _session_at(path: str) -> BusObject:
    return BusObject(path, "org.freedesktop.login1.Session", _SESSION_TYPES)


def _signals_of(place: BusObject) -> str:
    return f"type='signal',sender='{SERVICE}',{place.rule}"


def _locks_of(session: BusObject) -> tuple[str, str]:
    lock, unlock = (
        f"type='signal',sender='{SERVICE}',interface='{session.interface}',path='{session.path}',member='{member}'"
        for member in ("Lock", "Unlock")
    )
    return lock, unlock
