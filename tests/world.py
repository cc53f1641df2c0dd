"""A platform on a real store, with a push service that the test plays and an app that it writes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
from attrs import define

from tests.helpers import PATIENCE, FakeService
from tocsin.actors.actor_runner import Kernel
from tocsin.actors.lifecycle import open_platform
from tocsin.actors.topology import Platform
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.embedded import local_session
from tocsin.api.manager import PushNotificationManager
from tocsin.host.promises import HostParts
from tocsin.persistence.sqlite_store import read_sqlite
from tocsin.protocol.delivery.dead_letter_policy import DeadLetterPolicy
from tocsin.protocol.platform.retry_schedule import RetryPolicy
from tocsin.shell.desktop import Desktop

REMOTE_ID = "f80e541e-3606-48fb-935e-118a3c5f41f4"


@define
class World:
    """What a test sees of one run."""

    service: FakeService
    platform: Platform
    manager: PushNotificationManager

    async def channel(self, name: str = "c1") -> PushNotificationChannel:
        """Request a channel and grant it."""
        operation = self.manager.create_channel(REMOTE_ID)
        await self.service.grant(name)
        result = await operation
        assert result.channel is not None
        return result.channel


@asynccontextmanager
async def world(
    state: Path,
    *,
    connect: bool = True,
    reachable: bool = True,
    retries: RetryPolicy | None = None,
    kernel: Kernel | None = None,
    dead_letters: DeadLetterPolicy | None = None,
    desktop: Desktop | None = None,
    host: HostParts | None = None,
) -> AsyncIterator[World]:
    """Run a platform with one app, ``contoso.mail``, connected to a service that the test plays."""
    service = FakeService()
    service.reachable = reachable
    try:
        async with (
            open_platform(
                state,
                service.dial,
                kernel=kernel,
                retries=retries,
                dead_letters=dead_letters,
                desktop=desktop,
                host=host,
            ) as platform,
            local_session(platform, "contoso.mail") as session,
        ):
            if connect:
                await service.accept()
            yield World(service, platform, PushNotificationManager(session, "contoso.mail", None))
    finally:
        service.close()


class Gathered:
    """Collects things and waits until there are enough of them."""

    def __init__(self) -> None:
        self.items: list[object] = []
        self._changed = anyio.Event()

    def add(self, item: object) -> None:
        """Collect one."""
        self.items.append(item)
        self._changed.set()
        self._changed = anyio.Event()

    async def wait_for(self, count: int) -> None:
        """Wait until there are that many."""
        await self.wait_until(lambda: len(self.items) >= count)

    async def wait_until(self, enough: Callable[[], bool]) -> None:
        """Wait until it is enough."""
        with anyio.fail_after(PATIENCE):
            while not enough():
                await self._changed.wait()


async def open_rows(state: Path) -> list[int]:
    """Return the sequence numbers of the payloads that are open in a stopped platform's inbox."""
    async with read_sqlite(state / "platform.db") as store:
        rows = await store._database.read("SELECT sequence FROM inbox WHERE open ORDER BY sequence")
    return [row[0] for row in rows]


async def dead_rows(state: Path) -> list[tuple[str, str, str]]:
    """Return id, reason and detail of the dead payloads of a stopped platform."""
    async with read_sqlite(state / "platform.db") as store:
        rows = await store._database.read("SELECT id, reason, detail FROM dead_letter ORDER BY sequence")
    return [(row[0], row[1], row[2]) for row in rows]


def handling(seen: Gathered) -> Callable[[PushNotificationReceivedEventArgs], None]:
    """Return a handler that notes id and attempt, and handles."""

    def handler(args: PushNotificationReceivedEventArgs) -> None:
        seen.add((args.id, args.attempt))
        args.handled = True

    return handler
