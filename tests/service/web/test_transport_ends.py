"""What a connection leaves behind: nothing that only the garbage collector finds."""

from __future__ import annotations

import asyncio
import gc
import ssl
import weakref
from asyncio.sslproto import SSLProtocol
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import connect

from tests.service.world import connected, ending
from tocsin.service.operations.settings import ServiceSettings
from tocsin.service.server import PushService, open_service
from tocsin.service.web.bounded_websocket import BoundedWebSocket
from tocsin.service.web.door import _Told
from tocsin.service.web.http_connection import HttpConnection
from tocsin.service.web.transport_ends import release


@asynccontextmanager
async def _http(service: PushService, trust: ssl.SSLContext | None) -> AsyncIterator[None]:
    """Connect, and ask for one answer, behind which the connection ends."""
    reader, writer = await asyncio.open_connection("127.0.0.1", service.port, ssl=trust)
    writer.write(b"GET /healthz HTTP/1.1\r\n")
    while not any(each.transport for each in _ours(HttpConnection)):  # noqa: ASYNC110  # it has no event
        await asyncio.sleep(0)
    yield
    writer.write(b"Host: x\r\nConnection: close\r\n\r\n")
    assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
    await reader.read()
    writer.close()


@asynccontextmanager
async def _websocket(service: PushService, trust: ssl.SSLContext | None) -> AsyncIterator[None]:
    """Connect as a device that says nothing, and end that in order."""
    async with connect(service.device_url, ssl=trust, proxy=None):
        yield


def _ours(kind: type) -> list[Any]:
    """Return the connections of the service."""
    return [each for each in gc.get_objects() if type(each) is kind]


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize(
    ("speak", "kind"), [(_http, HttpConnection), (_websocket, BoundedWebSocket)], ids=["http", "websocket"]
)
async def test_a_connection_that_has_ended_is_let_go_of_at_once(
    tmp_path: Path, speak: Any, kind: type, is_secure: bool
) -> None:
    """With its transport, and with what TLS keeps for it, which is more than all else."""
    trust = ssl.create_default_context()
    trust.check_hostname, trust.verify_mode = False, ssl.CERT_NONE
    async with open_service(tmp_path, ServiceSettings.private(dev_tls=is_secure)) as service:
        async with speak(service, trust if is_secure else None):
            (ours,) = _ours(kind)
            kept = [weakref.ref(ours.transport)]
            if is_secure:
                kept.append(weakref.ref(ours.transport._ssl_protocol))
            del ours
        async with asyncio.timeout(10):
            while _ours(kind) or any(each() for each in kept):  # noqa: ASYNC110  # it has no event
                await asyncio.sleep(0)


@pytest.mark.usefixtures("no_collector")
@pytest.mark.parametrize("is_secure", [False, True], ids=["plain", "tls"])
@pytest.mark.parametrize("most", [1, 100], ids=["too many", "few"])
async def test_a_connection_that_is_not_made_is_let_go_of_at_once(tmp_path: Path, most: int, is_secure: bool) -> None:
    """One that is one too many, or that does not speak TLS where that is spoken."""
    settings = ServiceSettings.private(dev_tls=is_secure, max_connections_per_address=most)
    kinds = (HttpConnection, SSLProtocol, _Told)
    before = [len(_ours(kind)) for kind in kinds]

    async def there_are(*more: int) -> None:
        """Wait until there are so many more than before."""
        async with asyncio.timeout(10):
            while [len(_ours(kind)) for kind in kinds] != [a + b for a, b in zip(before, more, strict=True)]:  # noqa: ASYNC110
                await asyncio.sleep(0)

    async with open_service(tmp_path, settings) as service, connected(service.port):
        await there_are(1, is_secure, 0)  # the one that is admitted
        for _ in range(3):
            async with connected(service.port) as (reader, writer):
                writer.write(b"nonsense\r\n\r\n")
                await ending(reader)
        await there_are(1, is_secure, 0)


async def test_a_tls_connection_that_was_closed_twice_is_released(tmp_path: Path) -> None:
    """Asyncio closes one whose handshake is broken off, whatever its protocol has done, and then knows its protocol no more."""
    async with open_service(tmp_path, ServiceSettings(dev_tls=True)) as service:
        _, writer = await asyncio.open_connection("127.0.0.1", service.port, ssl=ssl._create_unverified_context())  # noqa: S323
        for _ in range(2):
            writer.transport.close()
        release(writer.transport)
