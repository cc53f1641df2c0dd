"""HTTP by aiohttp, which only whoever sends has to have."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import aiohttp
from yarl import URL

from tocsin.client.http import Reply, Unreachable
from tocsin.protocol.sign_in import is_loopback

TIMEOUT = 30.0
"""Seconds that one request may take."""

MAX_REPLY = 64 * 1024
"""Bytes of an answer at most; what is longer is no answer of a push service."""


class AioHttp:
    """Posts; made by :func:`open_http`."""

    def __init__(self, direct: aiohttp.ClientSession, proxied: aiohttp.ClientSession) -> None:
        self._direct = direct
        self._proxied = proxied

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Post and return the answer, whatever its status; redirections are not followed.

        :raises Unreachable: there was none within ``TIMEOUT``.
        """
        host = urlsplit(url).hostname or ""
        session = self._direct if is_loopback(host) else self._proxied
        as_given = URL(url, encoded=True)  # a channel's URI is not ours to respell
        try:
            async with session.post(as_given, data=body, headers=headers, allow_redirects=False) as answer:
                reply = await _bounded(answer.content.iter_chunked(4096))
                return Reply(answer.status, _joined(answer.headers.items()), reply)
        except TimeoutError:
            raise Unreachable(f"{host} did not answer within {TIMEOUT:g} s") from None
        except (aiohttp.ClientError, OSError) as failure:
            raise Unreachable(f"{host} cannot be reached: {_words(failure)}") from None


@asynccontextmanager
async def open_http() -> AsyncIterator[AioHttp]:
    """Open connections as they are needed, and keep them; the environment's proxy is for other machines only."""
    headers = {"User-Agent": "tocsin"}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    async with (
        aiohttp.ClientSession(headers=headers, timeout=timeout) as direct,
        aiohttp.ClientSession(headers=headers, timeout=timeout, trust_env=True) as proxied,
    ):
        yield AioHttp(direct, proxied)


def _joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Put repeated headers together with commas (RFC 9110 §5.3), so that none of them counts as not said."""
    values: dict[str, dict[str, None]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), {})[value] = None
    return {name: ", ".join(each) for name, each in values.items()}


async def _bounded(chunks: AsyncIterator[bytes]) -> bytes:
    reply = bytearray()
    async for chunk in chunks:
        reply += chunk
        if len(reply) > MAX_REPLY:
            raise aiohttp.ClientPayloadError(f"the answer is longer than {MAX_REPLY} bytes")
    return bytes(reply)


def _words(failure: Exception) -> str:
    """Say what failed without the URL, which aiohttp puts into some of its errors."""
    if isinstance(failure, (aiohttp.ClientSSLError, aiohttp.ServerDisconnectedError, aiohttp.ClientPayloadError)):
        return str(failure)
    if isinstance(failure, OSError):
        return failure.strerror or str(failure)
    return f"no HTTP that can be understood ({type(failure).__name__})"
