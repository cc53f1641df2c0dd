"""A wire over WebSocket (RFC 6455): each binary message is a chunk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from ipaddress import ip_address
from typing import Literal
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from tocsin.protocol.codec import MAX_CHUNK
from tocsin.transport.wire import WireBroken

OPEN_TIMEOUT = 10.0
"""Seconds that making the connection may take."""

CLOSE_TIMEOUT = 0.5
"""Seconds that the closing handshake may take; leaving must not wait for a peer."""


class WebSocketWire:
    """A wire over an open WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def receive(self) -> bytes:
        """Return the next chunk.

        :raises WireBroken: the connection ended, or brought text.
        """
        try:
            chunk = await self._connection.recv(decode=False)
        except ConnectionClosed as closed:
            raise WireBroken(f"the push service ended the connection: {closed}") from closed
        return bytes(chunk)

    async def send(self, chunk: bytes) -> None:
        """Send a chunk.

        :raises WireBroken: the connection ended.
        """
        try:
            await self._connection.send(chunk)
        except ConnectionClosed as closed:
            raise WireBroken(f"the push service ended the connection: {closed}") from closed


@asynccontextmanager
async def dial_websocket(url: str) -> AsyncIterator[WebSocketWire]:
    """Connect to the device endpoint of a push service (``ws://`` or ``wss://``).

    The proxy that the environment names is used, but never for the own machine.

    :raises WireBroken: there is no connection to be had; the text says why.
    """
    proxy: Literal[True] | None = None if _is_own_machine(urlsplit(url).hostname or "") else True
    try:
        connection = await connect(
            url,
            open_timeout=OPEN_TIMEOUT,
            close_timeout=CLOSE_TIMEOUT,
            max_size=MAX_CHUNK,
            compression=None,
            proxy=proxy,
        )
    except (OSError, InvalidHandshake, InvalidURI, EOFError) as failure:
        raise WireBroken(f"no connection to the push service at {url}: {failure}") from failure
    async with connection:
        yield WebSocketWire(connection)


def _is_own_machine(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
