"""HTTP by aiohttp, which is needed for sending only."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import aiohttp
from yarl import URL

from tocsin.client.http import MAX_REPLY, Reply, Unreachable
from tocsin.network import cause_of, place_of, proxy_of
from tocsin.protocol.network.causes import ConnectionCause, cause_of_proxy_status, explain
from tocsin.protocol.network.proxies import Proxy
from tocsin.protocol.text import MAX_SENTENCE, harmless

TIMEOUT = 30.0
"""Seconds that one request may take."""


class AioHttp:
    """Asks, and mostly posts; made by :func:`open_http`."""

    def __init__(self, session: aiohttp.ClientSession, max_reply: int) -> None:
        self._session = session
        self._max_reply = max_reply

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Post; errors as of :meth:`request`."""
        return await self.request("POST", url, headers, body)

    async def request(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        """Ask and return the answer, whatever its status; redirections are not followed.

        :raises Unreachable: there was none within ``TIMEOUT``.
        :raises InvalidArgument: the environment names a proxy that cannot be used.
        """
        proxy = proxy_of(url)
        as_given = URL(url, encoded=True)  # a channel's URI is not ours to respell
        through = None if proxy is None else URL(proxy.full_url)
        try:
            async with self._session.request(
                method, as_given, data=body or None, headers=headers, allow_redirects=False, proxy=through
            ) as answer:
                whole = await _bounded(answer.content.iter_chunked(4096), self._max_reply)
        except Exception as failure:  # noqa: BLE001  # whatever a library raises, there was no answer
            raise Unreachable(_sentence(failure, url, proxy)) from None
        if (
            answer.status == 407 and proxy is not None
        ):  # where no TLS is spoken, the proxy answers in place of the service
            raise Unreachable(_refused(407, url, proxy))
        return Reply(answer.status, _joined(answer.headers.items()), whole)


@asynccontextmanager
async def open_http(max_reply: int = MAX_REPLY) -> AsyncIterator[AioHttp]:
    """Open connections as they are needed, and keep them.

    Of the environment only the proxies are used, by :func:`tocsin.network.proxy_of`: what aiohttp would take besides,
    such as passwords out of a netrc file, is not for push services. Nor are cookies kept.

    :param max_reply: bytes of an answer at most.
    """
    headers = {"User-Agent": "tocsin"}
    timeout = aiohttp.ClientTimeout(total=TIMEOUT)
    jar = aiohttp.DummyCookieJar()
    async with aiohttp.ClientSession(headers=headers, timeout=timeout, cookie_jar=jar, trust_env=False) as session:
        yield AioHttp(session, max_reply)


def _joined(headers: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Put repeated headers together with commas (RFC 9110 §5.3), so that none of them counts as not said."""
    values: dict[str, dict[str, None]] = {}
    for name, value in headers:
        values.setdefault(name.lower(), {})[value] = None
    return {name: ", ".join(each) for name, each in values.items()}


async def _bounded(chunks: AsyncIterator[bytes], most: int) -> bytes:
    reply = bytearray()
    async for chunk in chunks:
        reply += chunk
        if len(reply) > most:
            raise aiohttp.ClientPayloadError(f"the answer is longer than {most} bytes")
    return bytes(reply)


def _sentence(failure: Exception, url: str, proxy: Proxy | None) -> str:
    """Say what failed without the URL, which aiohttp puts into some of its errors."""
    where = place_of(url)
    if isinstance(failure, aiohttp.ClientHttpProxyError) and proxy is not None:
        return _refused(failure.status, url, proxy)
    if isinstance(failure, aiohttp.ClientProxyConnectionError) and proxy is not None:
        return explain(ConnectionCause.PROXY_UNREACHABLE, where, _by_cause(failure.os_error, proxy.place))
    if isinstance(failure, aiohttp.ClientConnectorCertificateError):
        return _by_cause(failure.certificate_error, where)
    if isinstance(failure, aiohttp.ClientConnectorError):
        return _by_cause(failure.os_error, where)
    return _after_connecting(failure, where, "" if proxy is None else f", by the proxy {proxy.place}")


def _after_connecting(failure: Exception, where: str, way: str) -> str:
    """Say what failed on a connection; which of the two has, a proxy or the service, is not to be seen."""
    if isinstance(failure, TimeoutError):
        return explain(ConnectionCause.TIMED_OUT, where, f"within {TIMEOUT:g} s{way}")
    if isinstance(failure, aiohttp.ServerDisconnectedError):
        return explain(ConnectionCause.LOST, where, f"before it answered{way}")
    if isinstance(failure, aiohttp.ClientPayloadError):
        return harmless(f"{where} has not answered whole{way}: {failure}", MAX_SENTENCE)
    if isinstance(failure, aiohttp.ClientOSError):  # its own words may hold the URL
        return _by_cause(OSError(failure.errno, os.strerror(failure.errno)) if failure.errno else EOFError(), where)
    if isinstance(failure, aiohttp.ClientError):
        return f"{where} has answered with no HTTP that can be understood ({type(failure).__name__}{way})"
    return _by_cause(failure, where)


def _refused(status: int, url: str, proxy: Proxy) -> str:
    """Say that a proxy has answered with that status in place of the host that it should have led to."""
    cause, words = cause_of_proxy_status(status)
    return explain(cause, place_of(url), f"{proxy.place} {words}")


def _by_cause(failure: BaseException, where: str) -> str:
    cause, detail = cause_of(failure)
    return explain(cause, where, detail if isinstance(failure, OSError | EOFError) else type(failure).__name__)
