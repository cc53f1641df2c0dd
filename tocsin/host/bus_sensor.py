"""What all sensors on the system bus do: look when they are told of a change, and start again where the bus or a daemon does."""

from __future__ import annotations

import logging
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Final

import anyio
from attrs import frozen

from tocsin.bus_connection import BUS, BusCallRefused, BusLost
from tocsin.host.readings import Properties
from tocsin.host.system_bus import SystemBus
from tocsin.protocol.platform.host_facts import HostFacts
from tocsin.tasks import task_group

PROPERTIES: Final = "org.freedesktop.DBus.Properties"

ASK_AGAIN: Final = 60.0
"""Seconds in which a bus that is not there is looked for once at most."""

TRIES: Final = 10
"""How often a bus that was lost is looked for, or a daemon asked again that does not answer, after a pause that doubles each time."""
FIRST_PAUSE: Final = 0.1

GRACE: Final = 3.0
"""Seconds for which what a daemon has said counts when it has gone, or the bus: one that is only restarted, as at an update, must not
let run for a moment what its machine holds back."""

_UNKNOWN: Final = HostFacts()

_ABSENT: Final = ("ServiceUnknown", "NameHasNoOwner", "Spawn.")
"""What the names of errors hold that mean that there is no such daemon."""

logger = logging.getLogger(__name__)


class DaemonAbsent(Exception):
    """There is no such daemon on the bus; one that comes is heard of."""


@frozen
class BusObject:
    """An object of a daemon, and the types of those of its properties that count."""

    path: str
    interface: str
    types: Mapping[str, str]

    @property
    def rule(self) -> str:
        """Which signals tell of a change."""
        return f"interface='{PROPERTIES}',member='PropertiesChanged',path='{self.path}',arg0='{self.interface}'"

    def is_changed_by(self, message: Any) -> bool:
        """Tell whether a signal tells of a change of what counts."""
        if (message.path, message.interface, message.signature) != (self.path, PROPERTIES, "sa{sv}as"):
            return False
        _, changed, invalidated = message.body
        return not self.types.keys().isdisjoint([*changed, *invalidated])


class BusSensor(ABC):
    """Looks at daemons of the system bus: at once, and again when a signal tells of a change. While none comes, nothing runs.

    :param name: what the sensor is called.
    :param services: the names on the bus that it looks at, in the order in which they count.
    :param now: seconds on a clock that never goes back.
    """

    def __init__(
        self, bus: SystemBus, name: str, services: tuple[str, ...], now: Callable[[], float] = time.monotonic
    ) -> None:
        self.name = name
        self.standing = "not looked at yet"
        self._bus, self._services, self._now = bus, services, now
        self._stirred = anyio.Event()
        self._gone = set[str]()
        """Services that have ended: asking one would start it again, against the will of who has ended it."""
        self._rules = set[str]()
        self._matched_on = 0
        self._next_ask = -math.inf
        self._failures = 0
        self._complained = set[str]()

    @property
    def is_polled(self) -> bool:
        """Without a bus nothing tells of a change."""
        return not self._bus.is_connected

    async def run(self, tell: Callable[[HostFacts], None]) -> None:
        """Tell all that it knows at once, and again whenever it may have changed, until cancelled."""
        with self._bus.heard_by(self):
            async with task_group() as tasks:
                tasks.start_soon(self._bus.watch)
                told, gone = _UNKNOWN, math.inf
                while True:
                    facts, pause = await self._looked()
                    gone = math.inf if facts is not None else min(gone, self._now())
                    left = gone + GRACE - self._now()
                    if facts is not None or told == _UNKNOWN or left <= 0:
                        told = facts or _UNKNOWN
                        tell(told)
                    else:
                        pause = min(pause, left)
                    with anyio.move_on_after(pause):
                        await self._stirred.wait()

    def ask(self) -> None:
        """Look for the bus, where it is not there, and was not looked for in the last ``ASK_AGAIN`` seconds."""
        if self._now() >= self._next_ask and self.is_polled:
            self._next_ask = self._now() + ASK_AGAIN
            self._stirred.set()

    def hear(self, message: Any) -> None:
        """Take a signal; what is about nothing that this sensor looks at is passed over."""
        if message.member == "NameOwnerChanged" and message.sender == BUS and message.signature == "sss":
            service, _, owner = message.body
            if service in self._services:
                (self._gone.discard if owner else self._gone.add)(service)
                self._failures = 0
                self._stirred.set()
        elif self._is_changed_by(message):
            self._stirred.set()

    def turned(self) -> None:
        """The connection was made, or has gone."""
        self._gone.clear()
        self._stirred.set()

    # What each sensor does

    @abstractmethod
    async def _look(self) -> HostFacts:
        """Ask what is to be known, and set what it stands on.

        :raises DaemonAbsent: there is no such daemon.
        :raises BusCallRefused: a daemon answers with another error.
        :raises BusLost: there is no bus, or no answer.
        """

    @abstractmethod
    def _is_changed_by(self, message: Any) -> bool:
        """Tell whether a signal tells of a change of what this sensor looks at."""

    # What all share

    async def _looked(self) -> tuple[HostFacts | None, float]:
        """Look, and return what is known, and for how many seconds that may be left so, unless something stirs.

        What is known is None where there is no daemon, or no answer of it.
        """
        self._stirred = anyio.Event()
        try:
            await self._bus.connect()
            if self._matched_on != self._bus.connections:
                self._stirred = anyio.Event()  # nothing was heard before there are rules
                await self._match_services()
            facts = await self._look()
        except DaemonAbsent as absent:
            self.standing = str(absent)
            return None, math.inf
        except (BusLost, BusCallRefused) as failure:
            self.standing = str(failure)
            return None, self._pause()
        self._failures = 0
        return facts, math.inf

    def _pause(self) -> float:
        """Return after which time it is tried again: never, where there was no bus from the start."""
        self._failures += 1
        if not self._bus.connections or self._failures > TRIES:
            return math.inf
        return FIRST_PAUSE * 2.0 ** (self._failures - 1)

    async def _match_services(self) -> None:
        self._rules.clear()
        connection = self._bus.connections
        for service in self._services:
            await self._match(
                f"type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{service}'"
            )
        self._matched_on = connection

    async def _match(self, rule: str) -> None:
        """Hear the signals of a rule from now on, on this connection."""
        if rule not in self._rules:
            await self._bus.match(rule)
            self._rules.add(rule)

    async def _unmatch(self, rule: str) -> None:
        """Hear the signals of a rule no more."""
        if rule in self._rules:
            self._rules.discard(rule)
            await self._bus.unmatch(rule)

    async def _properties(self, service: str, place: BusObject) -> tuple[Properties, str]:
        """Return the properties of an object that have the types that they should have, and the daemon that has answered.

        :raises DaemonAbsent: there is no such daemon.
        :raises BusCallRefused: it answers with another error.
        :raises BusLost: there is no bus, or no answer.
        """
        await self._match(f"type='signal',sender='{service}',{place.rule}")
        answer = await self._call(service, PROPERTIES, place.path, "GetAll", "s", [place.interface])
        if answer.signature != "a{sv}":
            self._complain(place.interface, f"GetAll answers {answer.signature!r}, and not 'a{{sv}}'")
            return {}, answer.sender
        found = dict[str, Any]()
        for name in place.types.keys() & answer.body[0].keys():
            value = answer.body[0][name]
            if value.signature == place.types[name]:
                found[name] = value.value
            else:
                wanted = place.types[name]
                self._complain(
                    f"{place.interface}.{name}", f"it is of the type {value.signature!r}, and not {wanted!r}"
                )
        return found, answer.sender

    async def _call(  # noqa: PLR0913, PLR0917  # a call of D-Bus has these
        self, service: str, interface: str, path: str, member: str, signature: str, body: list[Any]
    ) -> Any:
        if service in self._gone:
            raise DaemonAbsent(f"{service} has gone from the system bus")
        try:
            return await self._bus.call(service, interface, path, member, signature, body)
        except BusCallRefused as refused:
            if any(word in refused.name for word in _ABSENT):
                raise DaemonAbsent(f"{service} is not on the system bus") from None
            raise

    def _complain(self, thing: str, words: str) -> None:
        """Say once of something on the bus that it is not what it should be; it is unknown."""
        if thing not in self._complained:
            self._complained.add(thing)
            logger.warning("%s on the system bus is unknown to Tocsin: %s", thing, words)
