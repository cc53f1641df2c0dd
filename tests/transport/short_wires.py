"""Wires and services of a moment, and the life of a connection that is forbidden: what tests in virtual time share."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

import anyio
import pytest

from tocsin.mailbox import Mailbox
from tocsin.protocol import messages as m
from tocsin.protocol.messages.codec import encode
from tocsin.protocol.network.causes import ConnectionCause
from tocsin.protocol.values import PROTOCOL_VERSION
from tocsin.transport.frame_traffic import ArrivalHandlers
from tocsin.transport.service_connection import ServiceConnection
from tocsin.transport.wire import Wire, WireBroken

HOUR = 3600.0
ENDLESS = 1e9


class ShortWire:
    """Welcomes at once, and is cut when it is told to be."""

    def __init__(self) -> None:
        self.welcomed = False
        self.over = anyio.Event()
        self.end = WireBroken("")

    def cut(self, cause: ConnectionCause, retry_after: float | None = None) -> None:
        """End."""
        self.end = WireBroken(f"words for {cause}", cause, retry_after)
        self.over.set()

    async def receive(self) -> bytes:
        """Return the welcome, then nothing until the end."""
        if self.welcomed:
            await self.over.wait()
            raise self.end
        self.welcomed = True
        return encode(m.Welcome(PROTOCOL_VERSION, 100, 5e8))

    async def send(self, chunk: bytes) -> None:
        """Take anything."""
        assert chunk


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return what is in the log, for an operator."""
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.INFO]


class SlowWire(ShortWire):
    """Welcomes after three seconds."""

    async def receive(self) -> bytes:
        """Return the welcome, then nothing until the end."""
        if not self.welcomed:
            await anyio.sleep(3)
        return await super().receive()


class SlowService:
    """Lets a device wait for two seconds, then for its welcome; its first attempt is refused."""

    def __init__(self) -> None:
        self.attempts: list[float] = []
        self.hellos: list[float] = []
        self.open = 0

    @asynccontextmanager
    async def dial(self) -> AsyncIterator[Wire]:
        """Connect, as a device does."""
        self.attempts.append(anyio.current_time())
        await anyio.sleep(2)
        if len(self.attempts) == 1:
            raise WireBroken("words", ConnectionCause.REFUSED)
        self.open += 1
        try:
            yield SlowWire()
        finally:
            self.open -= 1


MOMENTS = [
    (-1.0, "before it runs"),
    (1.0, "connecting"),
    (2.1, "waiting"),
    (3.0, "again"),
    (5.0, "greeting"),
    (9.0, "up"),
]


async def forbidden_life(moment: float, _: str) -> object:
    """Forbid a connection at a moment of its life, for half an hour; return what was seen of it."""
    reports: list[tuple[float, m.Message]] = []
    start = anyio.current_time()

    async def report(message: m.Message) -> None:
        reports.append((round(anyio.current_time() - start, 1), message))

    async def deliver(messages: list[tuple[m.Message, bytes]]) -> None:
        assert not messages

    service, outbox = SlowService(), Mailbox("outbox")
    connection = ServiceConnection(service.dial, "key", outbox, ArrivalHandlers(deliver, report), partial(float, 0))
    seen = []
    if moment < 0:
        connection.allow(False)  # noqa: FBT003
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(connection.run)
        await anyio.sleep(max(0.0, moment))
        outbox.send_urgent(m.Acknowledge(("A",)))
        connection.allow(False)  # noqa: FBT003
        connection.allow(False)  # noqa: FBT003  # once more changes nothing
        await anyio.sleep(HOUR / 2)
        seen += [connection.phase, service.open, [round(each - start, 1) for each in service.attempts]]
        connection.allow(True)  # noqa: FBT003
        await anyio.sleep(HOUR / 2)
        seen += [connection.phase, service.open, [round(each - start, 1) for each in service.attempts]]
        connection.allow(False)  # noqa: FBT003
        await anyio.sleep(60)
        connection.finish()
        outbox.close()
        with anyio.move_on_after(1) as waiting:
            await connection.ended.wait()
        seen += [connection.phase, waiting.cancelled_caught]
        tasks.cancel_scope.cancel()
    return seen, reports
