"""A service that is told to stop while it is busy."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import anyio
from aiohttp import ClientError, ClientSession
from attrs import define, field

from tests.processes import PATIENCE, Listening, Sender, call, running
from tocsin.api.embedded import embedded
from tocsin.api.manager import PushNotificationManager

STORED = 90
"""Notifications for the device that is away: fewer than the service keeps, so that none gives way to another."""

ENOUGH = 200
"""Acknowledged ids of the device that is there, after which the service is told to stop."""


@define
class Load:
    """Senders that push until the service stops, and the ids that they were told are received."""

    received: set[str] = field(factory=set)
    seen: set[str] = field(factory=set)
    refused: set[int] = field(factory=set)

    async def push(self, sender: Sender, uri: str, count: int | None = None, **headers: str) -> None:
        """Push so many, or until the service stops."""
        while count is None or len(self.received) < count:
            try:
                status, answer = await sender.push(b"x", uri, **headers)
            except (OSError, ClientError):
                return
            if status != 200:
                self.refused.add(status)
                return
            if answer["x-wns-status"] == "received":
                self.received.add(answer["x-wns-msg-id"])

    async def note(self, manager: PushNotificationManager, remote_id: str) -> None:
        """Note what the app gets."""
        channel = (await manager.create_channel(remote_id)).channel
        assert channel is not None
        async for args in channel.payloads():
            self.seen.add(args.id)
            args.handled = True


def serving(folder: Path) -> AbstractAsyncContextManager[Listening]:
    """Run ``tocsin serve`` without a limit on channels, and wait until it listens."""
    return running("serve", "--json", "--log-json", "--state", str(folder / "service"), "--channel-rate", "0")


async def until(condition: Callable[[], bool], between: Callable[[], Awaitable[object]] | None = None) -> None:
    """Wait for what other processes do."""
    with anyio.fail_after(PATIENCE):
        while not condition():
            await (between or anyio.wait_all_tasks_blocked)()


async def uri_of(app: dict[str, Any], state: Path, url: str) -> str:
    """Let a device ask for a channel and leave."""
    async with embedded("contoso", state, service=url) as manager:
        channel = (await manager.create_channel(app["remote_id"])).channel
        assert channel is not None
        return channel.uri


@asynccontextmanager
async def noting(load: Load, app: dict[str, Any], state: Path, url: str) -> AsyncIterator[None]:
    """Have a device there, with an app that notes what it gets."""
    async with embedded("contoso", state, service=url) as manager, anyio.create_task_group() as group:
        group.start_soon(load.note, manager, app["remote_id"])
        yield
        group.cancel_scope.cancel()


async def test_stopping_under_load_loses_nothing(tmp_path: Path) -> None:
    """SIGTERM in the midst: the process ends within ten seconds, and all that was acknowledged gets to its app.

    What a device had, and what was kept for one that is away; a restart goes on where it was.
    """
    there, away = Load(), Load()
    async with serving(tmp_path) as server:
        url = server.first["url"]
        add = partial(call, "app", "add", "contoso", "--state", str(tmp_path / "service"), "--json")
        app: dict[str, Any] = json.loads((await anyio.to_thread.run_sync(add))[1])
        uris = [await uri_of(app, tmp_path / name, url) for name in ("there", "away")]
        async with noting(there, app, tmp_path / "there", url), ClientSession() as http:
            async with anyio.create_task_group() as group:
                sender = Sender(http, server.first | app)
                await sender.sign_in()
                for _ in range(8):
                    group.start_soon(there.push, sender, uris[0])
                group.start_soon(partial(away.push, sender, uris[1], STORED, X_WNS_Cache_Policy="cache"))
                await until(lambda: len(there.received) >= ENOUGH and len(away.received) >= STORED // 2)
                began = anyio.current_time()
                server.process.send_signal(signal.SIGTERM)
                assert await server.wait() == 0
                assert anyio.current_time() - began < 10
            assert there.refused | away.refused <= {503}
            async with serving(tmp_path) as again:
                assert again.first["url"] == url
                async with noting(away, app, tmp_path / "away", url):
                    await until(lambda: away.received <= away.seen)
                before = len(there.received)

                async def one_more() -> None:
                    with anyio.move_on_after(1):
                        status, answer = await sender.push(b"x", uris[0])
                        if (status, answer.get("x-wns-status")) == (200, "received"):
                            there.received.add(answer["x-wns-msg-id"])

                await until(lambda: len(there.received) > before, one_more)
                await until(lambda: there.received <= there.seen)
