"""What a registration lives in, played by a test: the platform's port, the apps on the bus, and the store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from itertools import count

import anyio
from attrs import Factory, define

from tests.api.shell_port import ShellPort
from tocsin.agent.unifiedpush.connectors import Connectors
from tocsin.agent.unifiedpush.registered_app import RegisteredApp, Surroundings
from tocsin.api.session import Session
from tocsin.api.session_lifetime import open_session
from tocsin.protocol import messages as m
from tocsin.protocol.hresult import HResult
from tocsin.protocol.unifiedpush.connector_registration import ConnectorRegistration
from tocsin.protocol.unifiedpush.delivery import Delivery
from tocsin.protocol.unifiedpush.distributor_call import RegisterCall
from tocsin.protocol.values import PushNotificationChannelStatus

PATIENCE = 1_000.0
"""Virtual seconds after which a test gives up."""

ASKED = RegisterCall(2, "org.example.Chat", "t", "a test", None)


class PlayedConnectors(Connectors):
    """Notes what apps are told, and takes pushes as the test says."""

    def __init__(self) -> None:
        self.endpoints: list[str] = []
        self.unregistered: list[bool] = []
        """Whether each was a confirmation."""
        self.carried: list[tuple[bytes, str]] = []
        self.result = Delivery.ACKNOWLEDGED

    async def deliver(self, registration: ConnectorRegistration, message: bytes, message_id: str) -> Delivery:  # noqa: ARG002  # the only one
        """Take a push."""
        self.carried.append((message, message_id))
        return self.result

    async def tell_endpoint(self, registration: ConnectorRegistration) -> None:
        """Note it."""
        self.endpoints.append(registration.endpoint)

    async def tell_unregistered(self, registration: ConnectorRegistration, *, confirms: bool) -> None:  # noqa: ARG002  # as above
        """Note it."""
        self.unregistered.append(confirms)


class MemoryRegistrations:
    """Keeps registrations for as long as it lives; ``kept`` has every row that was written."""

    def __init__(self, *rows: ConnectorRegistration) -> None:
        self.rows = {row.token: row for row in rows}
        self.kept: list[ConnectorRegistration] = []

    async def registrations(self) -> Sequence[ConnectorRegistration]:
        """Return all of them."""
        return list(self.rows.values())

    async def keep(self, registration: ConnectorRegistration) -> None:
        """Keep one."""
        self.rows[registration.token] = registration
        self.kept.append(registration)

    async def forget(self, registration: ConnectorRegistration) -> None:
        """Keep one no more."""
        self.rows.pop(registration.token, None)


@define
class World:
    """One registration, and what it stands before."""

    store: MemoryRegistrations = Factory(MemoryRegistrations)
    connectors: PlayedConnectors = Factory(PlayedConnectors)
    port: ShellPort = Factory(lambda: ShellPort(lambda _: None))
    connected: bool = True
    wall: float = 1e9
    """Seconds since the epoch at the test's time 0."""
    _numbers: count[int] = Factory(lambda: count(1))

    def asked(self, kind: type[m.Message]) -> list[m.Message]:
        """Return what the platform was asked of a kind, so far."""
        return [each for each in self.port.asked if isinstance(each, kind)]

    async def until_asked(self, kind: type[m.Message], number: int = 1) -> m.Message:
        """Wait until so much was asked of a kind, and return the last."""
        with anyio.fail_after(PATIENCE):
            while len(found := self.asked(kind)) < number:  # noqa: ASYNC110  # on virtual time
                await anyio.sleep(0.5)
        return found[-1]

    async def grant(self, name: str = "c1", number: int = 1) -> None:
        """Wait for so many requests for a channel, and grant the last."""
        request = await self.until_asked(m.CreateChannel, number)
        assert isinstance(request, m.CreateChannel)
        uri, status = f"http://push.test/p/{name}", PushNotificationChannelStatus.COMPLETED_SUCCESS
        self.port.tell.send_urgent(m.CreateChannelDone(request.request, status, 0, "", name, uri, 4e9))

    async def refuse(self, number: int = 1) -> None:
        """Wait for so many requests for a channel, and refuse the last."""
        request = await self.until_asked(m.CreateChannel, number)
        assert isinstance(request, m.CreateChannel)
        status, fault = PushNotificationChannelStatus.COMPLETED_FAILURE, int(HResult.E_UNEXPECTED)
        self.port.tell.send_urgent(m.CreateChannelDone(request.request, status, fault, "not now", "", "", 0))

    async def let_close(self, number: int = 1) -> None:
        """Wait for so many closings, and answer that it is done."""
        request = await self.until_asked(m.CloseChannel, number)
        assert isinstance(request, m.CloseChannel)
        self.port.tell.send_urgent(m.Done(request.request))

    def around(self) -> Surroundings:
        """Return what registrations live in."""
        start = anyio.current_time()
        return Surroundings(
            self.connectors,
            self.store,
            self._session,
            lambda: self.connected,
            lambda: self.wall + anyio.current_time() - start,
            self.wall,
        )

    @asynccontextmanager
    async def _session(self, _app: str) -> AsyncIterator[Session]:
        async with open_session(self.port) as session:
            yield session


@asynccontextmanager
async def living(world: World, registration: ConnectorRegistration | None = None) -> AsyncIterator[RegisteredApp]:
    """Let a registration live until the block is left: that one, or a new one that its app has asked for."""
    around = world.around()
    new = ConnectorRegistration(ASKED.token, ASKED.service, ASKED.version, ASKED.description, ASKED.key, around.now())
    app = RegisteredApp(registration or new, around)
    if registration is None:
        app.register(ASKED)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(app.run)
        yield app
        tasks.cancel_scope.cancel()
