"""The platform when it stops in the turn in which something comes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from tests.helpers import payload
from tocsin.actors.lifecycle import open_platform
from tocsin.protocol.messages import ChannelGranted, ChannelsRevoked, Message, Welcome
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.transport.service_connection import ServiceConnection


class Late:
    """A wire whose next message comes in the turn in which the platform stops."""

    def __init__(self, before: list[Message], late: Message) -> None:
        self._before = [encode(message) for message in before]
        self._late = encode(late)
        self.stopping = anyio.Event()

    async def send(self, chunk: bytes) -> None:
        """Send nothing."""

    async def receive(self) -> bytes:
        """Return what comes before, then wait for the end."""
        if self._before:
            return self._before.pop(0)
        await self.stopping.wait()
        self.stopping = anyio.Event()
        return self._late


@pytest.mark.parametrize(
    ("before", "late"),
    [
        ([], Welcome(PROTOCOL_VERSION, 1024, 0.0)),
        ([Welcome(PROTOCOL_VERSION, 1024, 0.0)], ChannelGranted(1, "c1", "http://push.test/w/?token=c1", 4e9, 0.0)),
        ([Welcome(PROTOCOL_VERSION, 1024, 0.0)], ChannelsRevoked(0, ("c1",))),
        ([Welcome(PROTOCOL_VERSION, 1024, 0.0)], payload("A")),
    ],
)
async def test_what_comes_in_the_turn_of_the_stop_is_left_to_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: list[Message], late: Message
) -> None:
    """It is not taken, so it comes again; the actors have closed their mailboxes, and that is no error."""
    wire = Late(before, late)
    finish = ServiceConnection.finish

    @asynccontextmanager
    async def dial() -> AsyncIterator[Late]:
        yield wire

    def finish_late(self: ServiceConnection) -> None:
        wire.stopping.set()
        finish(self)

    monkeypatch.setattr(ServiceConnection, "finish", finish_late)
    async with open_platform(tmp_path, dial):
        await anyio.wait_all_tasks_blocked()
