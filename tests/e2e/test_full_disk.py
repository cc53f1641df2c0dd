"""The disk is full: senders are told to come back, nothing acknowledged is lost, and with space the work goes on."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import Factory, asdict, define

from tests.processes import Sender, sender
from tests.world import Gathered
from tocsin.api.args import PushNotificationReceivedEventArgs
from tocsin.api.channel import PushNotificationChannel
from tocsin.api.embedded import embedded
from tocsin.persistence.state_folder import state_folder
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import open_service

APP = "contoso.mail"
MIB = 1024 * 1024
SIZE = 9 * MIB
"""Bytes of the disk: enough for the write-ahead log at its fold (4 MiB) and for what it is folded into."""

BALLAST = 5 * MIB
"""Bytes that are taken at first, and given back: without them the disk is full before the log is folded."""

CONNECTIONS = 4
PAYLOADS = 2_000
"""More than the disk holds."""

REFUSALS = 2
"""After how many refusals a connection takes the disk for full."""

BODY = 3_000
SETTINGS = ServiceSettings(acknowledge_timeout=0.3)


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """Mount a small disk with ballast on it."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = _system("mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(folder))
    if mounted:
        pytest.skip(f"a small disk is made by mounting one, which is refused here: {mounted}")
    try:
        (folder / "ballast").write_bytes(bytes(BALLAST))
        yield folder
    finally:
        assert not _system("umount", "--lazy", str(folder))


def _system(*command: str) -> str:
    """Run a command of the system and return what it complains about."""
    if sys.platform != "linux":
        return f"this is {sys.platform}"
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # ours
    return done.stderr if done.returncode else ""


@define
class Pushed:
    """What the senders were told: the ids of what was received, and the answers of all else."""

    numbers: Iterator[int] = Factory(lambda: iter(range(10 * PAYLOADS)))
    received: set[str] = Factory(set)
    refused: list[tuple[int, dict[str, str]]] = Factory(list)

    async def push(self, server: Sender) -> bool:
        """Push the next payload, and tell whether it was received."""
        status, headers = await server.push(f"{next(self.numbers):08}".encode() + bytes(BODY))
        if status == 200 and headers["x-wns-status"] == "received":
            self.received.add(headers["x-wns-msg-id"])
            return True
        self.refused.append((status, headers))
        return False

    async def push_until_full(self, server: Sender) -> None:
        """Push on one connection until there are refusals."""
        refusals = 0
        while refusals < REFUSALS and len(self.received) < PAYLOADS:
            refusals += not await self.push(server)


@asynccontextmanager
async def _world(state: Path, service_state: Path) -> AsyncIterator[tuple[PushNotificationChannel, dict[str, Any]]]:
    """Run a service and, in the same loop, an app with a channel, each on its own state."""
    with state_folder(service_state) as folder:
        async with open_service(folder, SETTINGS) as service:
            app = await service.register(APP)
            async with embedded(APP, state, service=service.url) as manager:
                result = await manager.create_channel(app.remote_id)
                assert result.channel is not None
                yield result.channel, asdict(app) | {"uri": result.channel.uri, "token_url": service.token_url}


def _ids(state: Path, condition: str) -> set[str]:
    """Return the ids of those payloads in the inbox, as any other program would read them."""
    with closing(sqlite3.connect(f"{(state / 'platform.db').as_uri()}?mode=ro", uri=True)) as database:
        return {row[0] for row in database.execute(f"SELECT id FROM inbox WHERE {condition}")}  # noqa: S608  # ours


@pytest.mark.parametrize("service_on", ["the same disk", "another disk"])
async def test_a_full_disk_refuses_loses_nothing_and_recovers(disk: Path, tmp_path: Path, service_on: str) -> None:
    """Once full, pushes get 503 with a time; with space again, all that was acknowledged before and after is handed out."""
    state = disk / "state"
    seen, space = Gathered(), anyio.Event()
    pushed = Pushed()

    async def handler(args: PushNotificationReceivedEventArgs) -> None:
        await space.wait()
        seen.add(args.id)
        args.handled = True

    service_state = (disk if service_on == "the same disk" else tmp_path) / "service"
    async with _world(state, service_state) as (channel, registration), sender(registration) as server:
        with channel.push_received(handler):
            async with anyio.create_task_group() as tasks:
                for _ in range(CONNECTIONS):
                    tasks.start_soon(pushed.push_until_full, server)
            assert 100 < len(pushed.received) < PAYLOADS
            for status, headers in pushed.refused:
                assert (status, headers["retry-after"]) == (503, "1"), headers
                assert headers["x-wns-error-description"]
            assert pushed.received <= _ids(state, "open")
            await server.sign_in()

            (disk / "ballast").unlink()
            space.set()
            before = len(pushed.received)
            while len(pushed.received) < before + 20:
                await pushed.push(server)
            await seen.wait_until(lambda: pushed.received <= set(seen.items))
    assert not _ids(state, "open")
