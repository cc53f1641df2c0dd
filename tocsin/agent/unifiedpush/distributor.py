"""The distributor on the session bus: owns its name, answers ``Register`` and ``Unregister``, and has each registration live."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from anyio.abc import TaskGroup

from tocsin.actors.topology import Platform
from tocsin.agent.unifiedpush.bus_presence import BusPresence
from tocsin.agent.unifiedpush.connectors import Connectors
from tocsin.agent.unifiedpush.registered_app import RegisteredApp, Surroundings
from tocsin.agent.unifiedpush.registration_store import RegistrationStore, open_registrations
from tocsin.api.embedded import local_session
from tocsin.bus_connection import BusCallRefused, BusLost
from tocsin.bus_service import INVALID_ARGUMENTS, BusMethod, ServedObject
from tocsin.protocol.errors import NotFound, ProtocolViolation
from tocsin.protocol.text import harmless, quoted
from tocsin.protocol.unifiedpush.connector_registration import (
    ENDING,
    ENDPOINT_PATIENCE,
    MAX_REGISTRATIONS,
    WITH_ENDPOINT,
    AppPresence,
    ConnectorRegistration,
)
from tocsin.protocol.unifiedpush.distributor_call import (
    Reason,
    RegisterCall,
    RegistrationRefusal,
    answer_to_register,
    check_service,
    read_register,
    read_unregister,
)
from tocsin.protocol.unifiedpush.names import (
    DISTRIBUTOR_PATH,
    VERSIONS,
    digest_of,
    distributor_interface,
)
from tocsin.protocol.unifiedpush.no_endpoint import refusal_without_endpoint
from tocsin.repeat_log import RepeatLog
from tocsin.tasks import Signal, task_group

logger = logging.getLogger(__name__)


class Distributor:
    """Serves the connectors of one session bus.

    :param log: says a thing once.
    :param address: where the bus is; None: as the environment says, else where systemd has it.
    """

    def __init__(
        self, platform: Platform, store: RegistrationStore, log: RepeatLog, address: str | None = None
    ) -> None:
        self._platform, self._store, self._log = platform, store, log
        served = {distributor_interface(version): self._methods(version) for version in VERSIONS}
        self._served = ServedObject(DISTRIBUTOR_PATH, served)
        self._presence = BusPresence(self._served, log, self._doubt, address)
        self._connectors = Connectors(self._presence.bus)
        self._lives: dict[str, RegisteredApp] = {}
        """By the digests of their tokens."""
        self._doubtful = dict[str, None]()
        """Apps of which it is to be found out whether they are there, in their order."""
        self._stirred = Signal()

    async def run(self) -> None:
        """Serve until cancelled; registrations live from what was stored."""
        kernel = self._platform.kernel
        self._around = Surroundings(
            self._connectors,
            self._store,
            partial(local_session, self._platform),
            lambda: self._platform.status().connection.connected,
            kernel.clock.wall,
            kernel.clock.wall(),
        )
        async with task_group() as tasks:
            self._tasks: TaskGroup = tasks
            for registration in await self._store.registrations():
                self._begin(registration)
                await self._presence.watch(registration.service)
            tasks.start_soon(self._served.run)
            tasks.start_soon(self._find_out)
            await self._presence.run()

    def report(self) -> dict[str, Any]:
        """Return how it stands, and each registration: its app, since when, and what it waits for; no token and no endpoint."""
        lives = sorted(self._lives.values(), key=lambda life: life.registration.since)
        return {"bus": self._presence.standing, "registrations": [_reported(life) for life in lives]}

    async def remove(self, app: str) -> None:
        """Remove a registration, by the name of the app that it is to the platform: the user wants it no more.

        :raises NotFound: there is none.
        """
        for life in self._lives.values():
            if life.registration.app == app:
                life.remove()
                await life.settled()
                return
        raise NotFound(
            f"this agent knows no app {quoted(app)}; 'tocsin status' lists what is registered by UnifiedPush"
        )

    # What connectors ask

    def _methods(self, version: int) -> dict[str, BusMethod]:
        takes, gives = ("sss", "ss") if version == 1 else ("a{sv}", "a{sv}")
        token, nothing = ("s", "") if version == 1 else ("a{sv}", "a{sv}")
        return {
            "Register": BusMethod(takes, gives, partial(self._register, version)),
            "Unregister": BusMethod(token, nothing, partial(self._unregister, version)),
        }

    async def _register(self, version: int, body: list[Any]) -> list[Any]:
        try:
            asked = read_register(version, body)
            if isinstance(asked, RegisterCall):
                await self._check(asked.service)
        except ProtocolViolation as wrong:
            raise BusCallRefused(INVALID_ARGUMENTS, str(wrong)) from None
        refusal = asked if isinstance(asked, RegistrationRefusal) else await self._registered(asked)
        if refusal is not None:
            who = "an app" if isinstance(asked, RegistrationRefusal) else asked.service
            self._log.log(
                logger,
                logging.WARNING,
                (who, refusal.reason),
                "UnifiedPush: %s has no endpoint: %s",
                who,
                refusal.words,
            )
        return answer_to_register(version, refusal)

    async def _check(self, service: str) -> None:
        with suppress(BusLost, BusCallRefused):  # it is not known, and so not held against the app
            presence = await self._connectors.presence(service)
            check_service(service, there=presence is not AppPresence.ABSENT)

    async def _unregister(self, version: int, body: list[Any]) -> list[Any]:
        try:
            token = read_unregister(version, body)
        except ProtocolViolation as wrong:
            raise BusCallRefused(INVALID_ARGUMENTS, str(wrong)) from None
        life = self._lives.get(digest_of(token))
        if life is not None:  # one that is unknown is unregistered already
            life.unregister()
            with anyio.move_on_after(ENDPOINT_PATIENCE):
                await life.settled()
        return [] if version == 1 else [{}]

    async def _registered(self, asked: RegisterCall) -> RegistrationRefusal | None:
        """Have an app registered, and return None; else why it is not."""
        life = self._lives.get(digest_of(asked.token))
        if life is not None and life.registration.service != asked.service:
            return RegistrationRefusal(Reason.UNAUTHORIZED, "its token is that of another app")
        with anyio.move_on_after(ENDPOINT_PATIENCE) as patience:
            while life is not None and _makes_way(life, asked):
                life.make_way()
                await self._end_of(life)
                life = self._lives.get(digest_of(asked.token))
            if life is None:
                for other in self._lives_of(asked.service):
                    other.try_with_other_token()
                if len(self._lives) >= MAX_REGISTRATIONS:
                    return RegistrationRefusal(
                        Reason.ACTION_REQUIRED, f"{MAX_REGISTRATIONS} registrations are kept, and no more"
                    )
                life = self._begin(_new(asked, self._around.now()))
            life.register(asked)
            await self._presence.watch(asked.service)
            await life.settled()
        if life is not None and not patience.cancelled_caught and life.registration.phase in WITH_ENDPOINT:
            return None
        return self._given_up(life)

    def _given_up(self, life: RegisteredApp | None) -> RegistrationRefusal:
        connection = self._platform.status().connection
        refusal = refusal_without_endpoint(
            connected=connection.connected,
            cause=connection.cause,
            text=connection.text,
            fault="" if life is None else life.fault,
        )
        if life is not None:
            life.give_up(refusal.reason)
            self._doubt(life.registration.service)  # it may have gone while it waited
        return refusal

    # Registrations

    def _doubt(self, service: str) -> None:
        self._doubtful[service] = None
        self._stirred.set()

    async def _find_out(self) -> None:
        """Find out of each app that may have come or gone whether it is there."""
        while True:
            await self._stirred.wait()
            while self._doubtful:
                service = next(iter(self._doubtful))
                del self._doubtful[service]
                with suppress(BusLost, BusCallRefused):  # it is not known, so nothing changes
                    presence = await self._connectors.presence(service)
                    for life in self._lives_of(service):
                        life.note_presence(presence)

    def _begin(self, registration: ConnectorRegistration) -> RegisteredApp:
        life = RegisteredApp(registration, self._around)
        self._lives[digest_of(registration.token)] = life
        self._tasks.start_soon(self._live, life)
        return life

    async def _live(self, life: RegisteredApp) -> None:
        """Let a registration live to its end; a fault in one ends it until the next start, and no other."""
        service = life.registration.service
        try:
            await life.run()
            await self._platform.usage.forget(life.registration.app)
        except Exception:
            logger.exception("the registration of %s has failed", harmless(service))
        finally:
            self._let_go(life)
        if not self._lives_of(service):
            await self._presence.unwatch(service)

    async def _end_of(self, life: RegisteredApp) -> None:
        """Wait for the end of a registration, so that its token is free for another."""
        await life.ended()
        self._let_go(life)

    def _let_go(self, life: RegisteredApp) -> None:
        digest = digest_of(life.registration.token)
        if self._lives.get(digest) is life:
            del self._lives[digest]

    def _lives_of(self, service: str) -> list[RegisteredApp]:
        return [life for life in self._lives.values() if life.registration.service == service]


def _new(asked: RegisterCall, now: float) -> ConnectorRegistration:
    return ConnectorRegistration(asked.token, asked.service, asked.version, asked.description, asked.key, now)


def _makes_way(life: RegisteredApp, asked: RegisterCall) -> bool:
    """Tell whether a registration has to end before its app can have what it asks for; version 1 knows no keys."""
    return life.registration.phase in ENDING or (asked.version > 1 and life.registration.key != asked.key)


def _reported(life: RegisteredApp) -> dict[str, Any]:
    r = life.registration
    since = datetime.fromtimestamp(r.since, UTC).isoformat(timespec="seconds")
    about = {"id": r.app, "app": r.service, "description": r.description, "since": since, "waiting": life.standing}
    return about | {"unreadable": life.courier.unreadable, "missed": life.courier.missed}


@asynccontextmanager
async def open_distributor(platform: Platform, folder: Path, log: RepeatLog) -> AsyncIterator[Distributor]:
    """Serve connectors on the session bus while the block runs.

    :raises StateUnavailable: what is kept of registrations cannot be used.
    """
    async with open_registrations(folder) as store, task_group() as tasks:
        distributor = Distributor(platform, store, log)
        tasks.start_soon(distributor.run)
        yield distributor
        tasks.cancel_scope.cancel()
