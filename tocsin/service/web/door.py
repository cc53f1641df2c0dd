"""Where connections come in: counted before a TLS handshake, told where they are too many, and taken when descriptors run out."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import socket
import ssl
import traceback
from collections.abc import Callable
from typing import Any, Final, Protocol

import anyio
from anyio.abc import TaskGroup

from tocsin.repeat_log import RepeatLog
from tocsin.service.web.connections import Connections
from tocsin.service.web.transport_ends import close, release

TOLD_AT_ONCE: Final = 32
"""Connections that are told at the same time that they are too many, and listened to; more are told in passing."""

_AT_ONCE: Final = 8  # connections that are taken before those that gave way to them have given back their descriptors
_REST: Final = 2_048  # connections that the door takes when it closes, at most: more than that come without end
_UNREAD: Final = 64 * 1024  # bytes of a connection that is turned away which are read, so that it is not reset
_TELLING: Final = 1.0  # seconds for one that is told
_PAUSE: Final = 1.0  # seconds until the next try where the system has no descriptor for us
_EXHAUSTED: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
_BROKEN: Final = {errno.EBADF, errno.EINVAL, errno.ENOTSOCK, errno.EOPNOTSUPP}  # the listening socket is none

logger = logging.getLogger(__name__)


class AdmittedConnection(Protocol):
    """The protocol of a connection that is let in."""

    transport: asyncio.Transport
    handshake: Handshake | None

    def drop(self) -> None:
        """End the connection at once, also while it is made."""
        ...

    def give_way(self) -> None:
        """Say that there are too many, and end the connection at once, also while it is made."""
        ...


class Handshake:
    """A connection while it is made: its guest may have to leave, or to give way to the next.

    :param words: what it is told when it gives way; none where it would not understand, before TLS is spoken.
    """

    def __init__(self, opened: socket.socket, words: bytes) -> None:
        self.scope = anyio.CancelScope()
        self._opened = opened
        self._words = words

    def cancel(self) -> None:
        """Stop making the connection."""
        self.scope.cancel()

    def give_way(self) -> None:
        """Tell the guest that there are too many connections, and stop making its own."""
        _say(self._opened, self._words)
        self.scope.cancel()


class Door:
    """Takes connections from a listening socket.

    :param make: makes the protocol of a connection.
    :param tls: gives what TLS is spoken with on the next connection; None for none.
    :param handshake_timeout: seconds for a TLS handshake.
    :param busy: what is said to a connection that is one too many.
    """

    def __init__(  # noqa: PLR0913  # its parts
        self,
        listener: socket.socket,
        make: Callable[[], Any],
        connections: Connections,
        *,
        tls: Callable[[], ssl.SSLContext | None],
        handshake_timeout: float,
        busy: bytes,
        recurring: RepeatLog,
    ) -> None:
        self._listener = listener
        self._make = make
        self._connections = connections
        self._tls = tls
        self._handshake_timeout = handshake_timeout
        self._busy = busy
        self._recurring = recurring
        self._told = 0
        self._open = anyio.CancelScope()
        self._spare: int | None = None

    def close(self) -> None:
        """Accept no more connections than have come; those being made go on."""
        self._open.cancel()

    async def run(self) -> None:
        """Take connections until closed, then wait for those that are being made."""
        self._listener.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._spare = _reserve()
        try:
            async with anyio.create_task_group() as making:
                try:
                    with self._open:
                        while True:
                            for _ in range(_AT_ONCE):
                                await self._take(making)
                            await asyncio.sleep(0)
                    self._receive_the_rest(making)
                finally:
                    self._listener.close()
        finally:
            self._give_spare()

    async def _take(self, making: TaskGroup) -> None:
        """Take the next connection."""
        try:
            # sock_accept loses a connection that comes in the turn in which this is closed, and asyncio logs an error.
            opened, address = self._listener.accept()
        except BlockingIOError:
            await anyio.wait_readable(self._listener)
            return
        except OSError as failure:
            if failure.errno in _BROKEN:
                raise
            if failure.errno in _EXHAUSTED:
                await self._make_room(failure)
            return  # whatever else there is concerns one connection, which has gone
        opened.setblocking(False)  # noqa: FBT003 - the socket's own signature
        self._receive(making, opened, address)

    def _receive_the_rest(self, making: TaskGroup) -> None:
        """Take the connections that have come by now: closing the socket would reset them, and what they have sent."""
        with contextlib.suppress(OSError):  # there is no other
            for _ in range(_REST):
                opened, address = self._listener.accept()
                opened.setblocking(False)  # noqa: FBT003 - the socket's own signature
                self._receive(making, opened, address)

    def _receive(self, making: TaskGroup, opened: socket.socket, address: Any) -> None:
        guest: AdmittedConnection = self._make()
        guest.handshake = Handshake(opened, self._words())  # from the beginning: it may have to give way to the next
        if self._connections.admit(guest, address[0]):
            making.start_soon(self._let_in, guest, opened)
        elif self._told < TOLD_AT_ONCE:
            self._told += 1
            making.start_soon(self._tell, opened)
        else:
            self._turn_away(opened)

    async def _let_in(self, guest: AdmittedConnection, opened: socket.socket) -> None:
        assert guest.handshake is not None  # noqa: S101  # until it is made
        try:
            with guest.handshake.scope, contextlib.suppress(OSError):  # the peer has left, or speaks no TLS
                await self._connect(lambda: guest, opened)  # type: ignore[arg-type, return-value]  # it is one
        except Exception:  # noqa: BLE001  # one connection's fault must not close the door
            trace = traceback.format_exc()
            self._recurring.log(logger, logging.ERROR, trace, "a connection could not be made: %s", trace)
        finally:
            guest.handshake = None
            if guest.transport is None:
                self._connections.left(guest)

    async def _connect(self, make: Callable[[], asyncio.Protocol], opened: socket.socket) -> None:
        tls = self._tls()
        timeout = None if tls is None else self._handshake_timeout
        loop = asyncio.get_running_loop()
        try:
            await loop.connect_accepted_socket(make, opened, ssl=tls, ssl_handshake_timeout=timeout)
        except OSError as failure:
            # Its traceback knows asyncio's frames, and they know it: all of that would wait for the garbage collector.
            raise failure.with_traceback(None) from None

    async def _tell(self, opened: socket.socket) -> None:
        """Tell a connection that it is one too many, and part once it has spoken: a reset could overtake what it was told."""
        told = _Told(self._busy)
        try:
            with anyio.move_on_after(_TELLING), contextlib.suppress(OSError):
                await self._connect(lambda: told, opened)
                await told.spoken.wait()
        finally:
            self._told -= 1
            told.close()

    async def _make_room(self, failure: OSError) -> None:
        """Turn a connection away for which the system has no descriptor; where that does not work either, wait a little."""
        self._recurring.log(
            logger, logging.ERROR, failure.errno, "connections are turned away: %s", failure.strerror or failure
        )
        if self._spare is None:
            await anyio.sleep(_PAUSE)
        else:
            self._give_spare()
            with contextlib.suppress(OSError):
                opened, _ = self._listener.accept()
                opened.setblocking(False)  # noqa: FBT003 - the socket's own signature
                self._turn_away(opened)
        self._spare = _reserve()

    def _words(self) -> bytes:
        """Return what can be said to a connection that has not been made."""
        return self._busy if self._tls() is None else b""

    def _turn_away(self, opened: socket.socket) -> None:
        """Tell a connection in passing that it is one too many, and part."""
        with opened:
            _say(opened, self._words())

    def _give_spare(self) -> None:
        if self._spare is not None:
            os.close(self._spare)
            self._spare = None


class _Told(asyncio.Protocol):
    """A connection that is told something, and then nothing more."""

    def __init__(self, words: bytes) -> None:
        self._words = words
        self._transport: asyncio.Transport | None = None
        self.spoken = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the connection what it is to be told."""
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  # of a stream
        self._transport = transport
        transport.write(self._words)

    def data_received(self, data: bytes) -> None:
        """Note that it has spoken."""
        del data
        self.spoken.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note that it has left."""
        del exc
        release(self._transport)
        self.spoken.set()

    def close(self) -> None:
        """Close the connection."""
        if self._transport is not None:
            close(self._transport)


def _say(opened: socket.socket, words: bytes) -> None:
    """Say the last that is to be said on a socket, and read what has come: else closing it would reset it."""
    with contextlib.suppress(OSError):
        opened.send(words)
        opened.shutdown(socket.SHUT_WR)
        opened.recv(_UNREAD)


def _reserve() -> int | None:
    """Take a descriptor, to give it back when there is no other."""
    try:
        return os.open(os.devnull, os.O_RDONLY)
    except OSError:
        return None
