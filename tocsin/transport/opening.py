"""Opens a WebSocket, directly or through the tunnel of an HTTP proxy, and notes how far that came.

What the library does by itself for a proxy fails in callbacks of the event loop where the proxy ends the connection early,
and does not say which of the two has not answered.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from typing import Any, Final

from attrs import Factory, define
from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from tocsin.network import host_and_port, tls_context
from tocsin.protocol.messages.unpacking import MAX_CHUNK
from tocsin.protocol.network.answer_head import MAX_HEAD, read_head
from tocsin.protocol.network.proxies import Proxy, place
from tocsin.transport.service_socket import ServiceSocket

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


async def open_websocket(
    url: str, proxy: Proxy | None, attempt: Attempt, trusted: ssl.SSLContext | None = None
) -> ServiceSocket:
    """Connect and shake hands; no redirection is followed: it would lead the device's key to a host that its app has not named.

    :param trusted: whom ``wss://`` trusts; by default whom this machine does.
    :raises TunnelRefused: the proxy makes no connection.
    :raises OSError: the network or TLS fails. The library's errors of a handshake go through.
    """
    protocol = ClientProtocol(parse_uri(url), max_size=MAX_CHUNK)
    host, port = host_and_port(url)
    tls = (trusted or tls_context()) if url.startswith("wss:") else None
    connection = ServiceSocket(protocol, attempt.heard)
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
    return connection


async def _tunnel(
    connection: ServiceSocket, proxy: Proxy, target: tuple[str, int], tls: ssl.SSLContext | None, attempt: Attempt
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
