"""A notification is delivered, or refused, without a header or a status in sight."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import anyio
import pytest

from tests.service.world import World, dial, open_world
from tocsin.protocol.errors import StateUnavailable
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.service.refusal import Refusal, RefusalKind
from tocsin.protocol.toast_label import ToastMatch
from tocsin.protocol.values import MAX_PAYLOAD, NotificationType
from tocsin.service import assembly
from tocsin.service.devices.outbox import PushResult
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.registry.channel_directory import ChannelDirectory
from tocsin.service.senders.dispatch import Dispatcher

TOAST = Notification(NotificationType.TOAST, cache=True, tag=None, group=None, ttl=60, priority=1)
RAW = Notification(NotificationType.RAW, cache=False, tag=None, group=None, ttl=None, priority=3)


@pytest.fixture
def dispatchers(monkeypatch: pytest.MonkeyPatch) -> list[Dispatcher]:
    """Those that services make from now on."""
    made: list[Dispatcher] = []

    class Noted(Dispatcher):
        def __init__(self, *parts: object) -> None:
            super().__init__(*parts)  # type: ignore[arg-type]  # whatever the service gives it
            made.append(self)

    monkeypatch.setattr(assembly, "Dispatcher", Noted)
    return made


def channel_token(world: World) -> str:
    """Take the token out of the channel's URI."""
    return parse_qs(urlsplit(world.uri).query)["token"][0]


async def test_a_notification_is_delivered_to_a_device(tmp_path: Path, dispatchers: list[Dispatcher]) -> None:
    """The result is there when the device has acknowledged."""
    async with open_world(tmp_path) as world, dial(world.service) as device, anyio.create_task_group() as tasks:
        await device.greet()
        (dispatcher,) = dispatchers
        client_id = dispatcher.identify(world.token)
        assert isinstance(client_id, str)
        assert client_id == world.app.client_id
        channel = await dispatcher.admit(client_id, channel_token(world))
        assert not isinstance(channel, Refusal)
        assert dispatcher.admit_known(client_id, channel_token(world)) == channel
        bodies: list[bytes] = []

        async def acknowledge() -> None:
            bodies.append((await device.acknowledge()).body)

        tasks.start_soon(acknowledge)
        assert await dispatcher.deliver("1", channel, RAW, b"body") is PushResult.ACKNOWLEDGED
    assert bodies == [b"body"]


async def test_a_notification_is_stored_dropped_or_refused(tmp_path: Path, dispatchers: list[Dispatcher]) -> None:
    """A device that is away gets later what may wait; what is too large is refused for every way in."""
    async with open_world(tmp_path) as world:
        (dispatcher,) = dispatchers
        channel = await dispatcher.admit(world.app.client_id, channel_token(world))
        assert not isinstance(channel, Refusal)
        assert await dispatcher.deliver("1", channel, TOAST, b"body") is PushResult.STORED
        assert await dispatcher.deliver("2", channel, RAW, b"body") is PushResult.OFFLINE
        too_large = await dispatcher.deliver("3", channel, TOAST, b"x" * (MAX_PAYLOAD + 1))
        assert too_large == Refusal(RefusalKind.TOO_LARGE)
        assert world.service.offline.kept == 1
        assert await dispatcher.withdraw(channel, ToastMatch(group=None, tag=None)) is None
        assert world.service.offline.kept == 0


async def test_what_stands_against_a_notification_is_of_a_kind(
    tmp_path: Path, dispatchers: list[Dispatcher], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong token, no channel, another app, a limit that is reached and a store that cannot be read."""
    async with open_world(tmp_path, ServiceSettings(channel_rate=0.1, channel_burst=1)) as world:
        (dispatcher,) = dispatchers
        client_id, token = world.app.client_id, channel_token(world)
        assert dispatcher.identify("forged") == Refusal(RefusalKind.TOKEN_FORGED)
        assert dispatcher.admit_known(client_id, None) == Refusal(RefusalKind.UNKNOWN_CHANNEL)
        assert await dispatcher.admit("another", token) == Refusal(RefusalKind.NOT_AUTHORIZED)
        assert not isinstance(await dispatcher.admit(client_id, token), Refusal)
        assert await dispatcher.admit(client_id, token) == Refusal(RefusalKind.CHANNEL_THROTTLED, 10)

        async def fail(*_: object) -> None:
            raise StateUnavailable("the disk is gone")

        monkeypatch.setattr(ChannelDirectory, "find_all", fail)
        assert await dispatcher.admit(client_id, token) == Refusal(RefusalKind.STORE_UNREADABLE)
