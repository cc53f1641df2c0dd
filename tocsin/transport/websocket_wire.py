"""A wire over WebSocket (RFC 6455): each binary message is a chunk."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.frames import CloseCode

from tocsin.network import host_and_port, place_of, proxy_of, speaks_tls
from tocsin.protocol.errors import InvalidArgument
from tocsin.protocol.network.causes import CLOSE_CODES, ConnectionCause, explain
from tocsin.protocol.network.proxies import Proxy
from tocsin.transport.connection_failures import Failure, diagnose
from tocsin.transport.opening import Attempt, open_websocket
from tocsin.transport.service_socket import ServiceSocket, SocketClosed
from tocsin.transport.wire import WireBroken

OPEN_TIMEOUT = 10.0
"""Seconds that making the connection may take."""

_NO_PONG: Final = 1011  # what websockets closes with where a ping was not answered
_OUR_OWN: Final = {_NO_PONG: ConnectionCause.SILENT, 1009: ConnectionCause.PROTOCOL, 1002: ConnectionCause.PROTOCOL}


class WebSocketWire:
    """A wire over an open WebSocket; ``place`` is where it leads, for people."""

    def __init__(self, socket: ServiceSocket, place: str) -> None:
        self._socket = socket
        self._place = place

    async def receive(self) -> bytes:
        """Return the next chunk.

        :raises WireBroken: the connection ended.
        """
        try:
            return await self._socket.receive()
        except SocketClosed:
            raise _ended(self._socket.protocol, self._place) from None

    def follow(self, take: Callable[[bytes], bool] | None) -> None:
        """Call this with each chunk that comes; it tells whether it has taken it. Others, and with None all, are to be received."""
        self._socket.take = take

    @property
    def has_room(self) -> bool:
        """Whether a chunk can be sent without waiting."""
        return self._socket.has_room

    def send_now(self, chunk: bytes) -> None:
        """Send a chunk, where there is room."""
        self._socket.send_now(chunk)

    async def send(self, chunk: bytes) -> None:
        """Send a chunk.

        :raises WireBroken: the connection ended.
        """
        try:
            await self._socket.send(chunk)
        except SocketClosed:
            raise _ended(self._socket.protocol, self._place) from None


@asynccontextmanager
async def dial_websocket(url: str, tls: ssl.SSLContext | None = None) -> AsyncIterator[WebSocketWire]:
    """Connect to the device endpoint of a push service (``ws://`` or ``wss://``).

    The proxy that the environment names is used, but never for the own machine.

    :param tls: whom ``wss://`` trusts; by default whom this machine does.
    :raises WireBroken: there is no connection to be had; the text says why.
    """
    place = place_of(url)
    try:
        proxy = proxy_of(url)
    except InvalidArgument as unusable:
        cause = ConnectionCause.PROXY_UNUSABLE
        raise WireBroken(explain(cause, place, str(unusable)), cause) from unusable
    attempt = Attempt()
    try:
        async with asyncio.timeout(OPEN_TIMEOUT):
            socket = await open_websocket(url, proxy, attempt, tls)
    except Exception as error:  # whatever a library raises is a failed attempt, and no more
        raise await _failed(url, place, proxy, diagnose(error, proxy, attempt)) from error
    code = CloseCode.INTERNAL_ERROR
    try:
        try:
            yield WebSocketWire(socket, place)
            code = CloseCode.NORMAL_CLOSURE
        finally:
            await socket.aclose(code)
    finally:
        await socket.abort()  # a cancellation cuts the closing handshake off, and would leave the rest to the peer


async def _failed(url: str, place: str, proxy: Proxy | None, failure: Failure) -> WireBroken:
    """Say in a sentence why there is no connection."""
    cause, detail = failure.cause, failure.detail
    if failure.may_be_tls and proxy is None and url.startswith("ws:") and await speaks_tls(*host_and_port(url)):
        cause, detail = ConnectionCause.TLS_WANTED, ""
    if cause is ConnectionCause.NO_PUSH_SERVICE:
        detail += f"; tried was {_shown(url, place)}; service= names what 'tocsin serve' prints, such as http://127.0.0.1:8080"
    return WireBroken(explain(cause, place, detail), cause, failure.retry_after)


def _shown(url: str, place: str) -> str:
    """Write a URL as one of the web, without what may be secret in it."""
    parts = urlsplit(url)
    return f"{'https' if parts.scheme == 'wss' else 'http'}://{place}{parts.path}"


def _ended(protocol: ClientProtocol, place: str) -> WireBroken:
    """Say by the close frame, ours or the service's, why a connection has ended."""
    theirs, ours = protocol.close_rcvd, protocol.close_sent
    if theirs is not None and (ours is None or protocol.close_rcvd_then_sent):
        cause = CLOSE_CODES.get(theirs.code, ConnectionCause.LOST)
        detail = f"it closed with {theirs.code}" + (f": {theirs.reason}" if theirs.reason else "")
    elif ours is not None:
        cause = _OUR_OWN.get(ours.code, ConnectionCause.LOST)
        detail = ours.reason
    else:
        cause, detail = ConnectionCause.LOST, ""
    return WireBroken(explain(cause, place, detail), cause)
