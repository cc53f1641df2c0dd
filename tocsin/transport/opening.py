"""Opens a WebSocket, directly or through the tunnel of an HTTP proxy, and notes how far that came.

What the library does by itself for a proxy fails in callbacks of the event loop where the proxy ends the connection early,
and does not say which of the two has not answered.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import Awaitable
from typing import Any, Final

from attrs import Factory, define
from websockets.asyncio.client import ClientConnection
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from tocsin.network import host_and_port, tls_context
from tocsin.protocol.messages.codec import MAX_CHUNK
from tocsin.protocol.network.answer_head import MAX_HEAD, read_head
from tocsin.protocol.network.proxies import Proxy, place

CLOSE_TIMEOUT = 0.5
"""Seconds that the closing handshake may take; leaving must not wait for a peer."""

PING_INTERVAL = 20.0
"""Seconds in which a ping has to be answered; one is sent when nothing has been heard for a quarter more than that."""

_SILENCE: Final = 1.25  # intervals: the pings of a service, which come as often as that, are life enough

_END: Final = b"\r\n\r\n"


@define
class Attempt:
    """How far an attempt has come: whether the way to the service stands, and the beginning of what has answered there."""

    through: bool = False
    heard: bytearray = Factory(bytearray)


class TunnelRefused(Exception):
    """The proxy has answered with that status instead of a connection; None where it was no answer of HTTP."""

    def __init__(self, status: int | None) -> None:
        super().__init__(f"the proxy answered {status}")
        self.status = status


async def open_websocket(url: str, proxy: Proxy | None, attempt: Attempt) -> ClientConnection:
    """Connect and shake hands; no redirection is followed: it would lead the device's key to a host that its app has not named.

    :raises TunnelRefused: the proxy makes no connection.
    :raises OSError: the network or TLS fails. The library's errors of a handshake go through.
    """
    protocol = ClientProtocol(parse_uri(url), max_size=MAX_CHUNK)
    host, port = host_and_port(url)
    tls = tls_context() if url.startswith("wss:") else None
    connection = _Listening(protocol, attempt.heard)
    if proxy is None:
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: connection, host, port, ssl=tls)
        attempt.through = True
    else:
        await _tunnel(connection, proxy, (host, port), tls, attempt)
    try:
        await connection.handshake()
    except BaseException:
        connection.transport.abort()
        raise
    connection.start_keepalive()
    return connection


class _Listening(ClientConnection):
    """Keeps the beginning of what it hears until there is an answer, and pings a service that is silent only.

    Each ping wakes this machine twice, and a service pings by itself.
    """

    def __init__(self, protocol: ClientProtocol, heard: bytearray) -> None:
        super().__init__(protocol, ping_interval=PING_INTERVAL, ping_timeout=PING_INTERVAL, close_timeout=CLOSE_TIMEOUT)
        self._heard = heard
        self._heard_at = self.loop.time()

    async def ping(self, data: Any = None) -> Awaitable[float]:
        """Ping the service once it has been silent for a while."""
        while (left := self._heard_at + PING_INTERVAL * _SILENCE - self.loop.time()) > 0:  # noqa: ASYNC110  # an event would cost each chunk more
            await asyncio.sleep(left)
        return await super().ping(data)

    def data_received(self, data: bytes) -> None:
        """Take what came."""
        self._heard_at = self.loop.time()
        if self.response is None:
            self._heard.extend(data[: MAX_HEAD - len(self._heard)])
        super().data_received(data)


async def _tunnel(
    connection: ClientConnection, proxy: Proxy, target: tuple[str, int], tls: ssl.SSLContext | None, attempt: Attempt
) -> None:
    """Ask a proxy for a connection to a host and port (RFC 9110 §9.3.6), and put ours onto it."""
    loop = asyncio.get_running_loop()
    secure = tls_context() if proxy.scheme == "https" else None
    transport: Any
    transport, asking = await loop.create_connection(_Asking, proxy.host, proxy.port, ssl=secure)
    try:
        transport.write(_request(proxy, place(*target)))
        await asking.answer
        attempt.through = True
        if tls is not None:
            transport = await loop.start_tls(transport, asking, tls, server_hostname=target[0])
        if transport.is_closing():
            raise ConnectionResetError  # noqa: TRY301  # to end it in one place
        transport.set_protocol(connection)
        connection.connection_made(transport)
    except BaseException:
        transport.abort()
        raise


def _request(proxy: Proxy, authority: str) -> bytes:
    login = ""
    if proxy.user is not None:
        secret = f"{proxy.user}:{proxy.password}".encode(errors="surrogateescape")
        login = f"Proxy-Authorization: Basic {b64encode(secret).decode('ascii')}\r\n"
    return f"CONNECT {authority} HTTP/1.1\r\nHost: {authority}\r\n{login}\r\n".encode()


class _Asking(asyncio.Protocol):
    """Waits for a proxy's answer. What comes behind its head is dropped: no service speaks before it is spoken to."""

    def __init__(self) -> None:
        self.answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._heard = bytearray()

    def data_received(self, data: bytes) -> None:
        """Take what came, up to the end of the head."""
        if self.answer.done():
            return
        self._heard += data
        if _END not in self._heard and len(self._heard) <= MAX_HEAD:
            return
        head = read_head(self._heard)
        if head is None or _END not in self._heard:  # an endless head makes no tunnel
            self.answer.set_exception(TunnelRefused(None))
        elif 200 <= head.status < 300:
            self.answer.set_result(None)
        else:
            self.answer.set_exception(TunnelRefused(head.status))

    def connection_lost(self, exc: Exception | None) -> None:
        """Judge what came until then."""
        if self.answer.done():
            return
        head = read_head(self._heard)
        if exc is None and head is None and self._heard:
            self.answer.set_exception(TunnelRefused(None))
        elif head is None or 200 <= head.status < 300:
            self.answer.set_exception(exc or EOFError())
        else:
            self.answer.set_exception(TunnelRefused(head.status))
