"""The distributor's presence on the session bus: it owns its name while there is a bus, and hears which apps come and go."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

import anyio

from tocsin.bus_connection import BUS, BUS_PATH, SESSION, BusCallRefused, BusConnection, BusLost
from tocsin.bus_service import ServedObject
from tocsin.protocol.kernel.backoff import backoff
from tocsin.protocol.unifiedpush.names import DISTRIBUTOR
from tocsin.repeat_log import RepeatLog
from tocsin.tasks import task_group

FIRST_PAUSE: Final = 0.1
LONGEST_PAUSE: Final = 60.0
"""Seconds after which a bus that is not there is looked for again: doubled each time."""

OWNED: Final = f"has the name {DISTRIBUTOR}"
QUEUED: Final = f"another program has the name {DISTRIBUTOR}, which this agent gets when that ends"

_IN_QUEUE: Final = 2  # what RequestName answers
_ACTIVATABLE: Final = f"type='signal',sender='{BUS}',interface='{BUS}',member='ActivatableServicesChanged'"

logger = logging.getLogger(__name__)


class BusPresence:
    """Keeps the distributor on the bus.

    :param served: what answers there.
    :param log: says a thing once.
    :param may_have_changed: called with the name of an app that may have come or gone.
    :param address: where the bus is; None: as the environment says, else where systemd has it.
    """

    def __init__(
        self,
        served: ServedObject,
        log: RepeatLog,
        may_have_changed: Callable[[str], None],
        address: str | None = None,
    ) -> None:
        self._log, self._tell = log, may_have_changed
        self.bus = BusConnection(SESSION, self._hear, self._turn, address, answer=served.take)
        self._turned = anyio.Event()
        self._watched = set[str]()
        self._matched = set[str]()
        """Of these, those whose signals this connection hears."""
        self.standing = "has not been on the bus yet"
        """How it stands, in words."""

    async def run(self) -> None:
        """Be on the bus, under the name, until cancelled, and come back where the bus does."""
        async with task_group() as tasks:
            tasks.start_soon(self.bus.run)
            failures = 0
            while True:
                self._turned = anyio.Event()
                try:
                    await self._enter()
                except (BusLost, BusCallRefused) as failure:
                    failures += 1
                    self._stand(str(failure))
                    with anyio.move_on_after(backoff(FIRST_PAUSE, LONGEST_PAUSE, failures)):
                        await self._turned.wait()
                else:
                    failures = 0
                    await self._turned.wait()

    async def watch(self, service: str) -> None:
        """Hear when an app comes and goes, from now on, or from when there is a bus."""
        self._watched.add(service)
        if self.bus.is_connected:
            with suppress(BusLost, BusCallRefused):  # the next connection hears of all
                await self._match(service)

    async def unwatch(self, service: str) -> None:
        """Hear of an app no more."""
        self._watched.discard(service)
        if service in self._matched:
            self._matched.discard(service)
            with suppress(BusLost, BusCallRefused):
                await self.bus.unmatch(_rule(service))

    async def _enter(self) -> None:
        """Hear of apps, and own the name.

        :raises BusLost: there is no bus.
        :raises BusCallRefused: it does not let this connection do so.
        """
        await self.bus.connect()
        self._matched.clear()
        await self.bus.match(_ACTIVATABLE)
        for service in sorted(self._watched):
            await self._match(service)
        answer = await self.bus.call(BUS, BUS, BUS_PATH, "RequestName", "su", [DISTRIBUTOR, 0])
        self._stand(QUEUED if answer.body[0] == _IN_QUEUE else OWNED)
        self._tell_all(self._watched)

    async def _match(self, service: str) -> None:
        if service not in self._matched:
            self._matched.add(service)
            await self.bus.match(_rule(service))

    def _stand(self, words: str) -> None:
        self.standing = words
        if words != OWNED:
            self._log.log(logger, logging.WARNING, words, "UnifiedPush: %s", words)

    def _turn(self) -> None:
        self._stand("the session bus has gone")
        self._turned.set()

    def _hear(self, signal: Any) -> None:
        if signal.sender != BUS:
            return
        if signal.member == "ActivatableServicesChanged":
            self._tell_all(self._watched)
        elif signal.member == "NameOwnerChanged" and signal.signature == "sss":
            self._tell_all(self._watched.intersection(signal.body[:1]))
        elif signal.member == "NameAcquired" and signal.body == [DISTRIBUTOR]:
            self._stand(OWNED)

    def _tell_all(self, services: Iterable[str]) -> None:
        for service in services:
            self._tell(service)


def _rule(service: str) -> str:
    """Return the signals that tell of an app that comes or goes."""
    return f"type='signal',sender='{BUS}',interface='{BUS}',member='NameOwnerChanged',arg0='{service}'"
