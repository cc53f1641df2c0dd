"""HTTP by aiohttp, which is needed for sending only."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Final
from weakref import WeakValueDictionary

import aiohttp
from multidict import MultiMapping
from yarl import URL

from tocsin.client.http import MAX_REPLY, Reply, Unreachable
from tocsin.network import cause_of, host_and_port, place_of, proxy_of
from tocsin.protocol.network.causes import ConnectionCause, cause_of_proxy_status, explain
from tocsin.protocol.network.proxies import Proxy
from tocsin.protocol.text import MAX_SENTENCE, harmless

TIMEOUT = 30.0
"""Seconds that one request may take, from when it has a connection to itself or begins to make one."""

CONNECTIONS: Final = 400
"""Connections to one host and port at most, and so requests that are on their way there at a time.

What one core can send is on its way at once as long as answers come within an eighth of a second, and five such senders behind one
address stay within what a service allows that by default.
"""


class AioHttp:
    """Asks, and mostly posts; made by :func:`open_http`.

    A request that finds as many on their way to its host and port as may be waits in line: the first come is the first served.
    (The pool of aiohttp would let a request that comes when a connection is given back pass all that wait for one.)
    """

    def __init__(self, session: aiohttp.ClientSession, max_reply: int, connections: int = CONNECTIONS) -> None:
        self._session = session
        self._max_reply = max_reply
        self._connections = connections
        self._lines: WeakValueDictionary[tuple[str, int], asyncio.Semaphore] = WeakValueDictionary()

    async def post(
        self, url: str, headers: Mapping[str, str], body: bytes, on_turn: Callable[[], None] | None = None
    ) -> Reply:
        """Post; errors and ``on_turn`` as of :meth:`request`."""
        return await self.request("POST", url, headers, body, on_turn)

    async def request(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes,
        on_turn: Callable[[], None] | None = None,
    ) -> Reply:
        """Ask and return the answer, whatever its status; redirections are not followed.

        :param on_turn: called when it has waited in line: before that nothing of it was sent.
        :raises Unreachable: there was none within ``TIMEOUT``.
        :raises InvalidArgument: the environment names a proxy that cannot be used.
        """
        place = host_and_port(url)
        line = self._lines.get(place)
        if line is None:
            line = self._lines[place] = asyncio.Semaphore(self._connections)
        async with line:  # the wait in it is not the service's
            if on_turn is not None:
                on_turn()
            return await self._ask(method, url, headers, body)

    async def _ask(self, method: str, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
        proxy = proxy_of(url)
        as_given = URL(url, encoded=True)  # a channel's URI is not ours to respell
        through = None if proxy is None else URL(proxy.full_url)
        try:
            async with (
                asyncio.timeout(TIMEOUT),
                self._session.request(
                    method, as_given, data=body or None, headers=headers, allow_redirects=False, proxy=through
                ) as answer,
            ):
                whole = await _bounded(answer.content, self._max_reply)
        except Exception as failure:  # noqa: BLE001  # whatever a library raises, there was no answer
            raise Unreachable(_sentence(failure, url, proxy)) from None
        # Where no TLS is spoken, the proxy answers in place of the service.
        if answer.status == 407 and proxy is not None:
            raise Unreachable(_refused(407, url, proxy))
        return Reply(answer.status, _joined(answer.headers), whole)


@asynccontextmanager
async def open_http(max_reply: int = MAX_REPLY) -> AsyncIterator[AioHttp]:
    """Open connections as they are needed, and keep them.

    Of the environment only the proxies are used, by :func:`tocsin.network.proxy_of`: what aiohttp would take besides,
    such as passwords out of a netrc file, is not for push services. Nor are cookies kept.

    :param max_reply: bytes of an answer at most.
    """
    headers = {"User-Agent": "tocsin"}
    jar = aiohttp.DummyCookieJar()
    connector = aiohttp.TCPConnector(limit=0)  # the lines bound it, and the time of a request is bounded there too
    timeout = aiohttp.ClientTimeout()
    async with aiohttp.ClientSession(
        headers=headers, timeout=timeout, cookie_jar=jar, connector=connector, trust_env=False
    ) as session:
        yield AioHttp(session, max_reply, _affordable())


def _affordable() -> int:
    """Return ``CONNECTIONS``, or half of the files that this process may open where that is less."""
    if sys.platform == "win32":
        return CONNECTIONS
    import resource  # noqa: PLC0415  # not everywhere

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return CONNECTIONS if soft == resource.RLIM_INFINITY else max(1, min(CONNECTIONS, soft // 2))


def _joined(headers: MultiMapping[str]) -> dict[str, str]:
    """Put repeated headers together with commas (RFC 9110 §5.3), so that none of them counts as not said."""
    once = {name.lower(): value for name, value in headers.items()}
    if len(once) == len(headers):
        return once
    return {name: ", ".join(dict.fromkeys(headers.getall(name))) for name in once}


async def _bounded(content: aiohttp.StreamReader, most: int) -> bytes:
    reply = bytearray()
    while not content.at_eof():
        reply += await content.readany()
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
