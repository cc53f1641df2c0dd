"""Loads over HTTP by a sender of our own; ``bench.wrk`` has those of ``wrk``."""

from __future__ import annotations

import asyncio
import json
import selectors
import urllib.parse
import urllib.request
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from time import perf_counter
from typing import Any, TypeVar

from attrs import frozen

from bench.load import BODY

T = TypeVar("T")

CONNECTIONS = 64
"""Connections of a load, and so requests in flight at most."""


def stamped(moment: float) -> bytes:
    """Build a body that carries a moment of ``perf_counter``, which all processes of a machine share."""
    return f"{moment:.9f} ".encode().ljust(BODY, b".")


@frozen
class Target:
    """Where to post what, and with which headers."""

    url: str
    headers: dict[str, str]
    body: Callable[[float], bytes] = stamped
    """Makes a body, which carries a moment where it can; all have as many bytes."""

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        parts = urllib.parse.urlsplit(self.url)
        return parts.hostname or "", parts.port or 80

    def request(self, body: bytes) -> bytes:
        """Build a whole request."""
        return self.head(len(body)) + body

    def head(self, length: int) -> bytes:
        """Build what comes before a body of that length."""
        parts = urllib.parse.urlsplit(self.url)
        path = f"{parts.path}?{parts.query}" if parts.query else parts.path
        lines = [f"POST {path} HTTP/1.1", f"Host: {parts.netloc}", f"Content-Length: {length}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        return "\r\n".join([*lines, "", ""]).encode()


def wns_target(uri: str, service: Mapping[str, Any]) -> Target:
    """Sign in as a sender, and return where and how it pushes; ``service`` is what ``bench.serving`` has told."""
    form = {
        "grant_type": "client_credentials",
        "client_id": service["client_id"],
        "client_secret": service["client_secret"],
        "scope": "notify.windows.com",
    }
    request = urllib.request.Request(service["token_url"], urllib.parse.urlencode(form).encode())  # noqa: S310  # our own server
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        token = json.load(answer)["access_token"]
    headers = {
        "Authorization": f"Bearer {token}",
        "X-WNS-Type": "wns/raw",
        "Content-Type": "application/octet-stream",
    }
    return Target(uri, headers)


class Poster(asyncio.Protocol):
    """One connection that posts one request after the other, and does no more than that for it."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._answer: asyncio.Future[int] | None = None
        self._got = b""
        self._ended = asyncio.get_running_loop().create_future()

    @classmethod
    async def connect(cls, target: Target) -> Poster:
        """Connect to where the target is."""
        _, poster = await asyncio.get_running_loop().create_connection(cls, *target.address)
        return poster

    async def post(self, request: bytes) -> int:
        """Send a request, take the whole answer, and return its status."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer

    async def aclose(self) -> None:
        """Hang up."""
        assert self._transport is not None
        self._transport.close()
        await self._ended

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Take a part of an answer, which mostly is all of it."""
        self._got += data
        head, ended, rest = self._got.partition(b"\r\n\r\n")
        if ended and len(rest) >= _length_of(head) and self._answer is not None:
            self._got = b""
            self._answer.set_result(int(head[9:12]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail who waits for an answer."""
        self._ended.set_result(None)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError("the server hung up"))


def _length_of(head: bytes) -> int:
    _, found, rest = head.lower().partition(b"\r\ncontent-length:")
    return int(rest.partition(b"\r\n")[0]) if found else 0


def moment_of(body: bytes | str) -> float:
    """Read the moment that a body carries; 0 for one that carries none."""
    if not body[:1].isdigit():  # without an error, which would cost the receiver more than the rest
        return 0.0
    head = body[:32].split()
    try:
        return float(head[0])
    except (IndexError, ValueError):
        return 0.0


async def at_rate(send: Callable[[int, float], Awaitable[object]], rate: float, seconds: float) -> list[float]:
    """Send that often, whatever the answers do; return the seconds from when each was due to its answer.

    :param send: takes its number, and the moment at which it was due.
    """
    waits: list[float] = []

    async def one(number: int, due: float) -> None:
        await send(number, due)
        waits.append(perf_counter() - due)

    async with asyncio.TaskGroup() as tasks:
        start = perf_counter()
        for number in range(int(rate * seconds)):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - perf_counter()))
            tasks.create_task(one(number, due))
    return waits


def run_paced(main: Coroutine[Any, Any, T]) -> T:
    """Run on a loop that wakes at the microsecond; asyncio's own has its sockets and timers wait in whole milliseconds."""
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        return runner.run(main)


async def open_loop(targets: Sequence[Target], rate: float, seconds: float) -> list[float]:
    """Post to one target after the other at that rate, as :func:`at_rate` does.

    A request that finds no free connection waits, and its wait counts.
    """
    idle = asyncio.Queue[Poster]()
    posters = [await Poster.connect(targets[0]) for _ in range(CONNECTIONS)]
    for poster in posters:
        idle.put_nowait(poster)
    heads = [target.head(len(target.body(0.0))) for target in targets]

    async def post(number: int, due: float) -> None:
        turn = number % len(heads)
        poster = await idle.get()
        status = await poster.post(heads[turn] + targets[turn].body(due))
        assert 200 <= status < 300, status
        idle.put_nowait(poster)

    waits = await at_rate(post, rate, seconds)
    for poster in posters:
        await poster.aclose()
    return waits


def turns(posts: int, targets: int) -> list[int]:
    """Return how many of so many posts each target gets, of both loops."""
    return [len(range(turn, posts, targets)) for turn in range(targets)]


async def closed_loop(targets: Sequence[Target], count: int) -> float:
    """Post so many requests, to one target after the other, one at a time on each of ``CONNECTIONS`` connections; return when that began."""
    numbers = iter(range(count))
    heads = [target.head(len(target.body(0.0))) for target in targets]
    posters = [await Poster.connect(targets[0]) for _ in range(CONNECTIONS)]

    async def post_in_turn(poster: Poster) -> None:
        for number in numbers:
            turn = number % len(heads)
            status = await poster.post(heads[turn] + targets[turn].body(perf_counter()))
            assert 200 <= status < 300, status

    begin = perf_counter()
    async with asyncio.TaskGroup() as tasks:
        for poster in posters:
            tasks.create_task(post_in_turn(poster))
    for poster in posters:
        await poster.aclose()
    return begin
