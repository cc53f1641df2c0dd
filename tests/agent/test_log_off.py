"""The session of the user ends: an agent cancels what is being done, and begins no more."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from tests.agent.world import PATIENCE, world
from tocsin import Activators, PushNotificationActivationInfo
from tocsin import PushNotificationReceivedEventArgs as Args
from tocsin.protocol.platform.activation import CancellationReason

BACKGROUND = PushNotificationActivationInfo(Activators.PROTOCOL_ACTIVATOR)


@pytest.fixture
def anyio_backend() -> str:
    """Sockets and SQLite: on asyncio."""
    return "asyncio"


async def test_all_work_is_told_and_none_begins(tmp_path: Path) -> None:
    """In the background as with foreground handlers; what waits stays where it is."""
    begun, told = list[bytes](), list[CancellationReason]()
    at_work, canceled = anyio.Event(), anyio.Event()

    def cancel(reason: CancellationReason) -> None:
        told.append(reason)
        if len(told) == 2:
            canceled.set()

    async def work(args: Args) -> None:
        begun.append(args.payload)
        args.canceled(cancel)
        if len(begun) == 2:
            at_work.set()
        await canceled.wait()

    async with world(tmp_path) as w, w.connect("mail") as manager, w.connect("chat") as other:
        channel, in_background = await w.channel(manager), await w.channel(other)
        await other.register_activator(BACKGROUND, work)
        with channel.push_received(work):
            await w.push(manager, channel, b"1")
            await w.push(other, in_background, b"3", b"4")
            with anyio.fail_after(PATIENCE):
                await at_work.wait()
                await w.agent.log_off()
                await canceled.wait()
            assert sorted(begun) == [b"1", b"3"]
            assert told == [CancellationReason.LOGGING_OFF] * 2
