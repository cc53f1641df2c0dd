"""What it costs to forward a notification to another node: two processes, one link, and bare TLS of asyncio beside it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from functools import partial
from time import perf_counter, time

from bench.framework import Contestant, Options, Report, Sample, in_ms, measure, ratio, run_on, tail
from bench.http_load import CONNECTIONS
from bench.load import BODY, NEVER
from bench.meter import Meter
from bench.processes import Process, started
from tocsin.protocol.messages import Payload
from tocsin.protocol.messages.framing import with_lengths
from tocsin.protocol.service.notification import Notification
from tocsin.protocol.values import NotificationType
from tocsin.repeat_log import RepeatLog
from tocsin.service.devices.outbox import PushResult
from tocsin.service.nodes.forwarding import ForwardedPost, ForwardResult, encode
from tocsin.service.nodes.node_authority import host_of, make_node_authority
from tocsin.service.nodes.node_identity import NodeIdentity
from tocsin.service.nodes.node_links import NodePlace, open_node_links
from tocsin.service.registry.service_store import ChannelRow

ALONE = 500
"""Forwards of which each waits for the answer to the one before."""

Begin = Callable[[Callable[[], None]], None]
"""Begins to forward one notification, and calls back when it is answered."""

_CHANNEL = ChannelRow(bytes(32), "c" * 22, "0" * 36, "contoso.mail", "d" * 64, NEVER, revoked=False)
POST = ForwardedPost(
    1,
    2,
    _CHANNEL,
    Payload("1" * 16, _CHANNEL.name, NotificationType.RAW, bytes(BODY), None, 2),
    Notification(NotificationType.RAW, cache=True, tag=None, group=None, ttl=None, priority=2),
)
"""What is forwarded."""


def run(options: Options) -> Report:
    """Measure forwards beside as many frames of the same length that are echoed."""
    report = Report("nodelink", f"{BODY}-byte payloads to another node over TLS 1.3, {CONNECTIONS} in flight")
    contestants: list[Contestant] = []
    for loop in options.loops:
        contestants += [
            Contestant(f"floor: echoed by bare TLS, {loop}", partial(_forwarded, options, loop, "echo"), "floor"),
            Contestant(f"forwarded and answered, {loop}", partial(_forwarded, options, loop, "node")),
        ]
    measure(report, contestants, options.rounds)
    report.remarks += [
        f"{loop}: {ratio(node, echo, 'payloads/s'):.2f} of the floor's rate."
        for loop, echo, node in zip(options.loops, report.rows[::2], report.rows[1::2], strict=True)
    ]
    return report


def _forwarded(options: Options, loop: str, kind: str) -> Sample:
    authority = make_node_authority(time())
    with _other_node(kind, loop, (authority.key_pem + authority.certificate_pem).decode()) as (other, port):
        way = partial(_WAYS[kind], NodeIdentity("a", authority), port)
        return run_on(loop, partial(_measured, options, way, other))


@contextmanager
def _other_node(kind: str, loop: str, authority: str) -> Iterator[tuple[Process, int]]:
    with started("bench.node_end", kind, loop) as other:
        other.tell(authority)
        yield other, other.number()


async def _measured(options: Options, way: Callable[[], _Way], other: Process) -> Sample:
    async with way() as begin:
        await _answered(begin, options.sized(5_000, 100), CONNECTIONS)
        count = options.sized(100_000, 500)
        meter, before = Meter(other.pid), perf_counter()
        await _answered(begin, count, CONNECTIONS)
        seconds = perf_counter() - before
        costs = meter.found(count, None)
        waits = await _answered(begin, options.sized(ALONE, 50), 1)
    return {"payloads/s": count / seconds, **costs, **in_ms("alone", tail(waits), 1000)}


async def _answered(begin: Begin, count: int, in_flight: int) -> list[float]:
    """Forward so many, so many at a time, and return the seconds to each answer."""
    waits: list[float] = []
    left = count
    done = asyncio.Event()

    def begin_one() -> None:
        nonlocal left
        if left:
            left -= 1
            begin(partial(ended, perf_counter()))

    def ended(began: float) -> None:
        waits.append(perf_counter() - began)
        if len(waits) == count:
            done.set()
        begin_one()

    for _ in range(in_flight):
        begin_one()
    await done.wait()
    return waits


@asynccontextmanager
async def _links(identity: NodeIdentity, port: int) -> AsyncIterator[Begin]:
    place = NodePlace("b", f"127.0.0.1:{port}")

    def begin(answered: Callable[[], None]) -> None:
        def settled(result: ForwardResult) -> None:
            assert result is PushResult.ACKNOWLEDGED
            answered()

        assert links.push_now(place, POST, settled) is None

    async with open_node_links(identity, lambda: 1, "bench", RepeatLog()) as links:
        yield begin


class _Echoed(asyncio.Protocol):
    """Counts the bytes that come back; each frame of them is an answer."""

    def __init__(self, length: int) -> None:
        self.waiting: list[Callable[[], None]] = []
        self.over = asyncio.Event()
        self._length = length
        self._bytes = 0

    def data_received(self, data: bytes) -> None:
        """Answer as many as have come."""
        self._bytes += len(data)
        count, self._bytes = divmod(self._bytes, self._length)
        answered, self.waiting = self.waiting[:count], self.waiting[count:]
        for each in answered:
            each()

    def connection_lost(self, exc: Exception | None) -> None:
        """Note the end."""
        del exc
        self.over.set()


@asynccontextmanager
async def _echoes(identity: NodeIdentity, port: int) -> AsyncIterator[Begin]:
    frame = with_lengths([encode(1, POST)])
    transport, echoed = await asyncio.get_running_loop().create_connection(
        lambda: _Echoed(len(frame)), "127.0.0.1", port, ssl=identity.for_dialling(), server_hostname=host_of("b")
    )

    def begin(answered: Callable[[], None]) -> None:
        echoed.waiting.append(answered)
        transport.write(frame)

    yield begin
    transport.abort()
    await echoed.over.wait()


_Way = AbstractAsyncContextManager[Begin]
_WAYS: dict[str, Callable[[NodeIdentity, int], _Way]] = {"node": _links, "echo": _echoes}
