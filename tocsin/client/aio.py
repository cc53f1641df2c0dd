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
from tocsin.network import cause_of, host_and_port, place_of, proxy_of, speaks_tls
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
        self._speaking_no_tls: set[tuple[str, int]] = set()
        self._lines: WeakValueDictionary[tuple[str, int], asyncio.Semaphore] = WeakValueDictionary()

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
            unreachable = _judge(failure, url, proxy)
            if proxy is None and _may_be_tls(failure, unreachable) and await self._speaks_tls(url):
                unreachable = _unreachable(ConnectionCause.TLS_WANTED, url)
            raise unreachable from None
        # Where no TLS is spoken, the proxy answers in place of the service.
        if answer.status == 407 and proxy is not None:
            raise _refused(407, url, proxy)
        reply = Reply(answer.status, _joined(answer.headers), whole)
        if proxy is None and _is_of_tls_port(reply) and await self._speaks_tls(url):
            raise _unreachable(ConnectionCause.TLS_WANTED, url)
        return reply

    async def _speaks_tls(self, url: str) -> bool:
        """Find out whether TLS is spoken where a request without it was not understood; a port that speaks none is asked once."""
        place = host_and_port(url)
        if url.startswith("https:") or place in self._speaking_no_tls:
            return False
        self._speaking_no_tls.add(place)  # meanwhile others do not ask
        if not await speaks_tls(*place):
            return False
        self._speaking_no_tls.discard(place)
        return True


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


def _is_of_tls_port(reply: Reply) -> bool:
    """Tell whether an answer may be what a web server says on a port that speaks TLS: 400, and nothing of a push service."""
    is_ours = reply.headers.get("content-type", "").startswith("application/json")  # a token endpoint's
    return reply.status == 400 and not is_ours and not any(name.startswith("x-wns-") for name in reply.headers)


def _may_be_tls(failure: Exception, unreachable: Unreachable) -> bool:
    """Tell whether a port that speaks TLS would have left a plain request so."""
    return unreachable.cause is ConnectionCause.LOST or isinstance(failure, aiohttp.ClientResponseError)


def _judge(failure: Exception, url: str, proxy: Proxy | None) -> Unreachable:
    """Say what failed without the URL, which aiohttp puts into some of its errors."""
    if isinstance(failure, aiohttp.ClientHttpProxyError) and proxy is not None:
        return _refused(failure.status, url, proxy)
    if isinstance(failure, aiohttp.ClientProxyConnectionError) and proxy is not None:
        detail = str(_by_cause(failure.os_error, proxy.place))
        return _unreachable(ConnectionCause.PROXY_UNREACHABLE, url, detail)
    if isinstance(failure, aiohttp.ClientConnectorCertificateError):
        return _by_cause(failure.certificate_error, place_of(url))
    if isinstance(failure, aiohttp.ClientConnectorError):
        return _by_cause(failure.os_error, place_of(url))
    return _after_connecting(failure, url, "" if proxy is None else f", by the proxy {proxy.place}")


def _after_connecting(failure: Exception, url: str, way: str) -> Unreachable:
    """Say what failed on a connection; which of the two has, a proxy or the service, is not to be seen."""
    where = place_of(url)
    if isinstance(failure, TimeoutError):
        return _unreachable(ConnectionCause.TIMED_OUT, url, f"within {TIMEOUT:g} s{way}")
    if isinstance(failure, aiohttp.ServerDisconnectedError):
        return _unreachable(ConnectionCause.LOST, url, f"before it answered{way}")
    if isinstance(failure, aiohttp.ClientPayloadError):
        return Unreachable(harmless(f"{where} has not answered whole{way}: {failure}", MAX_SENTENCE))
    if isinstance(failure, aiohttp.ClientOSError):  # its own words may hold the URL
        return _by_cause(OSError(failure.errno, os.strerror(failure.errno)) if failure.errno else EOFError(), where)
    if isinstance(failure, aiohttp.ClientError):
        return Unreachable(f"{where} has answered with no HTTP that can be understood ({type(failure).__name__}{way})")
    return _by_cause(failure, where)


def _refused(status: int, url: str, proxy: Proxy) -> Unreachable:
    """Say that a proxy has answered with that status in place of the host that it should have led to."""
    cause, words = cause_of_proxy_status(status)
    return _unreachable(cause, url, f"{proxy.place} {words}")


def _by_cause(failure: BaseException, where: str) -> Unreachable:
    cause, detail = cause_of(failure)
    words = detail if isinstance(failure, OSError | EOFError) else type(failure).__name__
    return Unreachable(explain(cause, where, words), cause)


def _unreachable(cause: ConnectionCause, url: str, detail: str = "") -> Unreachable:
    return Unreachable(explain(cause, place_of(url), detail), cause)
