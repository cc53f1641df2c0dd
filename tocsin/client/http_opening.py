"""Opening the HTTP client, and what is said where there is none."""

from __future__ import annotations

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import TYPE_CHECKING

from tocsin.client.http import MAX_REPLY
from tocsin.network import check_authorities
from tocsin.protocol.errors import NotSupported

if TYPE_CHECKING:
    from tocsin.client.aio import AioHttp


def http_client(max_reply: int = MAX_REPLY) -> AbstractAsyncContextManager[AioHttp]:
    """Return the HTTP client, to be entered.

    :param max_reply: bytes of an answer at most.
    :raises NotSupported: there is none, and the text says what to install; or the event loop is trio's.
    :raises InvalidArgument: ``SSL_CERT_FILE`` names a pipe, which the HTTP client would wait for.
    """
    _check_event_loop()
    check_authorities()
    try:
        from tocsin.client.aio import open_http  # noqa: PLC0415  # the plain install has no HTTP client
    except ModuleNotFoundError as missing:
        raise NotSupported(
            f"this needs an HTTP client, the package {missing.name}: pip install 'tocsin[client]'"
        ) from missing
    return open_http(max_reply)


def _check_event_loop() -> None:
    """Say what is wrong before the HTTP library fails in words of its own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        raise NotSupported("the client runs on asyncio (or uvloop); its HTTP library cannot run on trio") from None
