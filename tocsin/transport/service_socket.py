"""A WebSocket to a push service: the library says what bytes and frames mean, a transport of asyncio carries them.

One task may read while another writes. The library's own connection does as much by a task, locks and queues; each chunk
would pay for them.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final, cast

import anyio
from websockets.client import ClientProtocol
from websockets.frames import CloseCode, Frame, Opcode
from websockets.http11 import USER_AGENT
from websockets.protocol import State

from tocsin.protocol.network.answer_head import MAX_HEAD
from tocsin.tasks import Signal

CLOSE_TIMEOUT = 0.5
"""Seconds that the closing handshake may take; leaving must not wait for a peer."""

PING_INTERVAL = 20.0
"""Seconds in which a ping has to be answered; one is sent when nothing has been heard for a quarter more than that."""

_SILENCE: Final = 1.25  # intervals: the pings of a service, which come as often as that, are life enough
_DATA: Final = {Opcode.BINARY, Opcode.TEXT, Opcode.CONT}
_MOST: Final = 16  # chunks that wait; with so many the socket is read no more,
_FEW: Final = 4  # until no more than these wait
_BUFFER: Final = 64 * 1024
"""Bytes that are read at a time. asyncio's own buffer, new for each chunk, is so large that glibc maps and unmaps memory for it."""


class SocketClosed(Exception):
    """There is no connection any more, or it is closing; the library's protocol knows why."""


class ServiceSocket(asyncio.BufferedProtocol):
    """One connection, from the handshake to its end.

    It keeps the beginning of what it hears, for as long as there is no answer, in ``heard``. It pings a service that is
    silent only: each ping wakes this machine twice, and a service pings by itself.
    """

    transport: asyncio.Transport

    def __init__(self, protocol: ClientProtocol, heard: bytearray) -> None:
        self.protocol = protocol
        self.take: Callable[[bytes], bool] | None = None
        """Called with each chunk that comes while none waits; it tells whether it has taken it."""
        self._loop = asyncio.get_running_loop()
        self._heard = heard
        self._buffer = memoryview(bytearray(_BUFFER))
        self._heard_at = self._loop.time()
        self._asked_at = -1.0  # when it was pinged
        self._is_answered = False
        self._answered = anyio.Event()
        self._is_lost = False
        self._lost = anyio.Event()
        self._chunks: deque[bytes] = deque()
        self._part = bytearray()
        self._came = Signal()
        self._is_paused = False
        self._is_ending = False
        self._room: anyio.Event | None = None  # set when there is some; None while there is
        self._timer: asyncio.TimerHandle | None = None

    # What a caller does

    async def handshake(self) -> None:
        """Ask for a WebSocket, and wait for the answer.

        :raises InvalidHandshake: it is not the right one, or none came.
        """
        request = self.protocol.connect()
        request.headers["User-Agent"] = USER_AGENT
        self.protocol.send_request(request)
        self._write()
        await self._answered.wait()
        if self.protocol.handshake_exc is not None:
            raise self.protocol.handshake_exc
        if not self._is_ending:  # a service may close right behind its answer
            self._wake_at(self._heard_at + PING_INTERVAL * _SILENCE)

    async def receive(self) -> bytes:
        """Return the next chunk.

        :raises SocketClosed: there will be no more.
        """
        while not self._chunks:
            if self._is_lost:
                raise SocketClosed
            await self._came.wait()
        chunk = self._chunks.popleft()
        if self._is_paused and len(self._chunks) <= _FEW:
            self._is_paused = False
            self.transport.resume_reading()
        return chunk

    @property
    def has_room(self) -> bool:
        """Whether a chunk can be sent without waiting."""
        return self._room is None and self.protocol.state is State.OPEN

    def send_now(self, chunk: bytes) -> None:
        """Send a chunk; where there is no room, the transport keeps it."""
        self.protocol.send_binary(chunk)
        self._write()

    async def send(self, chunk: bytes) -> None:
        """Send a chunk, waiting for room.

        :raises SocketClosed: it cannot be sent any more.
        """
        if self.protocol.state is State.OPEN:
            self.send_now(chunk)
            if self._room is None:
                return
            await self._room.wait()
            if not self._is_lost:
                return
        await self._lost.wait()
        raise SocketClosed

    async def aclose(self, code: CloseCode) -> None:
        """Close, waiting for the service's agreement and the end of the connection, for ``CLOSE_TIMEOUT`` at most."""
        if self.protocol.state is State.OPEN:
            self.protocol.send_close(code)
            self._write()
        await self._lost.wait()

    async def abort(self) -> None:
        """Cut the connection off."""
        self.transport.abort()
        with anyio.CancelScope(shield=True):  # bounded: it is the loop's next turn
            await self._lost.wait()

    # What the transport calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self.transport = cast(asyncio.Transport, transport)

    def get_buffer(self, sizehint: int) -> memoryview:
        """Return the buffer to read into; what came is copied out of it at once."""
        del sizehint
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what came."""
        data = bytes(self._buffer[:nbytes])
        self._heard_at = self._loop.time()
        if not self._is_answered:
            self._heard.extend(data[: MAX_HEAD - len(self._heard)])
        self.protocol.receive_data(data)
        self._take_events()
        self._write()

    def eof_received(self) -> None:
        """Take the end of what comes."""
        self.protocol.receive_eof()
        self._take_events()
        self._write()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002  # the loop's own signature
        """End."""
        self.protocol.receive_eof()  # it may have been heard before, and the connection aborted
        if self._timer is not None:
            self._timer.cancel()
        self._is_lost = True
        self._lost.set()
        self._answered.set()
        self._came.set()
        self.resume_writing()

    def pause_writing(self) -> None:
        """Let who sends wait."""
        self._room = anyio.Event()

    def resume_writing(self) -> None:
        """Let who sends go on."""
        if self._room is not None:
            self._room.set()
            self._room = None

    # How it is done

    def _take_events(self) -> None:
        for event in self.protocol.events_received():
            if not isinstance(event, Frame):
                self._is_answered = True
                self._answered.set()
            elif event.opcode in _DATA:
                self._take_frame(event)

    def _take_frame(self, frame: Frame) -> None:
        """Take a message, or a part of one; the library bounds how long it is."""
        chunk = bytes(frame.data)
        if self._part or not frame.fin:
            self._part += chunk
            if not frame.fin:
                return
            chunk = bytes(self._part)
            self._part.clear()
        if self.take is not None and not self._chunks and self.take(chunk):
            return
        self._chunks.append(chunk)
        self._came.set()
        if len(self._chunks) >= _MOST and not self._is_paused:
            self._is_paused = True
            self.transport.pause_reading()

    def _write(self) -> None:
        """Write what the library wants to be written; a connection that is to end then has a while for it."""
        for data in self.protocol.data_to_send():
            if data:
                self.transport.write(data)
            elif self.transport.can_write_eof():
                with suppress(OSError, RuntimeError):  # it is lost already, which will be told
                    self.transport.write_eof()
            else:
                self.transport.close()
        if not self._is_ending and self.protocol.close_expected():
            self._is_ending = True
            self._wake_at(self._loop.time() + CLOSE_TIMEOUT)

    def _wake_at(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._look)

    def _look(self) -> None:
        """Ping a service that has been silent for a while; end a connection that is silent after that, or has had time to close."""
        self._timer = None
        now = self._loop.time()
        if self._is_ending:
            self.transport.abort()
        elif self._asked_at <= self._heard_at:
            due = self._heard_at + PING_INTERVAL * _SILENCE
            if now >= due:
                self._asked_at = now
                self.protocol.send_ping(b"")
                self._write()
                due = now + PING_INTERVAL
            self._wake_at(due)
        elif now < self._asked_at + PING_INTERVAL:
            self._wake_at(self._asked_at + PING_INTERVAL)
        else:
            self.protocol.fail(CloseCode.INTERNAL_ERROR, "keepalive ping timeout")
            self._write()
