"""Channel requests on virtual time: the real platform and an app, with a service that the test plays."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import anyio

from tests.helpers import next_messages, waiting_messages
from tocsin.actors.actor_runner import Kernel
from tocsin.actors.topology import Platform
from tocsin.api.embedded import local_session
from tocsin.api.manager import PushNotificationManager
from tocsin.api.operation import CreateChannelOperation
from tocsin.api.operation import PushNotificationCreateChannelStatus as Progress
from tocsin.persistence.store import InboxSummary, Store, StoredActivator, StoredChannel, StoredRequest
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.platform.retry_schedule import RetryPolicy
from tocsin.protocol.platform.unwanted import NOTHING
from tocsin.protocol.platform.usage import UsageRow

VIRTUAL = 10_000.0
"""Seconds of virtual patience: longer than any wait of the schedule."""


class Channels:
    """As much of a store as channel requests need: SQLite's threads live in real time."""

    def __init__(self) -> None:
        self.values: dict[str, str] = {}
        self.kept: dict[str, StoredChannel] = {}
        self.waiting: dict[tuple[str, str], StoredRequest] = {}

    async def value(self, key: str) -> str | None:
        """Return a setting."""
        return self.values.get(key)

    async def keep_value(self, key: str, value: str) -> None:
        """Keep a setting."""
        self.values[key] = value

    async def channels(self) -> list[StoredChannel]:
        """Return all channels."""
        return list(self.kept.values())

    async def keep_channel(self, channel: StoredChannel) -> None:
        """Add or replace a channel."""
        self.kept[channel.channel] = channel

    async def drop_channels(self, channels: Sequence[str]) -> None:
        """Forget channels."""
        for channel in channels:
            self.kept.pop(channel, None)

    async def requests(self) -> list[StoredRequest]:
        """Return the requests that wait for their next attempt."""
        return list(self.waiting.values())

    async def keep_request(self, request: StoredRequest) -> None:
        """Add or replace a request."""
        self.waiting[request.app, request.remote_id] = request

    async def drop_request(self, app: str, remote_id: str) -> None:
        """Forget a request."""
        self.waiting.pop((app, remote_id), None)

    async def inbox(self) -> InboxSummary:
        """Find nothing."""
        return InboxSummary(0, (), ())

    async def usage(self, _first: int, _last: int, _app: str | None = None) -> list[UsageRow]:
        """Have counted nothing."""
        return []

    async def keep_usage(self, _rows: Sequence[UsageRow], _oldest: int) -> None:
        """Count nothing."""

    async def activators(self) -> list[StoredActivator]:
        """Find none."""
        return []

    async def release(self, *, parked: bool) -> None:
        """Have nothing to release."""

    async def prune_dead_letters(self, _keep: int, _before: float) -> int:
        """Have none."""
        return 0


class Requests:
    """An app that requests channels, and the service that answers it; times are seconds from the start."""

    def __init__(self, platform: Platform, store: Channels, manager: PushNotificationManager) -> None:
        self.store = store
        self.manager = manager
        self._platform = platform
        self._start = anyio.current_time()

    def now(self) -> float:
        """Return the time."""
        return round(anyio.current_time() - self._start, 3)

    async def refuse(self, hresult: int) -> float:
        """Refuse the next attempt, and return when it was made."""
        request, at = await self._attempt()
        await self._send(m.ChannelRefused(request, hresult, "refused", None))
        return at

    async def grant(self) -> float:
        """Grant the next attempt, and return when it was made."""
        request, at = await self._attempt()
        await self._send(m.ChannelGranted(request, "c1", "http://push.test/w/?token=c1", 4e9, 3e9))
        return at

    async def nobody_asks(self, seconds: float) -> None:
        """Wait, and see that the service is not asked meanwhile."""
        with anyio.move_on_after(seconds):
            asked = await next_messages(self._platform.connection, VIRTUAL)
            raise AssertionError(asked)

    async def watch(self, operation: CreateChannelOperation, seen: list[tuple[float, Progress]]) -> None:
        """Note each progress with its time."""
        seen.extend([(self.now(), progress) async for progress in operation])

    async def _attempt(self) -> tuple[int, float]:
        (asked,) = await next_messages(self._platform.connection, VIRTUAL)
        assert isinstance(asked, m.RequestChannel)
        return asked.request, self.now()

    async def _send(self, message: m.Message) -> None:
        await self._platform.deliver([(message, encode(message))])


@asynccontextmanager
async def open_requests() -> AsyncIterator[Requests]:
    """Run a platform without jitter, connected, and one app."""
    store = Channels()
    platform = Platform(cast(Store, store), Kernel(), RetryPolicy(jitter=0))
    try:
        async with anyio.create_task_group() as tasks:
            await platform.start(tasks)
            await platform.report(m.ConnectionUp(1024, 3e9))
            assert waiting_messages(platform.connection) == [m.UnwantedChanged(NOTHING)]
            async with local_session(platform, "contoso.mail") as session:
                yield Requests(platform, store, PushNotificationManager(session, "contoso.mail", None))
            await platform.stop()
            tasks.cancel_scope.cancel()  # the owner of the machine's state goes on for as long as it is let
    finally:
        platform.abandon()
