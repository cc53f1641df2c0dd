"""The apps that the conformance tests play: packaged and unpackaged, on a platform whose service the test plays."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import UUID

import anyio
import pytest
from attrs import frozen

from tests.helpers import FakeService
from tests.world import World
from tocsin.actors.lifecycle import open_platform
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.embedded import local_session
from tocsin.api.identity import Identity
from tocsin.api.manager import PushNotificationManager
from tocsin.protocol.messages import ChannelsRevoked, RevokeChannels
from tocsin.protocol.platform.activation import Activators, PushNotificationActivationInfo

APP = "contoso.mail"
NULL = UUID(int=0)
CLSID = UUID("ccd2ae3f-764f-4ae3-be45-9804761b28b2")
OTHER_CLSID = UUID(int=1)
TOAST = b"<toast></toast>"


@frozen
class Kind:
    """A kind of app: who it is, and how it is woken in the background."""

    name: str
    identity: Identity
    activators: Activators
    clsid: UUID

    def info(self, clsid: UUID | None = None) -> PushNotificationActivationInfo:
        """Build what an app of this kind registers."""
        return PushNotificationActivationInfo(self.activators, self.clsid if clsid is None else clsid)

    def __str__(self) -> str:
        return self.name


PACKAGED = Kind(
    "packaged",
    Identity(packaged=True, family_name="Contoso.Mail_8wekyb3d8bbwe"),
    Activators.PUSH_TRIGGER | Activators.COM_ACTIVATOR,
    CLSID,
)
UNPACKAGED = Kind("unpackaged", Identity(), Activators.PROTOCOL_ACTIVATOR, NULL)

both_kinds = pytest.mark.parametrize("kind", [PACKAGED, UNPACKAGED], ids=str)


@asynccontextmanager
async def running(state: Path, kind: Kind) -> AsyncIterator[World]:
    """Run a platform with one app of that kind, connected to a service that the test plays."""
    service = FakeService()
    try:
        async with (
            open_platform(state, service.dial) as platform,
            local_session(platform, APP) as session,
        ):
            await service.accept()
            yield World(service, platform, PushNotificationManager(session, APP, None, kind.identity))
    finally:
        service.close()


@asynccontextmanager
async def another_process(w: World, kind: Kind) -> AsyncIterator[PushNotificationManager]:
    """Run a second session of the same app on the same platform."""
    async with local_session(w.platform, APP) as session:
        yield PushNotificationManager(session, APP, None, kind.identity)


async def close(w: World, channel: PushNotificationChannel, name: str = "c1") -> None:
    """Close a channel, with the service's consent."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(channel.close)
        request = await w.service.expect(RevokeChannels)
        await w.service.send(ChannelsRevoked(request.request, (name,)))
