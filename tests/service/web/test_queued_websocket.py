"""A WebSocket for a task of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from tests.service.played_socket import PlayedSocket
from tocsin.service.web.queued_websocket import QueuedWebSocket


def served(run: Callable[[QueuedWebSocket], Coroutine[Any, Any, None]]) -> PlayedSocket:
    """Open one for a task."""
    socket = PlayedSocket()
    queued = QueuedWebSocket(socket)
    socket.receiver = queued
    queued.start_soon(lambda: run(queued))
    return socket


async def _until(condition: Callable[[], object]) -> None:
    """Let everything run until something holds."""
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110  # what is waited for has no event
            await asyncio.sleep(0)


async def _until_ended(socket: PlayedSocket) -> None:
    await _until(lambda: not socket.tasks)


async def test_a_task_gets_one_message_after_the_other() -> None:
    """Nothing more is read while it works on one; at the end it is told so."""
    got: list[bytes | str | None] = []
    go_on = asyncio.Event()

    async def run(wire: QueuedWebSocket) -> None:
        while (message := await wire.receive()) is not None:
            got.append(message)
            await go_on.wait()
        got.append(None)

    socket = served(run)
    for message in (b"1", "2", b"3"):
        socket.say(message)
    for _ in range(3):
        await asyncio.sleep(0)
    assert (got, socket.is_paused) == ([b"1"], True)
    go_on.set()
    await _until(lambda: len(got) == 3)
    socket.leave()
    await _until_ended(socket)
    assert got == [b"1", "2", b"3", None]


async def test_what_came_before_the_end_is_had() -> None:
    """Also where the task asks for it later."""
    got: list[object] = []

    async def run(wire: QueuedWebSocket) -> None:
        got.extend([await wire.receive(), await wire.receive(), await wire.receive()])

    socket = served(run)
    socket.say(b"1")
    socket.leave()
    await _until_ended(socket)
    assert got == [b"1", None, None]


async def test_a_task_waits_until_the_peer_reads() -> None:
    """Then it goes on; where the connection ends, it is told."""
    log: list[str] = []

    async def run(wire: QueuedWebSocket) -> None:
        await wire.send(b"1")
        socket.is_writable = False
        await wire.send(b"2")
        log.append("flows")
        socket.is_writable = False
        with pytest.raises(ConnectionResetError):
            await wire.close(1000, "")
        log.append("gone")

    socket = served(run)
    for _ in range(3):
        await asyncio.sleep(0)
    assert (socket.sent, log) == ([b"1"], [])
    socket.read_on()
    await _until(lambda: log)
    socket.leave()
    await _until_ended(socket)
    assert (socket.sent, log, socket.closed) == ([b"1", b"2"], ["flows", "gone"], None)


async def test_the_connection_ends_with_its_task() -> None:
    """Closed by it or not; a fault is told."""

    async def close(wire: QueuedWebSocket) -> None:
        await wire.close(4000, "enough")

    async def fail(_: QueuedWebSocket) -> None:
        raise ValueError("it is broken")

    closed, failed = served(close), served(fail)
    await _until_ended(closed)
    await _until_ended(failed)
    assert closed.closed == (4000, "enough")
    assert failed.receiver is None
    assert [str(failure) for failure in failed.failures] == ["it is broken"]
